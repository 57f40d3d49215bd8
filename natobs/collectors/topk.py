"""Counters by key, of which only the busiest are told apart: top-K series, and one for all the rest.

Pure: counters of many things and their total in, series out. The rules:

* What was counted since the last reading is credited to exactly one series when
  it is read: to that of its key, or to the rest. So over any window the increases
  of all series add up to the increase of the total, and none ever falls.
* A key that is promoted starts at zero with the next reading; what it counted
  before is, and stays, in the rest. One that is demoted disappears, and what it
  counted since the last reading is the rest's.
* Who is shown is sticky: a key gives way when nothing counts for it any more,
  when it has been silent for a while and another needs the place, or when another
  is twice as busy.

Where the keys have counted more than the total, because the two were not read at
the same instant, the rest waits until the total has caught up.
"""

from collections.abc import Collection, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Generic, NamedTuple, TypeVar

Key = TypeVar("Key", bound=Hashable)

_MEMORY = 0.8
"""How much of a key's busyness is left after one reading: half of it after three, a tenth after ten."""
_TWICE = 2.0
_SILENT = 0.5
"""Busyness below which a key gives way to any other: less than one attempt in the latest readings."""


class Counts(NamedTuple):
    """Two counters that belong together; who is busy is decided by the first."""

    attempts: int
    answers: int

    def since(self, before: "Counts") -> "Counts":
        """What was counted since an earlier reading; a counter that has fallen began anew."""
        return Counts(*(now - then if now >= then else now for now, then in zip(self, before, strict=True)))

    def plus(self, other: "Counts") -> "Counts":
        """The sums."""
        return Counts(self.attempts + other.attempts, self.answers + other.answers)


ZERO = Counts(0, 0)


class Increments:
    """What elements of sets, which expire and come back, have counted since the last reading.

    The first reading says nothing: nobody knows when its counts were made. An
    element that only one reading lacked was there all the time: Linux goes on with
    a dump by counting the elements before, and passes one over for each that it
    removes from there meanwhile (net/netfilter/nft_set_hash.c, nft_rhash_walk), and
    does not say so. Its whole past must not count a second time.
    """

    def __init__(self) -> None:
        self._before: dict[bytes, int] | None = None
        self._missing: dict[bytes, int] = {}

    def restart(self) -> None:
        """The elements were made anew: all that they have counted is new."""
        self._before, self._missing = {}, {}

    def since(self, elements: Iterable[tuple[bytes, int, int]]) -> dict[bytes, int]:
        """Packets by element, those that have counted some; elements are key, bytes and packets."""
        before = self._before
        now = {key: packets for key, _bytes, packets in elements}
        self._before = now
        if before is None:
            return {}
        then = (self._missing | before if self._missing else before).get
        self._missing = {key: packets for key, packets in before.items() if key not in now}
        more = {key: packets - then(key, 0) for key, packets in now.items() if packets != then(key, 0)}
        return {key: count if count > 0 else now[key] for key, count in more.items()}


@dataclass(slots=True)
class Memory(Generic[Key]):
    """What has to be remembered for the series to go on: all that a state file keeps.

    Args:
        total: the counters of everything at the last reading, None before the first.
        credited: what all series together have been credited with: the total as it is exported.
        rest: the series of everything without one of its own.
        debt: by how much the keys were ahead of the total.
        shown: the series of keys.
    """

    total: Counts | None = None
    credited: Counts = ZERO
    rest: Counts = ZERO
    debt: Counts = ZERO
    shown: dict[Key, Counts] = field(default_factory=dict)


class TopCounters(Generic[Key]):
    """At most ``limit`` keys with a series of their own.

    Args:
        limit: 0 or more.
        memory: of an earlier life.
    """

    def __init__(self, limit: int, memory: Memory[Key] | None = None) -> None:
        self._limit = limit
        self.memory: Memory[Key] = memory or Memory()
        self._busy: dict[Key, float] = {}

    def update(self, total: Counts, increments: Mapping[Key, Counts], present: Collection[Key]) -> None:
        """Credit one reading.

        Args:
            total: everything, keys that are not told apart included; never falls.
            increments: what keys have counted since the last reading.
            present: keys that something counts for; the others are forgotten.
        """
        memory = self.memory
        promoted = self._rank(increments, present)
        if memory.total is None:  # what was counted before anybody looked belongs to no key
            memory.credited = memory.rest = total
        else:
            self._credit(total.since(memory.total), increments)
        memory.total = total
        memory.shown.update(dict.fromkeys(promoted, ZERO))

    def _credit(self, everything: Counts, increments: Mapping[Key, Counts]) -> None:
        memory = self.memory
        mine = ZERO
        for key, value in memory.shown.items():
            more = increments.get(key)
            if more is not None:
                memory.shown[key] = value.plus(more)
                mine = mine.plus(more)
        left = [e - m - d for e, m, d in zip(everything, mine, memory.debt, strict=True)]
        rest = Counts(*(max(0, amount) for amount in left))
        memory.debt = Counts(*(max(0, -amount) for amount in left))
        memory.rest = memory.rest.plus(rest)
        memory.credited = memory.credited.plus(mine).plus(rest)

    def _rank(self, increments: Mapping[Key, Counts], present: Collection[Key]) -> list[Key]:
        """Demote whoever gives way, before anything is credited; gives the keys to promote."""
        shown = self.memory.shown
        busy = {key: value * _MEMORY for key, value in self._busy.items() if value * _MEMORY >= _SILENT}
        for key, more in increments.items():
            if more.attempts:
                busy[key] = busy.get(key, 0.0) + more.attempts
        self._busy = busy
        for key in [key for key in shown if key not in present]:
            del shown[key]
        idlest_first = iter(sorted(shown, key=lambda key: busy.get(key, 0.0)))
        while len(shown) > self._limit:  # an earlier life had a higher one
            del shown[next(idlest_first)]
        promoted: list[Key] = []
        waiting = (key for key in busy if key not in shown and key in present)
        for key in nlargest(self._limit, waiting, key=busy.__getitem__):
            if len(shown) + len(promoted) >= self._limit:
                idlest = next(idlest_first, None)
                if idlest is None or _SILENT <= busy.get(idlest, 0.0) > busy[key] / _TWICE:
                    break
                del shown[idlest]
            promoted.append(key)
        return promoted
