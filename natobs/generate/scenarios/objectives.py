"""What every objective counts: series, and how many events of five minutes are bad, and are there at all.

Every number is another, so that a sum that leaves one out, or takes one twice, is wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from natobs.catalogue.metrics import accounting, conntrack, network, nic, probes, protocols, softnet
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.objectives import Objective
from natobs.catalogue.types import Metric
from natobs.generate.scenarios.model import Signal, events

_FIVE = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Counted:
    """Events of five minutes.

    Args:
        signals: the series that count them, and others that do not.
        bad: how many are bad.
        total: how many there are.
        shows: labels of the budget beyond those of its scope.
        better: series in which more is good than there is, as two extrapolations can make it; none where it cannot be.
    """

    signals: Sequence[Signal]
    bad: float
    total: float
    shows: dict[str, str] = field(default_factory=dict)
    better: Sequence[Signal] = ()


@dataclass(frozen=True, slots=True)
class Sliced:
    """Minutes that are bad.

    Args:
        alert: whose scenario brings the value about.
        above: a value just above the limit.
        below: one that is not above it.
    """

    alert: str
    above: float
    below: float


def _five(metric: Metric, number: float, **labels: str) -> Signal:
    return events(metric, number, _FIVE, **labels)


def _probed(target: str, attempts: float, good: float, kind: str = "tcp") -> tuple[Signal, Signal]:
    labels = {"probe": "web", "kind": kind, "target": target}
    return _five(probes.ATTEMPTS, attempts, **labels), _five(probes.FIRST_ATTEMPT_SUCCESS, good, **labels)


def _tcp(attempts: float, answered: float) -> tuple[Signal, ...]:
    return (
        _five(accounting.ATTEMPTS, attempts, proto="tcp"),
        _five(accounting.ANSWERED, answered, proto="tcp"),
        _five(accounting.ATTEMPTS, 1500, proto="udp"),
        _five(accounting.ANSWERED, 1000, proto="udp"),
    )


_DROPS = (
    _five(network.RECEIVE_DROPS, 5, device="eth21"),
    _five(network.TRANSMIT_DROPS, 10, device="eth21"),
    _five(nic.DRIVER_DROPS, 20, device="eth21", reason="rx_no_buffer"),
    _five(nic.ALLOWANCE_EXCEEDED, 40, device="eth21", allowance="pps"),
    _five(network.QDISC_DROPS, 80, device="eth21", qdisc="fq_codel"),
    _five(softnet.DROPPED, 160, cpu="0"),
    _five(protocols.IP_INPUT_DISCARDS, 320),
    _five(protocols.IP_FORWARD_NO_ROUTE, 640),
    _five(conntrack.DROP, 1280),
)
_TARGET = "api.example:443"
_SEARCHES = (*_probed("", 75, 5, "pmtu"), *_probed(_TARGET, 35, 0, "pmtu"))

EVENTS: dict[str, Counted] = {
    "nat-outbound-success": Counted(
        (*_probed("", 250, 230), *_probed(_TARGET, 150, 140, "icmp"), *_SEARCHES),
        30,
        400,
        better=_probed("", 200, 205),
    ),
    "nat-outbound-answered": Counted(_tcp(300, 265), 35, 300, better=_tcp(200, 205)),
    "nat-packet-drops": Counted(
        (
            *_DROPS,
            _five(network.RECEIVE_PACKETS, 30_000, device="eth21"),
            _five(network.RECEIVE_PACKETS, 20_000, device="eth22"),
            _five(network.TRANSMIT_PACKETS, 45_000, device="eth22"),
        ),
        2555,
        50_000,
    ),
    "nat-resets": Counted(
        (
            *_tcp(300, 265),
            _five(accounting.RESETS, 15, direction="in"),
            _five(accounting.RESETS, 25, direction="out"),
        ),
        40,
        265,
    ),
    "nat-port-allocation": Counted(
        (
            _five(conntrack.NEW_FLOW_DROPS, 45, reason="tuple_clash"),
            _five(conntrack.NEW_FLOW_DROPS, 55, reason="table_full"),
            *_tcp(300, 265),
        ),
        45,
        1800,
    ),
    "nat-critical-service": Counted(
        (*_probed(_TARGET, 150, 140), *_probed("", 250, 230), *_SEARCHES),
        10,
        150,
        {"target": _TARGET},
        better=_probed(_TARGET, 200, 205),
    ),
}
"""Objectives that count events, by id."""

SLICES: dict[str, Sliced] = {
    "nat-conntrack-usage": Sliced("NatConntrackUsage", 0.714, 0.7),
    "nat-cpu": Sliced("NatCpuUsage", 0.612, 0.59),
    "nat-throughput": Sliced("NatThroughputNearLimit", 0.918, 0.9),
    "nat-added-latency": Sliced("NatAddedLatency", 0.0204, 0.02),
}
"""Objectives that count minutes, by id."""


def counted(objective: Objective) -> Counted:
    """The events of an objective, of a service of the configuration too."""
    if objective.id in EVENTS:
        return EVENTS[objective.id]
    name = objective.id.removeprefix("nat-service-")

    def flows(destination: str, attempts: float, answered: float) -> tuple[Signal, ...]:
        labels = {"destination": destination, "port": "443", "proto": "tcp"}
        return (
            _five(accounting.DESTINATION_ATTEMPTS, attempts, **labels),
            _five(accounting.DESTINATION_ANSWERED, answered, **labels),
        )

    return Counted(
        (*flows(name, 300, 265), *flows("other", 700, 500)),
        35,
        300,
        {"destination": name},
        better=flows(name, 200, 205),
    )
