"""Budgets as plain arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.catalogue.objectives import ALL
from natobs.slo.budget import Events, burn_rate, increments, remaining, share

HOUR = 3600
SUCCESS = ALL[0]


def test_a_day_with_an_idle_hour_is_weighed_by_events() -> None:
    day = [Events(hour * HOUR, 0, 22_800) for hour in range(1, 24)]
    day += [Events(24 * HOUR, 111_780, 2_235_600), Events(25 * HOUR, 0, 0)]
    spent = share(day, 0, 25 * HOUR)
    assert spent == pytest.approx(0.0405)
    assert burn_rate(0.0405, SUCCESS) == pytest.approx(40.5)
    assert remaining(0.0405, SUCCESS) == pytest.approx(-39.5)


def test_an_idle_window_has_no_share() -> None:
    assert share([Events(10, 0, 0)], 0, 20) is None
    assert share([], 0, 20) is None


def test_a_window_has_its_end_and_not_its_beginning() -> None:
    events = [Events(10, 1, 1), Events(20, 0, 1)]
    assert share(events, 10, 20) == 0
    assert share(events, 9, 10) == 1


def test_a_counter_that_begins_again_has_counted_what_it_shows() -> None:
    assert list(increments([(0, 5), (60, 9), (120, 3), (180, 3)])) == [(60, 4), (120, 3), (180, 0)]


def test_what_nobody_saw_for_long_is_not_counted() -> None:
    assert list(increments([(0, 5), (300, 9), (601, 12)])) == [(300, 4)]


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_increments_of_a_counter_that_only_grows_add_up(steps: list[float]) -> None:
    values = [sum(steps[:number]) for number in range(len(steps) + 1)]
    grown = sum(amount for _, amount in increments([(60.0 * number, value) for number, value in enumerate(values)]))
    assert grown == pytest.approx(sum(steps))
