"""How budgets read to a person, on a terminal and on a page."""

from natobs.slo.status import Group

_LABELS = ("nat_cluster", "nat", "subnet", "target", "destination")


def whose(group: Group) -> str:
    """The NAT, subnet or destination that a budget is of."""
    return " ".join(group.labels[label] for label in _LABELS if group.labels.get(label))


def share(value: float | None) -> str:
    """A share as a person reads it."""
    return "no data" if value is None else f"{value * 100:.3f} %"


def burn(value: float | None) -> str:
    """A burn rate as a person reads it."""
    return "no data" if value is None else f"{value:.2f}x"
