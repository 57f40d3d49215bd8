"""Scenarios of alerts on what changed."""

from natobs.catalogue.metrics import accounting, events, host, kernel_log, operations, protocols, protocols6, routing
from natobs.catalogue.naming import GRACE, HOUR, MINUTE
from natobs.catalogue.types import Metric
from natobs.generate.scenarios import model
from natobs.generate.scenarios.model import Clock, Feed, Scenario, Shape, Signal, Values, Way, burst, growing, stamp
from natobs.generate.scenarios.shapes import mean, now, once, since

_FIVE, _TEN = 5 * MINUTE, 10 * MINUTE
_STARTED = _TEN + 30
_DECLARED = 20 * MINUTE
"""How long maintenance lasts, the minutes after its end included."""


def _until(metric: Metric) -> Feed:
    """Maintenance that is declared with the fault of the test, and masks as long as it lasts."""
    ends = 2 * 30 + _DECLARED - GRACE
    return lambda value: (stamp(metric, ends),) if value else ()


def _lost(pickups: float, flows: float) -> tuple[Signal, ...]:
    return (burst(accounting.MIDSTREAM, pickups), burst(events.LOST_FLOWS, flows, cause="kernel"))


_BOTH_VERSIONS = (protocols.IP_FORWARDED, protocols6.IP6_FORWARDED)


def _forwarded(hourly: float, *metrics: Metric) -> Feed:
    """So many packets an hour while all is well, and a value by the second when not; as many of each IP version."""
    counters = metrics or (protocols.IP_FORWARDED,)
    return lambda value: tuple(
        growing(one, value / len(counters)) if value < hourly else model.events(one, hourly / len(counters), HOUR)
        for one in counters
    )


def _forwarded_still(value: float) -> tuple[Signal, ...]:
    """IPv4 comes to a standstill, and IPv6 goes on."""
    return (*_forwarded(_HOURLY)(value), growing(protocols6.IP6_FORWARDED, 1))


def _stopped(hourly: float) -> Shape:
    """The rate of five minutes, while more than 600 packets went through within the hour that ended ten minutes ago."""

    def shape(values: Values, clock: Clock) -> Values:
        fed = [0.0 if value is None else min(value, hourly / HOUR) for value in values]
        rates = mean(_FIVE)(fed, clock)
        found: list[float | None] = []
        for index, rate in enumerate(rates):
            last = index - _TEN // clock.step
            window = fed[max(0, last + 1 - HOUR // clock.step) : max(0, last + 1)]
            found.append(rate if sum(window) * clock.step > 600.5 else None)  # noqa: PLR2004  600 and rounding
        return found

    return shape


_HOURLY, _LITTLE = 36_000.0, 660.0

SCENARIOS = (
    Scenario(
        "NatMaintenance",
        now(),
        {"of the NAT": _until(operations.MAINTENANCE_UNTIL)},
        reach=30,
        lasts=_DECLARED,
        maintained=False,
    ),
    Scenario(
        "NatStateLost",
        once(_FIVE),
        {
            "packets": lambda value: _lost(value, 0),
            "flows": lambda value: _lost(0, value),
            "both": lambda value: _lost(value * 0.6, value * 0.4),
            "packets, without events": lambda value: _lost(value, 0)[:1],
        },
    ),
    Scenario(
        "NatRestarted",
        since(lambda value: _STARTED - value * _TEN, _TEN),
        {"a start": lambda value: (stamp(host.BOOT_TIME, _STARTED - value * _TEN),)},
        rest=1000,
        bad={"info": 0},
        good={"info": 1},
        reach=_TEN,
        lasts=2 * _TEN,
    ),
    Scenario(
        "NatRouteChanged",
        once(_FIVE),
        {
            kind: lambda value, kind=kind: (  # type: ignore[misc]  # a default, to bind it
                burst(routing.ROUTE_CHANGES, value, kind=kind),
                growing(routing.ROUTE_CHANGES, 1, kind="changed"),
            )
            for kind in ("default_removed", "default_added", "default_changed")
        },
        reach=_FIVE,
    ),
    Scenario(
        "NatTrafficStopped",
        _stopped(_HOURLY),
        {
            "a standstill": _forwarded(_HOURLY),
            "after little": Way(_forwarded(_LITTLE), _stopped(_LITTLE)),
            "IPv6 alone": _forwarded(_HOURLY, protocols6.IP6_FORWARDED),
            "after little of both": Way(_forwarded(_LITTLE, *_BOTH_VERSIONS), _stopped(_LITTLE)),
        },
        guards={"there was little before": _forwarded(600), "IPv6 goes on": _forwarded_still},
        rest=_HOURLY,
        reach=HOUR + _TEN,
        lasts=2 * HOUR,
        step=MINUTE,
    ),
    Scenario(
        "NatScalingFlapping",
        once(HOUR),
        {
            kind: lambda value, kind=kind: (  # type: ignore[misc]  # a default, to bind it
                burst(operations.SCALING_EVENTS, value, kind=kind, reason="load"),
                growing(operations.SCALING_EVENTS, 1, kind="deploy", reason="release"),
            )
            for kind in ("scale_out", "scale_in", "failover")
        },
        reach=HOUR,
        step=MINUTE,
    ),
    Scenario(
        "NatKernelTrouble",
        once(_FIVE),
        {
            "the kernel's log": lambda value: (
                burst(kernel_log.EVENTS, value, event="oom_kill"),
                growing(kernel_log.EVENTS, 1, event="conntrack_table_full"),
            )
        },
        shows={"event": "oom_kill"},
    ),
)
