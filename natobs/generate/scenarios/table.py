"""Scenarios of alerts on the translation table and on public ports."""

from natobs.catalogue.metrics import conntrack, flows
from natobs.catalogue.naming import HOUR, MINUTE
from natobs.generate.scenarios.model import Feed, Scenario, Signal, Way, burst, events, growing, level
from natobs.generate.scenarios.shapes import forecast, highest, mean, once, through

_FIVE = 5 * MINUTE
_ENTRIES = 10_000
_HALF_FULL = 0.52


def _drops(reason: str, value: float) -> tuple[Signal, ...]:
    """So many at once for this reason, while those for others go on."""
    others = {"table_full", "tuple_clash", "chain_too_long"} - {reason}
    return (
        burst(conntrack.NEW_FLOW_DROPS, value, reason=reason),
        *(growing(conntrack.NEW_FLOW_DROPS, 1, reason=other) for other in sorted(others)),
    )


def _saturated(ratio: float) -> tuple[Signal, ...]:
    return (
        level(flows.SATURATION, ratio, snat_ip="192.0.2.{n}", proto="tcp"),
        level(flows.SATURATION, 0.11, snat_ip="192.0.2.{n}", proto="udp"),
    )


def _usage(limit: float) -> Feed:
    return lambda value: (level(conntrack.ENTRIES, value * _ENTRIES), level(conntrack.LIMIT, limit))


def _grown(value: float) -> float:
    """How far a table fills up; while all is well, it does not."""
    return value if value > _HALF_FULL else 0.0


def _filling(base: float) -> Feed:
    """Entries that would grow from a share of the limit to another within an hour; they stay when all is well."""

    def feed(value: float) -> tuple[Signal, ...]:
        hourly = (value - base) * _ENTRIES if value > _HALF_FULL else 0.0
        entries = Signal(conntrack.ENTRIES, level=base * _ENTRIES, events=hourly, window=HOUR, carries=True)
        return (entries, level(conntrack.LIMIT, _ENTRIES))

    return feed


def _beside(full: float) -> Feed:
    """A table that fills up from nothing, and a second one of the same NAT that is as full as that."""
    return lambda value: (
        *_filling(0.0)(value),
        level(conntrack.ENTRIES, full * _ENTRIES, instance="nat-{n}-b:9650"),
    )


def _clashes(value: float, *more: Signal) -> tuple[Signal, ...]:
    return (
        events(conntrack.NEW_FLOW_DROPS, value, _FIVE, reason="tuple_clash"),
        growing(conntrack.NEW_FLOW_DROPS, 1, reason="table_full"),
        *more,
    )


SCENARIOS = (
    Scenario("NatTableFull", once(_FIVE), {"drops": lambda value: _drops("table_full", value)}, step=15),
    Scenario(
        "NatConntrackUsage",
        highest(_FIVE),
        {
            "entries": _usage(_ENTRIES),
            "a table of one entry": lambda value: (level(conntrack.ENTRIES, value), level(conntrack.LIMIT, 1)),
        },
        guards={"a table without limit": _usage(0)},
        rest=0.41,
    ),
    Scenario(
        "NatConntrackFilling",
        forecast(_HALF_FULL, 15 * MINUTE, HOUR),
        {
            "growth": _filling(_HALF_FULL),
            "growth beside a table that is half full": Way(
                _beside(0.51), through(forecast(0, 15 * MINUTE, HOUR), _grown, lambda share: share)
            ),
        },
        guards={"growth of a small table": _filling(0.12), "beside one that is just not half full": _beside(0.5)},
        rest=_HALF_FULL,
        good={"warning": 0.8},
        reach=15 * MINUTE,
    ),
    Scenario(
        "NatTableEvicting",
        once(_FIVE),
        {"evictions": lambda value: (burst(conntrack.EARLY_DROP, value),)},
    ),
    Scenario(
        "NatPortsExhausted",
        once(_FIVE),
        {"clashes": lambda value: (*_drops("tuple_clash", value), *_saturated(0.8))},
        guards={"ports are left": lambda value: (*_drops("tuple_clash", value), *_saturated(0.79))},
        step=15,
    ),
    Scenario("NatPortSaturation", highest(_FIVE), {"ports": _saturated}, rest=0.23),
    Scenario(
        "NatTupleClashes",
        mean(_FIVE),
        {
            "ports are left": lambda value: _clashes(value, *_saturated(0.79)),
            "no census": _clashes,
        },
        guards={"no ports are left": lambda value: _clashes(value, *_saturated(0.8))},
    ),
    Scenario("NatChainsTooLong", once(_FIVE), {"drops": lambda value: _drops("chain_too_long", value)}),
    Scenario(
        "NatCensusIncomplete",
        highest(15 * MINUTE),
        {"census": lambda value: (level(flows.COMPLETE, value),)},
        rest=1,
        reach=15 * MINUTE,
    ),
)
