"""Alerts on interfaces, drops and throughput: M4, M5, and the failure mode F3."""

from natobs.catalogue.alerting import Alert, page, ticket
from natobs.catalogue.alerts.symptoms import SYMPTOMS
from natobs.catalogue.idioms import pooled
from natobs.catalogue.metrics import firewall, network, nic, routing
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.promql import Scope, highest, increase, over, series, total
from natobs.catalogue.values import LOAD, LOST, PACKETS

_FIVE, _TEN = 5 * MINUTE, 10 * MINUTE
_DEVICE = ("device",)
_BY_DEVICE = (Scope.NAT.mark, *_DEVICE)
_ERRORS = pooled(
    Scope.NAT,
    "sum",
    receive=increase(series(network.RECEIVE_ERRORS), _FIVE),
    transmit=increase(series(network.TRANSMIT_ERRORS), _FIVE),
)
_ROLE = highest(Scope.NAT, series(routing.DEVICE_ROLE), *_DEVICE)
_FLAPS = 3
"""Changes of a carrier in ten minutes: an interface that goes down and comes back twice has four."""

ALERTS = (
    Alert(
        "NatLinkDown",
        "M5",
        Scope.NAT,
        highest(Scope.NAT, over("max_over_time", series(network.UP), MINUTE), *_DEVICE).both(_ROLE, _BY_DEVICE),
        "<",
        (page(1, 30),),
        "An interface of the NAT is down.",
        "{device} of {nat} has no carrier, or is switched off.",
        unit="state",
        fault="F3",
        extra=_DEVICE,
        silences=(
            "NatDefaultRouteMissing",
            "NatCarrierFlapping",
            "NatNicErrors",
            "NatRouteChanged",
            "NatTrafficStopped",
            "NatSubnetRouteMissing",
            "NatReturnBlocked",
            "NatPacketDropsBurn",
            *SYMPTOMS,
        ),
        keep=8 * MINUTE,
    ),
    Alert(
        "NatCarrierFlapping",
        "M5",
        Scope.NAT,
        total(Scope.NAT, increase(series(network.CARRIER_CHANGES), _TEN), "device").both(_ROLE, _BY_DEVICE),
        ">",
        (ticket(_FLAPS, 0), page(7, 0)),
        "An interface of the NAT loses its carrier again and again.",
        "The carrier of {device} of {nat} changed {value} times in 10 minutes.",
        fault="F3",
        extra=_DEVICE,
        silences=("NatRouteChanged", "NatNicErrors", "NatPacketDrops", "NatPacketDropsBurn", *SYMPTOMS),
    ),
    Alert(
        "NatNicErrors",
        "M5",
        Scope.NAT,
        _ERRORS / PACKETS.series,
        ">",
        (ticket(0.001, _TEN),),
        "Interfaces of the NAT damage packets.",
        "{value} of the packets of {nat} are damaged, or could not be sent.",
        unit="ratio",
        fault="F3",
        silences=("NatPacketDropsBurn",),
        keep=MINUTE,
    ),
    Alert(
        "NatPacketDrops",
        "M5",
        Scope.NAT,
        LOST.series / PACKETS.series,
        ">",
        (ticket(0.001), page(0.02)),  # sooner than what it is the cause of
        "The NAT drops packets at its interfaces and queues.",
        "Interfaces and queues of {nat} drop {value} of its packets.",
        unit="ratio",
        fault="F3",
        # what an interface without a carrier drops is told by its carrier
        where=(LOST.series > 10).unless(
            total(Scope.NAT, increase(series(network.CARRIER_CHANGES), _TEN)) > _FLAPS, Scope.NAT
        ),
        silences=(
            "NatPacketDropsBurn",
            "NatReturnBlocked",
            *SYMPTOMS,
        ),
        keep=4 * MINUTE,
    ),
    Alert(
        "NatAllowanceExceeded",
        "M5",
        Scope.NAT,
        total(Scope.NAT, increase(series(nic.ALLOWANCE_EXCEEDED), _FIVE), "allowance"),
        ">",
        (ticket(0),),
        "The cloud drops packets because the instance exceeds an allowance.",
        "The allowance {allowance} of {nat} was exceeded by {value} packets in 5 minutes; a larger instance has more.",
        extra=("allowance",),
        silences=("NatPacketDropsBurn",),
    ),
    Alert(
        "NatThroughputNearLimit",
        "M4",
        Scope.NAT,
        LOAD.series,
        ">",
        (ticket(0.80), page(0.95, _TEN)),
        "The NAT forwards nearly as much as its interfaces may carry.",
        "Peaks of an interface of {nat} take {value} of its capacity.",
        unit="ratio",
        silences=("NatThroughputBurn",),
    ),
    Alert(
        "NatFirewallDenies",
        "M5",
        Scope.NAT,
        total(Scope.NAT, increase(series(firewall.DENIES), _FIVE)),
        ">",
        (ticket(3000),),
        "Firewall rules of the NAT drop unusually much.",
        "Firewall rules of {nat} dropped {value} packets in 5 minutes.",
        fault="F6",
        keep=0,
    ),
)
