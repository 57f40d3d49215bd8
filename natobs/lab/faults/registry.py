"""Every fault there is, in the order of a game day."""

from natobs.errors import LabError
from natobs.lab.faults.address import AddressChanged
from natobs.lab.faults.base import Fault
from natobs.lab.faults.compound import TableFullAndCpu
from natobs.lab.faults.cpu import CpuForwarding, CpuNeighbour
from natobs.lab.faults.fleet import NatsFailing
from natobs.lab.faults.mtu import MtuBlackHole, MtuSmall
from natobs.lab.faults.nic import CarrierFlap, NicDrops, NicErrors
from natobs.lab.faults.operations import MaintenanceRestart, ScalingFlaps
from natobs.lab.faults.outside import AsymmetricReturn, DnsDown, ThirdPartyDown
from natobs.lab.faults.ports import PortsExhausted, TupleClashes
from natobs.lab.faults.restart import Restart
from natobs.lab.faults.returns import EstablishedRuleMissing, ReturnBlocked
from natobs.lab.faults.routes import NoDefaultRoute, SubnetRouteMissing, SubnetRouteWrong
from natobs.lab.faults.table import TableEvicting, TableFull

ALL: tuple[type[Fault], ...] = (
    TableEvicting,
    TableFull,
    CpuForwarding,
    CpuNeighbour,
    NicDrops,
    CarrierFlap,
    NicErrors,
    NoDefaultRoute,
    SubnetRouteMissing,
    SubnetRouteWrong,
    Restart,
    ReturnBlocked,
    EstablishedRuleMissing,
    AddressChanged,
    MtuSmall,
    MtuBlackHole,
    PortsExhausted,
    TupleClashes,
    TableFullAndCpu,
    ThirdPartyDown,
    DnsDown,
    AsymmetricReturn,
    NatsFailing,
    MaintenanceRestart,
    ScalingFlaps,
)

APART: tuple[type[Fault], ...] = (TableFull, PortsExhausted, ReturnBlocked, SubnetRouteMissing, ThirdPartyDown)
"""For a client all of these are connections that fail; whoever is paged must be told which it is."""


def find(name: str) -> type[Fault]:
    """Find a fault by name.

    Raises:
        LabError: there is none of this name; the message names all that there are.
    """
    for fault in ALL:
        if fault.name == name:
            return fault
    raise LabError(f"no fault {name!r}; there are {', '.join(fault.name for fault in ALL)}")
