"""How each objective stands: what is left of its error budget, and who has spent most.

Pure: series in, standings out. Reads what the rules of natobs record, and those
of Sloth; what is not recorded is not known, and never reads as kept. Refuses to
know where series come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from natobs.catalogue.naming import BUDGET_REMAINING, CURRENT_BURN, ERROR_RATIO, OBJECTIVE, SLO_INFO, SLO_LABELS
from natobs.catalogue.promql import Scope
from natobs.slo.prometheus import Series, selector

_ID = SLO_LABELS[0]
_CLUSTER = Scope.CLUSTER.value[0]
_ERRORS, _LEFT, _BURN = ERROR_RATIO["30d"].name, BUDGET_REMAINING.name, CURRENT_BURN.name
_OF_GROUPS, _OF_OBJECTIVES = (_ERRORS, _LEFT, _BURN), (OBJECTIVE.name, SLO_INFO.name)
_OF_THE_SERIES = frozenset({"__name__", "sloth_window"})


class State(Enum):
    """How an objective stands."""

    SPENT = "spent"
    UNKNOWN = "no data"
    KEPT = "kept"


_WORST_FIRST = (State.SPENT, State.UNKNOWN, State.KEPT)


@dataclass(frozen=True, slots=True)
class Group:
    """The budget of one NAT, subnet or destination.

    Args:
        labels: whose; without those that only tell series apart.
        errors: share of bad events over 30 days; None when it is not known.
        left: share of the budget that is left, below zero when it is overspent; None when it is not known.
        burn: how many times as fast as it lasts the budget is spent now; None where there are no events now.
    """

    labels: Mapping[str, str]
    errors: float | None
    left: float | None
    burn: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """One objective.

    Args:
        id: ``sloth_id``.
        title: in a few words; empty where none is recorded.
        target: share of good events; None when it is not recorded.
        groups: whose budgets are known, the worst first.
        unknown: how many groups have some of the series and not the budget.
    """

    id: str
    title: str
    target: float | None
    groups: tuple[Group, ...]
    unknown: int

    @property
    def state(self) -> State:
        """Spent when one group's budget is; kept only if every group's is known."""
        if any(_remaining(group) <= 0 for group in self.groups):
            return State.SPENT
        return State.UNKNOWN if self.unknown or not self.groups else State.KEPT


OBJECTIVES = selector(_OF_OBJECTIVES)
"""The query that says which objectives there are, and their targets."""


def budgets(slo: str, cluster: str = "") -> str:
    """The query of one objective's budgets: a large fleet has too many for one answer about all objectives."""
    return selector(_OF_GROUPS, cluster, **{_ID: slo})


def recorded(found: Sequence[Series]) -> list[str]:
    """The ids of the objectives that the answer to :data:`OBJECTIVES` names, each once."""
    return list(dict.fromkeys(labels[_ID] for labels, _ in found if _ID in labels))


def standings(found: Sequence[Series], cluster: str = "") -> tuple[Standing, ...]:
    """Every objective that is recorded, the worst first.

    Args:
        found: what Prometheus answered to :data:`OBJECTIVES` and to :func:`budgets`.
        cluster: only budgets of this NAT cluster; empty for all.
    """
    groups: dict[frozenset[tuple[str, str]], dict[str, float | None]] = {}
    titles: dict[str, str] = {}
    targets: dict[str, float | None] = {}
    for labels, value in found:
        name, slo = labels.get("__name__", ""), labels.get(_ID, "")
        if name == OBJECTIVE.name:
            targets[slo] = value
        elif name == SLO_INFO.name:
            titles[slo] = labels.get("title", "")
        elif name in _OF_GROUPS and cluster in ("", labels.get(_CLUSTER)):
            identity = frozenset((label, text) for label, text in labels.items() if label not in _OF_THE_SERIES)
            groups.setdefault(identity, {})[name] = value
    ids = dict.fromkeys((*targets, *titles, *(dict(identity)[_ID] for identity in groups if _ID in dict(identity))))
    made = [_standing(slo, titles.get(slo, ""), targets.get(slo), groups) for slo in ids]
    return tuple(sorted(made, key=_order))


def _standing(
    slo: str,
    title: str,
    target: float | None,
    groups: Mapping[frozenset[tuple[str, str]], Mapping[str, float | None]],
) -> Standing:
    mine = [
        Group(dict(identity), series.get(_ERRORS), series.get(_LEFT), series.get(_BURN))
        for identity, series in groups.items()
        if (_ID, slo) in identity
    ]
    known = sorted((one for one in mine if one.left is not None), key=_remaining)
    return Standing(slo, title, target, tuple(known), len(mine) - len(known))


def _remaining(group: Group) -> float:
    assert group.left is not None  # only groups whose budget is known are kept
    return group.left


def _order(standing: Standing) -> tuple[int, float, str]:
    least = _remaining(standing.groups[0]) if standing.groups else 1.0
    return _WORST_FIRST.index(standing.state), least, standing.id
