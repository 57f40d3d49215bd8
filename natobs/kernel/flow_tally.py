"""Counting by key in bounded memory, thousands of keys at a time.

Knows keys as columns of 64-bit integers, and two counts for each; refuses to
know what they stand for. A key is found by open addressing in a table of slots,
every round of which is a few numpy calls for all keys at once; keys are compared
whole, so that two of them are never taken for one. The hash is multiply-shift
with multipliers drawn anew for each table: nobody can send packets that collide.

Loads numpy: nothing that the agent imports when it starts may import this.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Column = NDArray[np.uint64]
Numbers = NDArray[np.int64]

_EMPTY = -1
_SLOTS_A_KEY = 4  # at most a quarter of the slots is taken: 1.15 rounds a key on average
_FIRST_SLOTS = 4096
_SECOND = np.uint64(1 << 32)
"""Two counts share 64 bits, because adding at places is a third of all the work; each may reach 4,294,967,295."""


class KeyIndex:
    """Gives every distinct key a number, from 0 in order of appearance.

    Args:
        width: columns of a key.
        limit: most keys; those beyond it get no number.
    """

    def __init__(self, width: int, limit: int | None = None) -> None:
        self._limit = limit
        self._factors = [np.uint64(secrets.randbits(64) | 1) for _column in range(width)]
        self._count = 0
        self._keys: list[Column] = [np.empty(_FIRST_SLOTS // _SLOTS_A_KEY, np.uint64) for _column in range(width)]
        self._slots: NDArray[np.int32] = np.full(_FIRST_SLOTS, _EMPTY, np.int32)

    def __len__(self) -> int:
        return self._count

    def columns(self) -> list[Column]:
        """The keys by number."""
        return [column[: self._count] for column in self._keys]

    def find(self, keys: list[Column]) -> Numbers:
        """The number of each key; new ones get the next, or -1 beyond the limit."""
        self._reserve(self._count + len(keys[0]))
        numbers: Numbers = np.empty(len(keys[0]), np.int64)
        slots = self._hash(keys)
        rows: Numbers | None = None  # None: all of them
        last = len(self._slots) - 1
        while len(slots):
            held = self._slots[slots]
            empty = np.flatnonzero(held == _EMPTY)
            if len(empty):
                self._insert(slots[empty], keys, empty if rows is None else rows[empty])
                held[empty] = self._slots[slots[empty]]
            differs = np.zeros(len(slots), np.bool_)
            for column, key in zip(self._keys, keys, strict=True):
                differs |= column[held] != (key if rows is None else key[rows])
            differs &= held != _EMPTY
            if rows is None:
                numbers[:] = held
                rows = np.flatnonzero(differs)
            else:
                numbers[rows] = held
                rows = rows[differs]
            slots = (slots[differs] + 1) & last
        return numbers

    def _hash(self, keys: list[Column]) -> Numbers:
        total = keys[0] * self._factors[0]
        for key, factor in zip(keys[1:], self._factors[1:], strict=True):
            total += key * factor
        bits = np.uint64(64 - (len(self._slots).bit_length() - 1))
        return (total >> bits).astype(np.int64)

    def _insert(self, slots: Numbers, keys: list[Column], rows: Numbers) -> None:
        """Put keys into empty slots; of several that want the same slot the last one has it."""
        candidates = np.arange(len(slots), dtype=np.int32)
        self._slots[slots] = candidates
        winners = np.flatnonzero(self._slots[slots] == candidates)
        if self._limit is not None and self._count + len(winners) > self._limit:
            self._slots[slots[winners]] = _EMPTY
            winners = winners[: self._limit - self._count]
        end = self._count + len(winners)
        self._slots[slots[winners]] = np.arange(self._count, end, dtype=np.int32)
        for column, key in zip(self._keys, keys, strict=True):
            column[self._count : end] = key[rows[winners]]
        self._count = end

    def _reserve(self, count: int) -> None:
        """Make room for so many keys."""
        if count > len(self._keys[0]):
            room = 1 << (count - 1).bit_length()
            self._keys = [np.concatenate([column, np.empty(room - len(column), np.uint64)]) for column in self._keys]
        if count * _SLOTS_A_KEY > len(self._slots):
            self._slots = np.full(1 << (count * _SLOTS_A_KEY - 1).bit_length(), _EMPTY, np.int32)
            self._refill()

    def _refill(self) -> None:
        """Find slots again for keys that are known to be distinct."""
        last = len(self._slots) - 1
        numbers = np.arange(self._count, dtype=np.int32)
        slots = self._hash(self.columns())
        while len(slots):
            free = self._slots[slots] == _EMPTY
            self._slots[slots[free]] = numbers[free]
            lost = self._slots[slots] != numbers
            numbers, slots = numbers[lost], (slots[lost] + 1) & last

    def keep(self, numbers: Numbers) -> None:
        """Forget all keys but these, which are numbered anew in this order."""
        for column in self._keys:
            column[: len(numbers)] = column[numbers]
        self._count = len(numbers)
        self._slots.fill(_EMPTY)
        self._refill()


@dataclass(frozen=True, slots=True)
class Heaviest:
    """The keys with the largest counts.

    Args:
        keys: columns of the keys, the one with the largest count first.
        counts: first and second count of each.
        other: both counts of all keys that are not among them.
        distinct: how many keys are known; all there are when ``missed`` is 0.
        missed: by how much the first count of any one key may be too small; 0 means that all are exact.
    """

    keys: list[Column]
    counts: list[tuple[int, int]]
    other: tuple[int, int]
    distinct: int
    missed: int


class Tally:
    """Two counts for each key: exact up to ``most`` distinct keys, beyond that for the heaviest and within a bound.

    When there are more, the lighter half is put together as *other*. A key that
    was put there begins at 0 when it comes again, and is then too small by what
    it had: at most the largest count among those that went with it. The sum of
    these is the bound, so no key is ever wrong by more, and the sum of all keys
    and *other* is always exact.

    Args:
        width: columns of a key.
        most: distinct keys to keep.
    """

    def __init__(self, width: int, most: int) -> None:
        self._index = KeyIndex(width)
        self._most = most
        self._counts: Column = np.zeros(0, np.uint64)
        self._other = [0, 0]
        self._missed = 0

    def add(self, keys: list[Column], second: NDArray[np.bool_]) -> None:
        """Count each of these keys once, and a second time in the second count where that is true."""
        if not len(second):
            return
        numbers = self._index.find(keys)
        if len(self._index) > len(self._counts):
            more = np.zeros(len(self._index.columns()[0]) * 2 - len(self._counts), np.uint64)
            self._counts = np.concatenate([self._counts, more])
        np.add.at(self._counts, numbers, np.uint64(1) + second * _SECOND)
        if len(self._index) > self._most:
            self._prune()

    def heaviest(self, count: int, by: Literal["first", "difference"] = "first") -> Heaviest:
        """The keys with the largest counts, ties in order of the keys.

        Args:
            count: how many.
            by: the first count, or what it is larger than the second by.
        """
        first, second = self._split()
        weight = first if by == "first" else first - second
        columns = self._index.columns()
        chosen: Numbers = np.arange(len(first))
        if len(first) > count:
            # Not all of those that tie with the last are sorted: there may be as many as there are keys.
            least = np.partition(weight, len(weight) - count)[len(weight) - count] if count else weight.max() + 1
            above, ties = np.flatnonzero(weight > least), np.flatnonzero(weight == least)
            ties = ties[np.lexsort([column[ties] for column in columns[::-1]])][: count - len(above)]
            chosen = np.concatenate([above, ties])
        chosen = chosen[np.lexsort([*(column[chosen] for column in columns[::-1]), -weight[chosen]])]
        pairs = list(zip(first[chosen].tolist(), second[chosen].tolist(), strict=True))
        other = (
            self._other[0] + int(first.sum()) - sum(pair[0] for pair in pairs),
            self._other[1] + int(second.sum()) - sum(pair[1] for pair in pairs),
        )
        return Heaviest([column[chosen] for column in columns], pairs, other, len(first), self._missed)

    def fullest(self, groups: Callable[[list[Column]], list[Column]]) -> tuple[list[Column], list[tuple[int, int]]]:
        """Of each group of keys the one whose first count is larger than its second by most; its counts.

        Args:
            groups: makes columns that are equal for the keys of one group.
        """
        first, second = self._split()
        columns = self._index.columns()
        grouped = groups(columns)
        order = np.lexsort([second - first, *grouped])
        heads = np.zeros(len(order), np.bool_)
        heads[:1] = True
        for column in grouped:
            heads[1:] |= column[order[1:]] != column[order[:-1]]
        chosen = order[heads]
        return [column[chosen] for column in columns], list(
            zip(first[chosen].tolist(), second[chosen].tolist(), strict=True)
        )

    def _split(self) -> tuple[Numbers, Numbers]:
        counts = self._counts[: len(self._index)]
        return (counts % _SECOND).astype(np.int64), (counts // _SECOND).astype(np.int64)

    def _prune(self) -> None:
        first, second = self._split()
        order = np.argpartition(first, len(first) - self._most // 2)
        dropped, kept = np.split(order, [len(first) - self._most // 2])
        self._missed += int(first[dropped].max())
        self._other[0] += int(first[dropped].sum())
        self._other[1] += int(second[dropped].sum())
        self._index.keep(kept)
        self._counts[: len(kept)] = self._counts[kept]
        self._counts[len(kept) :] = 0
