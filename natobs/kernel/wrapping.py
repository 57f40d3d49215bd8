"""Totals of counters that the kernel keeps in 32 bits: they neither wrap, nor fall when a part of a sum goes away.

Prometheus takes a sum that falls for a restart, and then counts the whole rest
of it again as new; a sum over queues must therefore be kept here, increment by
increment. Knows how far a counter went; refuses to know what it counts.
"""

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

_WRAP = 1 << 32

Series = TypeVar("Series", bound=Hashable)
Source = TypeVar("Source", bound=Hashable)


def increment(before: int, now: int) -> int:
    """How far a 32-bit counter went since it was last read.

    One that went back by less than half its range was reset, and counts from
    zero; by more, it wrapped.
    """
    forward = (now - before) % _WRAP
    return forward if forward < _WRAP // 2 or now >= before else now


class WideTotals(Generic[Series, Source]):
    """A total for each series, fed from one or several counters.

    The first reading of a counter is taken as it is. A counter that is gone is
    forgotten, its part of the total is not; a series without counters is.
    """

    def __init__(self) -> None:
        self._last: dict[Source, int] = {}
        self._totals: dict[Series, int] = {}

    def update(self, counters: Iterable[tuple[Series, Source, int]], *, same_sources: bool = True) -> dict[Series, int]:
        """Add what was counted since the last update; the totals of the series that have counters now.

        Args:
            counters: series, what tells this counter from all others, and its present value.
            same_sources: without it, these are other counters of the same things, and may be numbered otherwise:
                known series get nothing added and go on from here.
        """
        last: dict[Source, int] = {}
        totals: dict[Series, int] = {}
        for series, source, value in counters:
            total = totals[series] if series in totals else self._totals.get(series, 0)
            if same_sources or series not in self._totals:
                total += increment(self._last.get(source, 0) if same_sources else 0, value)
            totals[series] = total
            last[source] = value
        self._last, self._totals = last, totals
        return dict(totals)
