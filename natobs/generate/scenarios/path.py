"""Scenarios of alerts on the way of packets."""

from collections.abc import Sequence
from dataclasses import replace

from natobs.catalogue.metrics import accounting, agent, firewall, operations, probes, routing, taps
from natobs.catalogue.naming import MINUTE
from natobs.generate.scenarios.model import Feed, Scenario, Signal, Way, burst, events, level, stamp
from natobs.generate.scenarios.shapes import both, highest, lasting, lowest, mean, through, touched

_TWO, _FIVE = 2 * MINUTE, 5 * MINUTE
PROBE = {"probe": "web", "kind": "tcp", "target": ""}
_SOURCE = "10.21.{subnet}.5"
FEW, MORE = 5, 5.2
_MANY = 20
"""Attempts of which a share says nothing yet, and a few more."""


def attempts(value: float, number: float = 100, window: int = _TWO, **labels: str) -> tuple[Signal, ...]:
    """So many attempts within a window, a share of which fails."""
    return (
        events(probes.ATTEMPTS, number, window, **PROBE | labels),
        events(probes.FIRST_ATTEMPT_SUCCESS, number * (1 - value), window, **PROBE | labels),
    )


def _failing(number: float) -> Feed:
    return lambda value: attempts(value, number)


def reasons(window: int, **reasons: float) -> tuple[Signal, ...]:
    """Failures by reason, so many of each within a window."""
    return tuple(events(probes.FAILURES, number, window, **PROBE, reason=reason) for reason, number in reasons.items())


def _seen(**points: float) -> tuple[Signal, ...]:
    """Packets of probes in two minutes, by point."""
    return tuple(events(taps.SEEN, number, _TWO, source=_SOURCE, point=point) for point, number in points.items())


def _passing(before: str, after: str, number: float = 100) -> Feed:
    """A share of the packets that were seen at one point is seen at the next; at the others nothing is amiss."""
    return lambda value: _seen(**{**dict.fromkeys(taps.POINTS, 90.0), before: number, after: number * value})


def _arriving(value: float, packets: float) -> tuple[Signal, ...]:
    """Probes, the address that they come from, and their packets at the NAT as long as all is well."""
    return (
        *attempts(value),
        level(probes.SOURCE, 1, address=_SOURCE),
        level(taps.LISTENING, 1),
        *_seen(inside_in=packets if value else 70, inside_out=70),
    )


def _never_seen(value: float) -> tuple[Signal, ...]:
    return (*attempts(value), level(probes.SOURCE, 1, address=_SOURCE), level(taps.LISTENING, 1))


def _on_the_nat(value: float) -> tuple[Signal, ...]:
    """The agent probes as well, from the NAT itself."""
    return tuple(replace(signal, prober=False) for signal in _never_seen(value))


def _no_route(value: float) -> tuple[Signal, ...]:
    return (*_arriving(value, 30), *reasons(_TWO, no_route=value * 100, timeout=60))


def _once_no_route(value: float) -> tuple[Signal, ...]:
    """All attempts fail for other reasons, after the first ones."""
    failures = (burst(probes.FAILURES, 1 if value else 0, **PROBE, reason="no_route"), *reasons(_TWO, timeout=100))
    return (*_arriving(_whole(value), 30), *failures)


def _whole(value: float) -> float:
    """Everything, whatever share is asked for."""
    return 1.0 if value else 0.0


def _timing_out(value: float) -> tuple[Signal, ...]:
    return (*_arriving(value, 30), *reasons(_TWO, no_route=0, timeout=100))


def _denied(attempts: float, answered: float, untracked: float, denied: float) -> tuple[Signal, ...]:
    """TCP as accounting and the firewall count it, beside other protocols; in two minutes."""
    return (
        events(accounting.ATTEMPTS, attempts, _TWO, proto="tcp"),
        events(accounting.ANSWERED, answered, _TWO, proto="tcp"),
        events(accounting.UNTRACKED, untracked, _TWO, proto="tcp"),
        *(events(metric, 500, _TWO, proto="udp") for metric in (accounting.ATTEMPTS, accounting.UNTRACKED)),
        events(accounting.ANSWERED, 490, _TWO, proto="udp"),
        events(firewall.DENIES, denied, _TWO, rule="no answers"),
    )


def _blocked(attempts: float, untracked: float, denied: float) -> Feed:
    return lambda value: _denied(attempts, value * attempts, untracked, denied if value < 1 else 0)


def _fleet(nats: int, failing: int, maintained: Sequence[int] = (), *more: Signal, number: float = 100) -> Feed:
    """NATs of a cluster: the first ones fail so many attempts, others do at the very limit; some are in maintenance."""

    def feed(value: float) -> tuple[Signal, ...]:
        found: list[Signal] = []
        for nat in range(nats):
            place = {"nat": f"nat-{200 + nat}", "instance": f"prober-{200 + nat}:9651"}
            share, of = (0.51 if value else 0.5, number) if nat < failing else (0.5, 100)
            found += attempts(share, of, _TWO, **place)
        declared = (stamp(operations.MAINTENANCE_UNTIL, 10**7, nat=f"nat-{200 + nat}") for nat in maintained)
        return (*found, *(declared if value else ()), *more)

    return feed


def _cluster_in_maintenance(value: float) -> tuple[Signal, ...]:
    agents = [level(agent.BUILD, 1, nat=f"nat-{200 + number}", version="0.1.0", python="3.11") for number in range(10)]
    return tuple(_fleet(10, 5, (), *agents, stamp(operations.CLUSTER_MAINTENANCE_UNTIL, 10**7))(value))


def _resets(value: float, number: float = 100) -> tuple[Signal, ...]:
    return (
        events(accounting.RESETS, value * number * 0.75, _FIVE, direction="in"),
        events(accounting.RESETS, value * number * 0.25, _FIVE, direction="out"),
        events(accounting.ANSWERED, number, _FIVE, proto="tcp"),
        events(accounting.ANSWERED, 700, _FIVE, proto="udp"),
    )


_BACK = 0.99 * 0.001
"""The 99th percentile of a bucket from 0 to 1 ms."""
_LOW, _HIGH = 0.001, 0.051
"""Another bucket, in seconds."""


def _slow_share(added: float) -> float:
    """How many packets must be in the upper bucket for the 99th percentile of both ways to be a time."""
    inside = (added - _BACK - _LOW) / (_HIGH - _LOW)
    return 0.01 / (1 - inside)


def _added(slow_share: float) -> float:
    return _BACK + _LOW + (_HIGH - _LOW) * (1 - 0.01 / slow_share)


def _residence(value: float) -> tuple[Signal, ...]:
    """How long packets stay: answers 1 ms at most, requests longer for a share of them; 1000 in five minutes."""
    slow = _slow_share(value)
    return tuple(
        Signal(taps.RESIDENCE, {"direction": direction, "le": le}, part="_bucket", events=share * 1000, window=_FIVE)
        for direction, quick in (("out", 1 - slow), ("back", 1.0))
        for le, share in (("0.001", quick), ("0.051", 1.0), ("+Inf", 1.0))
    )


def _paired(value: float) -> tuple[Signal, ...]:
    labels = {**PROBE, "kind": "udp"}
    return (
        level(probes.ADDED_RTT, value, stat="median_low", **labels),
        level(probes.ADDED_RTT, 0.3, stat="median_high", **labels),
    )


SCENARIOS = (
    Scenario(
        "NatDefaultRouteMissing",
        highest(30),
        {
            "one family": lambda value: (
                level(routing.DEFAULT_ROUTE_PRESENT, value, family="ipv4"),
                level(routing.DEFAULT_ROUTE_PRESENT, 1, family="ipv6"),
            )
        },
        rest=1,
        shows={"family": "ipv4"},
        reach=30,
        step=15,
    ),
    Scenario(
        "NatSubnetRouteMissing",
        mean(_TWO),
        {
            "nothing arrives": lambda value: _arriving(value, 0),
            "nothing ever arrived": _never_seen,
            "the host has no route": _no_route,
            "the host had no route": Way(
                _once_no_route, both(through(mean(_TWO), _whole, lambda share: share), lasting(_TWO))
            ),
        },
        guards={
            "packets arrive": _timing_out,
            "few attempts": lambda value: (*_arriving(value, 0)[2:], *attempts(value, FEW)),
            "taps are off": lambda value: _never_seen(value)[:3],
            "the NAT itself probes": _on_the_nat,
        },
        apart=frozenset({"taps are off", "the NAT itself probes"}),
        reach=_TWO,
        step=15,
    ),
    Scenario(
        "NatReturnBlocked",
        mean(_TWO),
        {
            "taps": _passing("outside_in", "inside_out"),
            "taps, few packets": _passing("outside_in", "inside_out", MORE),
            "denied": _blocked(100, 0, 50.9),
            "denied of those that were tracked": _blocked(120, 40, 40.8),
            "denied, few attempts": _blocked(_MANY + 0.2, 0, 10.3),
        },
        guards={
            "few packets": _passing("outside_in", "inside_out", FEW),
            "half of it denied": _blocked(100, 0, 50),
            "denied, very few attempts": _blocked(_MANY, 0, 20),
        },
        rest=1,
        reach=_TWO,
        step=15,
    ),
    Scenario(
        "NatForwardingBroken",
        mean(_TWO),
        {
            "taps": _passing("inside_in", "outside_out"),
            "taps, few packets": _passing("inside_in", "outside_out", MORE),
        },
        guards={"few packets": _passing("inside_in", "outside_out", FEW)},
        rest=1,
        reach=_TWO,
    ),
    Scenario(
        "NatNoReturnTraffic",
        mean(_TWO),
        {
            "taps": _passing("outside_out", "outside_in"),
            "taps, few packets": _passing("outside_out", "outside_in", MORE),
        },
        guards={"few packets": _passing("outside_out", "outside_in", FEW)},
        rest=1,
        reach=_TWO,
    ),
    Scenario(
        "NatProbeFailing",
        mean(_TWO),
        {"probes": _failing(100), "few probes": _failing(MORE)},
        guards={"very few probes": _failing(FEW)},
        reach=_TWO,
    ),
    Scenario(
        "NatClusterFailing",
        touched(_TWO),
        {
            "half of ten": lambda value: _fleet(10, round(value * 10))(value),
            "two of four": _fleet(4, 2),
            "few attempts": _fleet(4, 2, number=5.5),
            "four of eight, and two that are well are in maintenance": _fleet(10, 4, (8, 9)),
        },
        guards={
            "one of two": _fleet(2, 1),
            "very few attempts": _fleet(4, 2, number=FEW),
            "one of two, and one that fails is in maintenance": _fleet(3, 2, (1,)),
            "five of eleven": _fleet(11, 5),
            "three of eight, and two that fail are in maintenance": _fleet(10, 5, (0, 1)),
            "those that fail are in maintenance": _fleet(10, 5, range(1, 5)),
            "the cluster is in maintenance": _cluster_in_maintenance,
        },
        good={"critical": 0.4},
        reach=_TWO,
    ),
    Scenario(
        "NatPublicAddressUnexpected",
        highest(MINUTE),
        {
            "one of two probes": lambda value: (
                level(probes.ADDRESS_EXPECTED, value, **PROBE),
                level(probes.ADDRESS_EXPECTED, 1, **PROBE | {"kind": "stun"}),
            )
        },
        rest=1,
        reach=MINUTE,
        step=15,
    ),
    Scenario(
        "NatResets",
        mean(_FIVE),
        {"both directions": _resets, "few connections": lambda value: _resets(value, 20.4)},
        guards={"very few connections": lambda value: _resets(value, 20)},
    ),
    Scenario(
        "NatAddedLatency",
        lowest(_FIVE),
        {"pairs": _paired, "inside the NAT": Way(_residence, through(mean(_FIVE), _slow_share, _added))},
        rest=0.0049,
    ),
)
