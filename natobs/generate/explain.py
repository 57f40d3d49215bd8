"""How many failures page: what burn tiers come to for each objective, as a table for a person.

Knows only arithmetic on the objectives; the events a minute that it starts from are the configuration's.
"""

from typing import NamedTuple

from natobs.catalogue.objectives import LEAST_FAILURES
from natobs.generate.settings import Plan


class Row(NamedTuple):
    """One tier of one objective.

    Args:
        objective: its id.
        target: share of events that must be good.
        per_minute: events a minute at ordinary times.
        tier: factor and windows.
        action: what becomes of it.
        failures: bad events within the long window that reach it, at ordinary times.
        guard: bad events that it takes at least, at any time.
        least_per_minute: events a minute below which fewer failures than the guard would reach it.
    """

    objective: str
    target: float
    per_minute: float
    tier: str
    action: str
    failures: float
    guard: int
    least_per_minute: float


def rows(plan: Plan) -> list[Row]:
    """A row for each objective and tier."""
    return [
        Row(
            objective.id,
            objective.target,
            objective.per_minute,
            f"{tier.factor:g}x over {tier.long} and {tier.short}",
            tier.action.value,
            round(objective.failures(tier), 1),
            LEAST_FAILURES,
            round(objective.least_per_minute(tier), 2),
        )
        for objective in plan.objectives
        for tier in objective.tiers()
    ]
