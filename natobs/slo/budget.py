"""Error budgets and burn rates as plain arithmetic on events: what the recording rules must come to.

Pure. Knows counters, windows and objectives; refuses to know Prometheus, where
the same is computed step by step.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from natobs.catalogue.naming import MINUTE
from natobs.catalogue.objectives import Objective

LONGEST_GAP = 5 * MINUTE
"""Seconds. What a counter grew by while nobody looked for longer than this belongs to no time, and is not counted."""


class Events(NamedTuple):
    """Events that were counted at a time.

    Args:
        time: in seconds, when they were read.
        bad: how many of them were bad.
        total: how many there were.
    """

    time: float
    bad: float
    total: float


def increments(readings: Sequence[tuple[float, float]], gap: float = LONGEST_GAP) -> Iterator[tuple[float, float]]:
    """What a counter grew by from one reading to the next, credited to the later one.

    Args:
        readings: time in seconds and value, in order. A value below the one before is a counter that began again at 0.
        gap: seconds between two readings beyond which nothing is credited.
    """
    for (before, low), (now, high) in pairwise(readings):
        if now - before <= gap:
            yield now, high - low if high >= low else high


def share(events: Iterable[Events], begin: float, end: float) -> float | None:
    """Share of bad events after ``begin`` and up to ``end``: by events, so that a quiet hour weighs little.

    Returns:
        None where there were no events: an idle window has no share, and is not good either.
    """
    within = [one for one in events if begin < one.time <= end]
    total = sum(one.total for one in within)
    return sum(one.bad for one in within) / total if total > 0 else None


def burn_rate(bad: float, objective: Objective) -> float:
    """How many times as fast as it lasts a budget is spent, for a share of bad events."""
    return bad / objective.budget


def remaining(bad: float, objective: Objective) -> float:
    """What is left of the budget of a period with this share of bad events; below zero when it is overspent."""
    return 1 - burn_rate(bad, objective)
