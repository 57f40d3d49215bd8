from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel.wrapping import WideTotals, increment

WRAP = 1 << 32


def test_forward_wrapped_and_reset() -> None:
    assert increment(5, 12) == 7
    assert increment(5, 5) == 0
    assert increment(WRAP - 10, 5) == 15
    assert increment(1000, 30) == 30
    assert increment(0, WRAP - 1) == WRAP - 1


@given(st.lists(st.integers(0, WRAP // 2 - 1), max_size=20), st.integers(0, WRAP - 1))
def test_a_total_follows_its_counter_over_any_number_of_wraps(steps: list[int], start: int) -> None:
    totals: WideTotals[str, int] = WideTotals()
    true = start
    assert totals.update([("x", 0, true % WRAP)]) == {"x": start}
    for step in steps:
        true += step
        assert totals.update([("x", 0, true % WRAP)]) == {"x": true}


def test_a_sum_does_not_fall_when_a_part_goes_away() -> None:
    totals: WideTotals[str, int] = WideTotals()
    assert totals.update([("x", 0, 100), ("x", 1, 50), ("y", 2, 7)]) == {"x": 150, "y": 7}
    assert totals.update([("x", 0, 101), ("y", 2, 7)]) == {"x": 151, "y": 7}
    assert totals.update([("x", 0, 101), ("x", 1, 3), ("y", 2, 7)]) == {"x": 154, "y": 7}


def test_a_series_without_counters_is_forgotten() -> None:
    totals: WideTotals[str, int] = WideTotals()
    totals.update([("x", 0, 100)])
    assert totals.update([]) == {}
    assert totals.update([("x", 0, 2)]) == {"x": 2}


def test_other_counters_of_the_same_things_add_nothing_until_they_rise() -> None:
    totals: WideTotals[str, int] = WideTotals()
    totals.update([("x", 0, 100), ("x", 3, 50)])
    assert totals.update([("x", 0, 90), ("x", 1, 61), ("y", 2, 7), ("y", 3, 5)], same_sources=False) == {
        "x": 150,
        "y": 12,
    }
    assert totals.update([("x", 0, 91), ("x", 1, 61), ("y", 2, 7), ("y", 3, 9)]) == {"x": 151, "y": 16}


@given(st.lists(st.dictionaries(st.integers(0, 3), st.integers(0, WRAP - 1), min_size=1), min_size=2, max_size=8))
def test_a_total_never_falls_whatever_its_counters_do(history: list[dict[int, int]]) -> None:
    totals: WideTotals[str, int] = WideTotals()
    seen = [totals.update(("x", source, value) for source, value in reading.items())["x"] for reading in history]
    assert seen == sorted(seen)
