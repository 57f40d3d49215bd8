"""Rows of the catalogue in words, as runbooks and reference pages say them.

Knows how thresholds, durations, scopes and links are written for a person.
"""

from collections.abc import Iterable, Iterator

from natobs.catalogue import naming
from natobs.catalogue.alerting import Alert, Level
from natobs.catalogue.naming import MINUTE, WINDOWS, Action
from natobs.catalogue.objectives import Objective
from natobs.catalogue.promql import Rendering, Scope
from natobs.catalogue.slis import ALL as SLIS
from natobs.generate.rules.alerting import BURN_HOLD

_BECOMES = {
    Action.PAGE: "page",
    Action.FREEZE: "freeze of risky changes",
    Action.TICKET: "ticket",
    Action.NONE: "nothing; it is shown",
}
_COMPARISONS = {">": "above", ">=": "at least", "<": "below", "<=": "at most", "==": "exactly"}
_WHOM = {Scope.CLUSTER: "cluster", Scope.NAT: "NAT", Scope.SUBNET: "subnet"}
_NEEDS = {
    "probes": "[probers](../../probes/README.md) in the subnet",
    "taps": "the agent's tap, which needs probes that pass",
    "accounting": "[accounting](../accounting.md)",
    "census": "the [flow census](../census.md)",
}
_TITLES = {sli.id: sli.title for sli in SLIS}


def percent(share: float) -> str:
    """``0.999`` as ``99.9 %``."""
    return f"{share * 100:.10g} %"


def actions(given: Iterable[Action]) -> str:
    """What becomes of an alert, each once."""
    return ", ".join(dict.fromkeys(_BECOMES[action] for action in given))


def level(alert: Alert, one: Level, rendering: Rendering) -> list[str]:
    """Severity, action, threshold and duration of one level of an alert."""
    return [one.severity.value, _BECOMES[one.action], threshold(alert, one), hold(one.hold, rendering)]


def hold(seconds: int, rendering: Rendering) -> str:
    """How long it must last."""
    return rendering.duration(seconds) if seconds else "at once"


def threshold(alert: Alert, one: Level) -> str:
    """``above 75 %``."""
    amount = {
        "ratio": percent(one.threshold),
        "seconds": f"{one.threshold * 1000:g} ms" if one.threshold < 1 else f"{one.threshold:g} s",
        "per_second": f"{one.threshold:g}/s",
        "count": f"{one.threshold:g}",
    }.get(alert.unit)
    return "it is so" if amount is None else f"{_COMPARISONS[alert.compare]} {amount}"


TIER_HEAD = ("severity", "becomes", "burns", "for", "bad, at ordinary times")
"""Of the table of :func:`tiers`."""


def tiers(objective: Objective, rendering: Rendering) -> Iterator[list[str]]:
    """A row for each speed at which somebody is told of an objective."""
    events = "minutes" if objective.slices else "events"
    for tier in objective.tiers():
        yield [
            tier.severity.value,
            _BECOMES[tier.action],
            f"{tier.factor:g}x over {tier.long} and {tier.short}",
            rendering.duration(BURN_HOLD[tier.long]),
            f"{objective.failures(tier):.3g} of {objective.per_minute * WINDOWS[tier.long] / MINUTE:,.0f} {events}",
        ]


def whom(objective: Objective) -> str:
    """Who has a budget of their own."""
    return " and ".join((_WHOM[objective.scope], *objective.extra))


def promise(objective: Objective) -> str:
    """The objective as a sentence."""
    return f"{percent(objective.target)} of {objective.good}"


def sli_link(sli: str, root: str = "") -> str:
    """An indicator by name, leading to its place in the reference."""
    return f"SLI [{sli} {_TITLES[sli]}]({root}slis.md#{sli.lower()})"


def needs(parts: Iterable[str]) -> str:
    """What must be switched on, from a runbook's place."""
    return f"needs {', '.join(_NEEDS[part] for part in parts)}"


def dashboard(sli: str, grafana: str) -> str:
    """The dashboard that shows an indicator best."""
    board = naming.dashboard(sli)
    return f"dashboard [{board.removeprefix('natobs-')}]({grafana}/d/{board})"
