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
    "table-evicting": (_page("NatConntrackNearlyFull", fault="F1"),),
    "table-full": (_page("NatConntrackFull", fault="F1"),),
    "cpu-forwarding": (_page("NatCpuSaturated", fault="F2"),),
    "cpu-neighbour": (_page("NatCpuSaturated", fault="F2"),),
    "nic-drops": (_ticket("NatPacketDrops", fault="F3"),),
    "carrier-flap": (_ticket("NatCarrierFlapping", fault="F3"),),
    "nic-errors": (_ticket("NatNicErrors", fault="F3"),),
    "no-default-route": (_page("NatDefaultRouteMissing", fault="F4"),),
    "subnet-route-missing": (_page("NatSubnetRouteBroken", fault="F4"),),
    "subnet-route-wrong": (_page("NatSubnetRouteBroken", fault="F4"),),
    "restart": (_ticket("NatStateLost", fault="F5"),),
    "return-blocked": (_page("NatReturnBlocked", fault="F6"),),
    "established-rule-missing": (_page("NatReturnBlocked", fault="F6"),),
    "address-changed": (_page("NatPublicAddressChanged", fault="F7"),),
    "mtu-small": (_ticket("NatPathMtuReduced", fault="F8"),),
    "mtu-black-hole": (_page("NatPathMtuBlackHole", fault="F8"),),
    "ports-exhausted": (_page("NatPortsExhausted", fault="F9"),),
    "tuple-clashes": (_ticket("NatTupleClashes", fault="F9"),),
    "table-full-and-cpu": (_page("NatConntrackFull", fault="F1"), _page("NatCpuSaturated", fault="F2")),
    "third-party-down": (_ticket("NatDestinationFailing"),),
    "dns-down": (_ticket("NatDestinationFailing"),),
    "asymmetric-return": (_page("NatUpstreamUnreachable"),),
}
"""By the name of the fault."""
