"""Counting by key: against a dictionary, and within its bounds."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel.flow_tally import Column, KeyIndex, Tally

keys = st.tuples(st.sampled_from([0, 1, 1 << 63]), st.integers(0, 40))
batches = st.lists(st.lists(st.tuples(keys, st.booleans()), max_size=60), max_size=8)
Batches = list[list[tuple[tuple[int, int], bool]]]


def columns(rows: list[tuple[int, int]]) -> list[Column]:
    return [np.array([row[place] for row in rows], np.uint64) for place in (0, 1)]


def fill(tally: Tally, batches: Batches) -> tuple[Counter[tuple[int, int]], Counter[tuple[int, int]]]:
    first: Counter[tuple[int, int]] = Counter()
    second: Counter[tuple[int, int]] = Counter()
    for batch in batches:
        tally.add(columns([key for key, _also in batch]), np.array([also for _key, also in batch], np.bool_))
        first.update(key for key, _also in batch)
        second.update(key for key, also in batch if also)
    return first, second


@given(batches, st.integers(0, 50))
def test_exact_while_keys_fit(batches: Batches, count: int) -> None:
    tally = Tally(2, 200)
    first, second = fill(tally, batches)
    found = tally.heaviest(count)
    order = sorted(first, key=lambda key: (-first[key], key))
    assert list(zip(*(column.tolist() for column in found.keys), strict=True)) == order[:count]
    assert found.counts == [(first[key], second[key]) for key in order[:count]]
    left = order[count:]
    assert found.other == (sum(first[key] for key in left), sum(second[key] for key in left))
    assert (found.distinct, found.missed) == (len(first), 0)


@given(batches, st.integers(2, 20))
def test_within_the_bound_when_keys_do_not_fit(batches: Batches, most: int) -> None:
    tally = Tally(2, most)
    first, second = fill(tally, batches)
    found = tally.heaviest(1000)
    known = dict(zip(zip(*(column.tolist() for column in found.keys), strict=True), found.counts, strict=True))
    assert found.distinct == len(known) <= most
    for key, total in first.items():
        assert total - found.missed <= known.get(key, (0, 0))[0] <= total
        assert known.get(key, (0, 0))[1] <= second[key]
    assert found.other[0] + sum(pair[0] for pair in known.values()) == first.total()
    assert found.other[1] + sum(pair[1] for pair in known.values()) == second.total()
    assert found.missed > 0 or known.keys() == first.keys()


def test_a_port_scan_stays_within_memory_and_spares_the_heavy() -> None:
    tally = Tally(2, 1000)
    for start in range(0, 100_000, 5000):
        scanned = np.arange(start, start + 5000, dtype=np.uint64)
        steady = np.full(5000, 1 << 40, np.uint64) + np.arange(5000, dtype=np.uint64) % 10
        for one in (scanned, steady):
            tally.add([np.zeros(5000, np.uint64), one], np.ones(5000, np.bool_))
    found = tally.heaviest(10)
    assert found.counts == [(10_000, 10_000)] * 10
    assert found.other == (100_000, 100_000)
    assert found.missed == 20
    assert len(tally._index._slots) <= 1 << 16


def test_by_what_the_first_count_is_larger_than_the_second() -> None:
    tally = Tally(2, 10)
    rows = [(0, 1)] * 5 + [(0, 2)] * 4
    tally.add(columns(rows), np.array([True] * 4 + [False] * 5))
    assert tally.heaviest(2).counts == [(5, 4), (4, 0)]
    assert tally.heaviest(2, by="difference").counts == [(4, 0), (5, 4)]


@given(st.lists(st.lists(keys, max_size=30), max_size=5), st.integers(1, 12))
def test_a_limited_index_numbers_the_first_and_refuses_the_rest(
    batches: list[list[tuple[int, int]]], limit: int
) -> None:
    index = KeyIndex(2, limit)
    known: dict[tuple[int, int], int] = {}
    for batch in batches:
        for key, number in zip(batch, index.find(columns(batch)).tolist(), strict=True):
            if number >= 0:
                assert known.setdefault(key, number) == number
            else:
                assert key not in known
                assert len(index) == limit
    assert len(index) == min(limit, len({key for batch in batches for key in batch})) == len(known)
    assert sorted(known.values()) == list(range(len(known)))


@pytest.mark.parametrize("count", [1, 1024, 1025, 50_000])
def test_an_index_grows(count: int) -> None:
    index = KeyIndex(1)
    wanted = np.arange(count, dtype=np.uint64) * np.uint64(1 << 20)
    assert sorted(index.find([wanted]).tolist()) == list(range(count))
    assert index.find([wanted[::-1]]).tolist() == index.find([wanted]).tolist()[::-1]
    assert len(index) == count
