"""Targets that come and go while the others keep their beats."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.errors import ConfigError
from natobs.probes.plan import Due, Plan, check_rate


def plan(intervals: list[float], seed: int = 1) -> Plan:
    return Plan(intervals, 1000, 0.0, random.Random(seed))  # noqa: S311 - phases are no secret


def beats(made: Plan, until: float, start: float = 0.0) -> dict[int, list[float]]:
    """When each target's first attempts were planned."""
    found: dict[int, list[float]] = {}
    turn = 0
    while (now := start + turn * 0.02) < until:
        for due in made.due(now):
            found.setdefault(due.target, []).append(due.time)
        turn += 1
    return found


@pytest.mark.parametrize(
    ("removed", "added"),
    [
        (set(), {}),
        ({0}, {}),
        ({0, 1, 2}, {}),
        (set(), {3: 1.0}),
        ({1}, {3: 1.0}),
        ({0, 1, 2}, {3: 0.5, 4: 2.0}),
        ({17}, {}),  # one that has no beats, such as the only attempt of a round
    ],
)
def test_those_that_stay_keep_their_beats(removed: set[int], added: dict[int, float]) -> None:
    untouched, changed = plan([1.0, 1.0, 2.0]), plan([1.0, 1.0, 2.0])
    before = beats(changed, 3.0)
    assert beats(untouched, 3.0) == before
    changed.change(removed, added, 3.0)
    later, expected = beats(changed, 9.0, 3.0), beats(untouched, 9.0, 3.0)
    assert {target: times for target, times in later.items() if target < 3} == {
        target: times for target, times in expected.items() if target not in removed
    }
    for target, interval in added.items():
        assert 3.0 <= later[target][0] <= 3.0 + interval  # from the first interval on
        assert len(later[target]) == pytest.approx(6.0 / interval, abs=1)


def test_retries_go_with_their_target() -> None:
    made = plan([100.0, 100.0])
    made.again(0, 1, 0.5)
    made.again(1, 1, 0.5)
    made.change({0}, {}, 0.1)
    assert [(due.target, due.number) for due in made.due(1.0) if due.number] == [(1, 1)]


def test_many_new_ones_are_spread_over_their_interval() -> None:
    made = plan([1.0])
    made.change((), dict.fromkeys(range(1, 501), 10.0), 20.0)
    first = {target: times[0] for target, times in beats(made, 30.1, 20.0).items() if target}
    assert sorted(int((time - 20.0) / 10.0 * 500) for time in first.values()) == list(range(500))


def test_the_only_attempt_of_a_target_without_beats_comes_once() -> None:
    made = Plan((), 10, 0.0)
    made.again(3, 0, 1.0)
    assert made.due(1.0) == [Due(1.0, 3, 0)]
    assert made.next_time == float("inf")


@given(st.lists(st.floats(0.1, 100), max_size=30), st.floats(0.01, 1000))
def test_the_check_of_the_rate_is_that_of_the_plan(intervals: list[float], rate: float) -> None:
    if sum(1 / interval for interval in intervals) > rate:
        with pytest.raises(ConfigError, match=r"prober\.max_rate allows"):
            check_rate(intervals, rate)
        with pytest.raises(ConfigError, match=r"prober\.max_rate allows"):
            Plan(intervals, rate, 0.0)
    else:
        check_rate(intervals, rate)
        assert Plan(intervals, rate, 0.0).next_time >= 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sets(st.integers(0, 20), max_size=5), st.integers(0, 5)), max_size=8), st.integers(0, 99))
def test_whatever_comes_and_goes_exactly_those_that_are_there_are_probed(
    changes: list[tuple[set[int], int]], seed: int
) -> None:
    made, there, following, now = plan([1.0] * 10, seed), set(range(10)), 10, 0.0
    for removed, count in changes:
        new = dict.fromkeys(range(following, following + count), 1.0)
        following += count
        made.change(removed, new, now)
        there = (there - removed) | new.keys()
        seen = set(beats(made, now + 1.5, now))
        now += 1.5
        assert seen == there
