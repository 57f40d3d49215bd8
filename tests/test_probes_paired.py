"""The statistics of paired differences: median, interval, floor, and what a window keeps."""

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.probes.paired import FEWEST_FOR_INTERVAL, MOST_PAIRS, Window, _rank, interval


def confidence(values: int) -> float:
    """How often the interval of so many values holds the median, exactly: a count below it is binomial with 1/2."""
    rank = _rank(values)
    return 1.0 - 2 * sum(math.comb(values, below) for below in range(rank)) / int(1 << values)


DISTRIBUTIONS: dict[str, tuple[Callable[[random.Random], float], float]] = {
    "exponential": (lambda chance: chance.expovariate(1.0), math.log(2)),
    "normal": (lambda chance: chance.gauss(5.0, 2.0), 5.0),
    "Cauchy": (lambda chance: math.tan(math.pi * (chance.random() - 0.5)), 0.0),
    "two humps": (lambda chance: chance.uniform(0, 1) if chance.random() < 0.3 else chance.uniform(2, 3), 2 + 2 / 7),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@pytest.mark.parametrize("pairs", [10, 30, 100, 600])
def test_the_interval_holds_the_true_median_as_often_as_it_says(name: str, pairs: int) -> None:
    draw, truth = DISTRIBUTIONS[name]
    chance, windows = random.Random(f"{name} {pairs}"), 1000 if pairs < 600 else 400  # noqa: S311 - a test
    held = 0
    for _window in range(windows):
        low, high = interval(sorted(draw(chance) for _pair in range(pairs)))
        assert low is not None
        assert high is not None
        held += low <= truth <= high
    expected = confidence(pairs)
    assert expected >= 0.95
    # four standard deviations of a binomial share: 1 in 16,000 fails by chance, and the seed is fixed
    assert held / windows == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / windows))
    assert held / windows >= 0.93


@pytest.mark.parametrize(("pairs", "rank"), [(5, 0), (6, 1), (8, 1), (9, 2), (10, 2), (20, 6), (71, 27)])
def test_ranks_are_those_of_the_tables(pairs: int, rank: int) -> None:
    """One more than the critical values of the two-sided sign test at 5 %, which stand in every statistics book."""
    assert _rank(pairs) == rank


@pytest.mark.parametrize("pairs", [100, 300, 600, MOST_PAIRS])
def test_ranks_of_many_pairs_are_half_of_them_less_twice_their_deviation(pairs: int) -> None:
    assert _rank(pairs) == pytest.approx(pairs / 2 - 0.98 * math.sqrt(pairs), abs=1)


def test_ranks_are_the_greatest_that_keep_the_confidence() -> None:
    for pairs in range(FEWEST_FOR_INTERVAL, 200):
        rank = _rank(pairs)
        assert confidence(pairs) >= 0.95
        assert 1 - 2 * sum(math.comb(pairs, below) for below in range(rank + 1)) / 2**pairs < 0.95


def test_no_pair_says_nothing_and_few_have_no_interval() -> None:
    window = Window(600)
    assert window.difference(0.0) is None
    for number in range(1, FEWEST_FOR_INTERVAL):
        window.add(0.0, 0.002, 0.001)
        found = window.difference(0.0)
        assert found is not None
        assert (found.pairs, found.low, found.high) == (number, None, None)
        assert found.median == pytest.approx(0.001)
    window.add(0.0, 0.002, 0.001)
    found = window.difference(0.0)
    assert found is not None
    assert found.low == found.high == pytest.approx(0.001)


def test_the_floor_is_of_the_shortest_round_trips_and_the_median_of_the_differences() -> None:
    window = Window(600)
    for through, direct in ((0.010, 0.009), (0.007, 0.002), (0.020, 0.001)):
        window.add(0.0, through, direct)
    found = window.difference(0.0)
    assert found is not None
    assert found.floor == pytest.approx(0.006)
    assert found.median == pytest.approx(0.005)


def test_old_pairs_leave_the_window() -> None:
    window = Window(60)
    for second in range(100):
        window.add(float(second), 1.0 + second, 0.0)
    found = window.difference(100.0)
    assert found is not None
    assert (found.pairs, found.median, found.floor) == (60, 70.5, 41.0)
    assert window.difference(99.0 + 61) is None


def test_a_window_keeps_the_latest_thousand_whatever_comes() -> None:
    window = Window(1e9)
    for number in range(3 * MOST_PAIRS + 7):
        window.add(float(number), float(number), 0.0)
    found = window.difference(0.0)
    assert found is not None
    assert found.pairs == MOST_PAIRS
    assert found.floor == 2 * MOST_PAIRS + 7
    assert found.median == 2.5 * MOST_PAIRS + 6.5


@given(st.lists(st.tuples(st.floats(0, 60), st.floats(0, 60)), min_size=1, max_size=80))
def test_the_interval_encloses_the_median_and_lies_within_the_differences(pairs: list[tuple[float, float]]) -> None:
    window = Window(10)
    for through, direct in pairs:
        window.add(1.0, through, direct)
    found = window.difference(1.0)
    assert found is not None
    differences = [through - direct for through, direct in pairs]
    assert min(differences) <= found.median <= max(differences)
    assert min(differences) <= found.floor <= max(differences)
    if found.low is not None and found.high is not None:
        assert len(pairs) >= FEWEST_FOR_INTERVAL
        assert min(differences) <= found.low <= found.median <= found.high <= max(differences)
