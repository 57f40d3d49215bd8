"""Every fault of natobs itself that there is, in the order of a run."""

from natobs.errors import LabError
from natobs.lab.selffaults.base import SelfFault
from natobs.lab.selffaults.clock import ClockStepped
from natobs.lab.selffaults.disk import DiskFull, DiskFullRestart, DiskReadOnly
from natobs.lab.selffaults.kernel import ConntrackEventsOverrun, RouteEventsOverrun, RoutesAndLinks, TableChurn
from natobs.lab.selffaults.monitoring import PrometheusAway
from natobs.lab.selffaults.processes import (
    AgentKilled,
    AgentRestarted,
    AgentStopped,
    ProberKilled,
    ProberRestarted,
    ProberStopped,
    ReflectorKilled,
    ReflectorRestarted,
    ReflectorStopped,
)
from natobs.lab.selffaults.scrapers import HalfOpen, SlowReaders, ThousandConnections

ALL: tuple[type[SelfFault], ...] = (
    AgentKilled,
    AgentStopped,
    AgentRestarted,
    ProberKilled,
    ProberStopped,
    ProberRestarted,
    ReflectorKilled,
    ReflectorStopped,
    ReflectorRestarted,
    PrometheusAway,
    ClockStepped,
    DiskFull,
    DiskFullRestart,
    DiskReadOnly,
    HalfOpen,
    SlowReaders,
    ThousandConnections,
    RouteEventsOverrun,
    ConntrackEventsOverrun,
    RoutesAndLinks,
    TableChurn,
)
"""All of them."""


def find(name: str) -> type[SelfFault]:
    """Find a fault by its name; raises LabError, which names those there are."""
    for fault in ALL:
        if fault.name == name:
            return fault
    raise LabError(f"no fault {name!r}; there are {', '.join(fault.name for fault in ALL)}")
