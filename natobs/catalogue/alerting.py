"""What an operational alert is, and the rules it is checked against when it is built.

Knows thresholds, durations and relations of cause and effect as values. Knows no
alert by name: those are in :mod:`natobs.catalogue.alerts`.
"""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from natobs.catalogue.naming import MINUTE, Action, Severity
from natobs.catalogue.promql import Query, Scope
from natobs.errors import CatalogueError

_NAME = re.compile(r"Nat([A-Z][a-z0-9]+)+")
_FAULT = re.compile(r"(F[1-9])?")

Comparison = Literal[">", ">=", "<", "<=", "=="]
Unit = Literal["ratio", "seconds", "per_second", "count", "state"]
"""How a value is read: ``0.75`` as 75 %, as a time, as a rate, as a number, or not at all."""


class Level(NamedTuple):
    """One severity of an alert.

    Args:
        severity: of the notification.
        action: what becomes of it.
        threshold: of the alert's value.
        hold: seconds that it must last (``for``).
    """

    severity: Severity
    action: Action
    threshold: float
    hold: int


def page(threshold: float, hold: int = MINUTE) -> Level:
    """Somebody is woken."""
    return Level(Severity.CRITICAL, Action.PAGE, threshold, hold)


def ticket(threshold: float, hold: int = 5 * MINUTE) -> Level:
    """Somebody looks at it in the daytime."""
    return Level(Severity.WARNING, Action.TICKET, threshold, hold)


def note(threshold: float, hold: int = 0) -> Level:
    """Nobody is told; it is shown, and may silence others."""
    return Level(Severity.INFO, Action.NONE, threshold, hold)


@dataclass(frozen=True, slots=True)
class Alert:
    """One condition, with one or two thresholds.

    Args:
        name: CamelCase, first word ``Nat``; the same for all its severities.
        sli: the indicator that it is about, ``M1`` to ``M10``, or empty for trouble of the monitoring itself.
        scope: for whom it fires: all of these labels are on the alert.
        value: what is compared, by scope and ``extra``.
        compare: how.
        levels: the mildest first; thresholds grow worse in the direction of the comparison.
        summary: one sentence without values, for a list of alerts.
        description: sentence that may use ``{value}`` and ``{labels}``; see :mod:`natobs.generate`.
        unit: how the value is read.
        fault: the failure mode of MISSION that it names, ``F1`` to ``F9``, or empty.
        extra: more labels of the value, such as ``device``.
        where: another condition, on the scope's labels, that must hold too.
        keep: seconds that it goes on firing after its condition has ended.
        silences: names of alerts that are symptoms of this one, on the same labels of its scope; none may have a wider
            scope, whose trouble has other causes too. Where this one pages, it silences pages and tickets; where it is
            a ticket, tickets alone.
        explains: those of ``silences`` whose pages too are silenced by a ticket; an exception that gives its reason.
        masked: whether declared maintenance silences it in its expression already.
        rests_on: what it takes beyond an agent: ``probes``, ``taps``, ``accounting``, ``census``, or nothing.
        quiet: why its expression returns nothing while all is well, where that is not for lack of the threshold alone.
    """

    name: str
    sli: str
    scope: Scope
    value: Query
    compare: Comparison
    levels: tuple[Level, ...]
    summary: str
    description: str
    unit: Unit = "count"
    fault: str = ""
    extra: tuple[str, ...] = ()
    where: Query | None = None
    keep: int = 5 * MINUTE
    silences: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    masked: bool = True
    rests_on: tuple[str, ...] = ()
    quiet: str = ""

    def __post_init__(self) -> None:
        downwards = self.compare in {"<", "<="}
        thresholds = [level.threshold for level in self.levels]
        problems = {
            "its name is CamelCase and starts with Nat": not _NAME.fullmatch(self.name),
            "its fault is F1 to F9": not _FAULT.fullmatch(self.fault),
            "it needs a level": not self.levels,
            "its levels must become worse": thresholds != sorted(thresholds, reverse=downwards),
            "two of its levels are alike": len({level.severity for level in self.levels}) != len(self.levels),
            "its summary is a sentence without values": not self.summary.endswith(".") or "{" in self.summary,
            "its description is a sentence": not self.description.endswith("."),
            "it silences itself": self.name in self.silences,
            "what it explains it silences": not set(self.explains) <= set(self.silences),
        }
        broken = [rule for rule, violated in problems.items() if violated]
        if broken:
            raise CatalogueError(f"alert {self.name}: {'; '.join(broken)}")

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of its value: of the scope, and its own."""
        return (*self.scope.value, *self.extra)

    def condition(self, level: Level) -> Query:
        """The expression of one severity, without the mask of maintenance."""
        compared = self.value.compare(self.compare, level.threshold)
        return compared if self.where is None else compared.both(self.where, self.scope)
