"""Whether risky changes may go on: no error budget may burn too fast over 30 minutes and over 6 hours at once.

Pure: series in, verdicts out. A burn rate that is not known is neither good nor
bad; one window that is known to burn slowly is enough to know that an SLO is not
burning. Refuses to know where series come from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from natobs.catalogue.naming import ERROR_BUDGET, ERROR_RATIO, SLO_LABELS
from natobs.catalogue.promql import Scope
from natobs.slo.prometheus import Series, selector

SLO_ID = SLO_LABELS[0]
GROUP = Scope.SUBNET.value
"""Labels that say whose SLO it is."""
_CLUSTER = Scope.CLUSTER.value[0]
_OF_THE_SERIES = frozenset({"__name__", "sloth_window"})
"""Labels that tell series of one SLO apart, and not SLOs."""
_SHORT, _LONG, _BUDGET = ERROR_RATIO["30m"].name, ERROR_RATIO["6h"].name, ERROR_BUDGET.name
_WINDOWS = {_SHORT: "30 minutes", _LONG: "6 hours"}


class Verdict(Enum):
    """What is known of one SLO, or of all together."""

    FREE = "free"
    BURNING = "burning"
    UNKNOWN = "unknown"


_WORST_FIRST = (Verdict.BURNING, Verdict.UNKNOWN, Verdict.FREE)


@dataclass(frozen=True, slots=True)
class Row:
    """One SLO of one cluster, NAT or subnet.

    Args:
        labels: which; without those that only tell series apart.
        budget: the share of errors that it may have; None when it is not known.
        burn_30m: errors over 30 minutes as a multiple of the budget; None when it is not known.
        burn_6h: the same over 6 hours.
        verdict: what follows.
        why: what is not known; empty when all that matters is.
    """

    labels: Mapping[str, str]
    budget: float | None
    burn_30m: float | None
    burn_6h: float | None
    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """What all rows together say.

    Args:
        verdict: burning when one is, else unknown when one is or there is none, else free.
        rows: the worst first.
        why: what is not known of all of them.
    """

    verdict: Verdict
    rows: tuple[Row, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Args:
        factor: a multiple of the budget; at so much an SLO is burning.
        cluster: only SLOs of this NAT cluster; empty for all.
        slos: only SLOs of these ids, each of which must be known; empty for all.
    """

    factor: float = 4.0
    cluster: str = ""
    slos: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """The query whose series :func:`judge` takes: one, so that all are of the same moment."""
        return selector((_SHORT, _LONG, _BUDGET), self.cluster)


def judge(found: Sequence[Series], question: Question) -> Gate:
    """The verdict on the series that the question's expression gave."""
    wanted = [one for one in found if not question.slos or one.labels.get(SLO_ID, "") in question.slos]
    errors: dict[frozenset[tuple[str, str]], dict[str, float | None]] = {}
    budgets: list[Series] = []
    for labels, value in wanted:
        series = labels.get("__name__", "")
        if series == _BUDGET:
            budgets.append(Series(labels, value))
        elif series in _WINDOWS and question.cluster in ("", labels.get(_CLUSTER)):
            errors.setdefault(frozenset(_identity(labels).items()), {})[series] = value
    rows = [_row(dict(key), windows, budgets, question.factor) for key, windows in errors.items()]
    rows += _without_errors(rows, budgets)
    known = {row.labels.get(SLO_ID) for row in rows}
    rows += [
        Row({SLO_ID: slo}, None, None, None, Verdict.UNKNOWN, "no series is recorded for an SLO of this id")
        for slo in question.slos
        if slo not in known
    ]
    if not rows:
        where = f" of cluster {question.cluster}" if question.cluster else ""
        return Gate(
            Verdict.UNKNOWN,
            (),
            f"no SLO{where} is recorded ({_SHORT}): are the rules loaded, and is it scraped?",
        )
    verdicts = {row.verdict for row in rows}
    worst = next(one for one in _WORST_FIRST if one in verdicts)
    return Gate(worst, tuple(sorted(rows, key=_order)))


def _row(
    labels: Mapping[str, str], windows: Mapping[str, float | None], budgets: Sequence[Series], factor: float
) -> Row:
    budget = _budget(labels, budgets)
    if not budget:
        why = "its error budget is not recorded" if budget is None else "its error budget is 0"
        return Row(labels, budget, None, None, Verdict.UNKNOWN, why)
    errors = (windows.get(_SHORT), windows.get(_LONG))
    short, long = (None if error is None else error / budget for error in errors)
    if any(burn is not None and burn < factor for burn in (short, long)):
        return Row(labels, budget, short, long, Verdict.FREE)
    if short is not None and long is not None:
        return Row(labels, budget, short, long, Verdict.BURNING)
    silent = [words for series, words in _WINDOWS.items() if windows.get(series) is None]
    return Row(labels, budget, short, long, Verdict.UNKNOWN, f"no error ratio over {' and '.join(silent)}")


def _without_errors(rows: Sequence[Row], budgets: Sequence[Series]) -> Iterator[Row]:
    """SLOs that have a budget and nothing else."""
    for budget in budgets:
        if not any(_agree(budget.labels, row.labels) for row in rows):
            why = f"no error ratio over {' and '.join(_WINDOWS.values())}"
            yield Row(_identity(budget.labels), budget.value, None, None, Verdict.UNKNOWN, why)


def _budget(labels: Mapping[str, str], budgets: Sequence[Series]) -> float | None:
    """The budget that is recorded for just this group, else the one for all groups."""
    fitting = [one for one in budgets if _agree(one.labels, labels)]
    closest = max(fitting, key=lambda one: sum(bool(one.labels.get(label)) for label in GROUP), default=None)
    return None if closest is None else closest.value


def _agree(budget: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    same_group = all(budget.get(label, "") in ("", labels.get(label, "")) for label in GROUP)
    return same_group and budget.get(SLO_ID) == labels.get(SLO_ID)


def _identity(labels: Mapping[str, str]) -> dict[str, str]:
    return {label: value for label, value in labels.items() if label not in _OF_THE_SERIES}


def _order(row: Row) -> tuple[int, float, list[tuple[str, str]]]:
    burns = [burn for burn in (row.burn_30m, row.burn_6h) if burn is not None]
    return _WORST_FIRST.index(row.verdict), -max(burns, default=0.0), sorted(row.labels.items())
