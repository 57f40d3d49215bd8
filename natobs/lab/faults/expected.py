"""What each fault must raise: the alerts that reach somebody, by fault, and nothing else.

Pure data. Names are those of the catalogue (:mod:`natobs.catalogue.alerts`).
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Expectation:
    """One alert that must arrive.

    Args:
        alert: its name.
        action: what it asks for.
        labels: further labels that it must bear, as pairs.
    """

    alert: str
    action: Literal["page", "ticket"]
    labels: tuple[tuple[str, str], ...] = ()


def _page(alert: str, **labels: str) -> Expectation:
    return Expectation(alert, "page", tuple(labels.items()))


def _ticket(alert: str, **labels: str) -> Expectation:
    return Expectation(alert, "ticket", tuple(labels.items()))


EXPECTED: dict[str, tuple[Expectation, ...]] = {
    "table-evicting": (_page("NatConntrackUsage"),),
    "table-full": (_page("NatTableFull"),),
    "cpu-forwarding": (_page("NatCpuUsage"),),
    "cpu-neighbour": (_page("NatCpuUsage"),),
    "nic-drops": (_page("NatPacketDrops"),),
    "carrier-flap": (_page("NatCarrierFlapping", device="eth0"),),
    "nic-errors": (_ticket("NatNicErrors"),),
    "no-default-route": (_page("NatDefaultRouteMissing"),),
    "subnet-route-missing": (_page("NatSubnetRouteMissing", subnet="private1"),),
    "subnet-route-wrong": (_page("NatSubnetRouteMissing", subnet="private1"),),
    "restart": (_ticket("NatStateLost"),),
    "return-blocked": (_page("NatReturnBlocked"),),
    "established-rule-missing": (_page("NatReturnBlocked"),),
    "address-changed": (_page("NatPublicAddressUnexpected"),),
    "mtu-small": (_ticket("NatPathMtuReduced"),),
    "mtu-black-hole": (_page("NatPathMtuBlackHole"),),
    "ports-exhausted": (_page("NatPortsExhausted"),),
    "tuple-clashes": (_ticket("NatTupleClashes"), _page("NatPortAllocationBurn")),
    "table-full-and-cpu": (_page("NatTableFull"), _page("NatCpuUsage")),
    "third-party-down": (_ticket("NatDestinationFailing", destination="payments", port="80"),),
    "dns-down": (_page("NatDnsFailing"),),
    "asymmetric-return": (_page("NatReturnBlocked"),),
    "nats-failing": (_page("NatClusterFailing"), _page("NatNoReturnTraffic")),
    "maintenance-restart": (),
    "scaling-flaps": (_ticket("NatScalingFlapping"),),
}
"""By the name of the fault."""
