"""Scenarios of alerts on the watching itself."""

from natobs.catalogue.metrics import accounting, agent, probes
from natobs.catalogue.naming import DAY, HOUR, MINUTE, OLDEST_SAMPLE, UP
from natobs.generate.scenarios.model import Clock, Scenario, Shape, Signal, Values, Way, growing, level, prober, stamp
from natobs.generate.scenarios.shapes import highest, lasting, lowest, mean, now, through

_FIVE = 5 * MINUTE
_PROBE = {"probe": "web", "kind": "tcp", "target": ""}
_BUILD = {"version": "0.1.0", "python": "3.11.2"}
_ELSEWHERE = {"nat_cluster": "", "nat": "", "instance": "web-1:9100"}
_KEPT = 40 * DAY
"""How much Prometheus remembers while all is well."""


def _up(value: float) -> tuple[Signal, ...]:
    """An agent, a prober beside it that is well, and something that is no NAT and down."""
    return (level(UP, value), prober(level(UP, 1)), level(UP, 0, **_ELSEWHERE))


def _prober_up(value: float) -> tuple[Signal, ...]:
    """A prober beside an agent that goes with it, and something of a subnet that is behind no NAT and down."""
    return (prober(level(UP, value)), level(UP, value), level(UP, 0, **_ELSEWHERE, subnet="subnet-{n}"))


def _watched(value: float) -> tuple[Signal, ...]:
    """One agent or none, and something that is no NAT."""
    return (*((level(UP, 0),) if value else ()), level(UP, 1, **_ELSEWHERE))


def _gone(value: float) -> tuple[Signal, ...]:
    """An agent and a reflector that is no NAT's as long as the value is 0, and a prober that stays."""
    reflector = {"nat_cluster": "reflectors-{n}", "nat": "", "instance": "reflector-{n}:8080"}
    there = (level(agent.BUILD, 1, **_BUILD), level(agent.BUILD, 1, **_BUILD, **reflector))
    return (prober(level(agent.BUILD, 1, **_BUILD)), *(() if value else there))


def _attempts(value: float) -> tuple[Signal, ...]:
    return (growing(probes.ATTEMPTS, value, **_PROBE),)


def _vanished(value: float) -> tuple[Signal, ...]:
    return _attempts(value) if value else ()


def _history(value: float) -> tuple[Signal, ...]:
    """How much Prometheus remembers as a share of 30 days, when the fault begins."""
    begins = 3 * DAY + HOUR // 2
    return (stamp(OLDEST_SAMPLE, begins - value * 30 * DAY, **_ELSEWHERE | {"instance": "prometheus-{n}:9090"}),)


_SHORTER = 0.8
"""Short enough to be so until all that it forgot is forgotten."""


def _remembered() -> Shape:
    """The share of 30 days, growing again; as long as it is known that something was forgotten within three days."""

    def shape(values: Values, clock: Clock) -> Values:
        return [
            (value or 0) + (index - clock.begins) * clock.step / (30 * DAY)
            if clock.begins <= index < clock.begins + 3 * DAY // clock.step
            else None
            for index, value in enumerate(values)
        ]

    return shape


SCENARIOS = (
    Scenario("NatWatchdog", now(), {"an agent": _watched}, reach=30, maintained=False),
    Scenario("NatAgentDown", highest(MINUTE), {"an agent": _up}, rest=1, reach=MINUTE),
    Scenario(
        "NatAgentAbsent",
        lasting(DAY),
        {"an agent": _gone},
        reach=_FIVE,
        lasts=DAY + HOUR,
        step=_FIVE,
    ),
    Scenario("NatProberDown", highest(MINUTE), {"a prober": _prober_up}, rest=1, reach=MINUTE),
    Scenario(
        "NatProbesSilent",
        mean(_FIVE),
        {"no attempts": _attempts, "no prober": Way(_vanished, mean(_FIVE))},
        rest=10,
        good={"warning": 0.003},  # less than one in five minutes, and more than nothing
        idles=False,
    ),
    Scenario(
        "NatProbeScheduleLate",
        lowest(_FIVE),
        {"late": lambda value: (level(probes.SCHEDULE_LAG, value),)},
    ),
    Scenario(
        "NatCollectorFailing",
        highest(_FIVE),
        {
            "one of two": lambda value: (
                level(agent.COLLECTOR_SUCCESS, value, collector="nic"),
                level(agent.COLLECTOR_SUCCESS, 1, collector="host"),
            )
        },
        rest=1,
        shows={"collector": "nic"},
    ),
    Scenario(
        "NatRetentionTooShort",
        _remembered(),
        {
            "a short one": _history,
            "a shorter one": Way(
                lambda value: _history(_SHORTER * value),
                through(_remembered(), lambda value: _SHORTER * value, lambda share: share),
            ),
        },
        guards={"a young one": lambda _value: _history(0.1)},
        rest=_KEPT / (30 * DAY),
        good={"warning": 1.02},
        shows={"nat_cluster": "prometheus", "instance": "prometheus-{n}:9090"},
        reach=3 * DAY,
        lasts=4 * DAY,
        step=HOUR // 2,
        maintained=False,
    ),
    Scenario(
        "NatAccountingOutdated",
        highest(_FIVE),
        {"old": lambda value: (level(accounting.CURRENT, value), level(accounting.INSTALLED, 1))},
        guards={"not installed": lambda value: (level(accounting.CURRENT, value), level(accounting.INSTALLED, 0))},
        rest=1,
    ),
)
