import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.errors import ConfigError
from natobs.probes.plan import BURST_SECONDS, Due, Plan

TICK = 0.02


def chance(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - phases are no secret


def run(plan: Plan, start: float, seconds: float, ticks: list[float] | None = None) -> list[tuple[float, Due]]:
    """Ask the plan at every tick; each attempt with the time at which it began."""
    begun: list[tuple[float, Due]] = []
    now, turn = start, 0
    while now < start + seconds:
        begun += [(now, due) for due in plan.due(now)]
        now += ticks[turn % len(ticks)] if ticks else TICK
        turn += 1
    return begun


def test_every_target_keeps_its_own_beat() -> None:
    plan = Plan([1.0, 2.0, 0.5, 7.0], 100, 1000.0, chance(1))
    times: dict[int, list[float]] = {}
    for _now, due in run(plan, 1000.0, 60):
        times.setdefault(due.target, []).append(due.time)
    assert [len(times[target]) for target in range(4)] == pytest.approx([60, 30, 120, 8.5], abs=1)
    for target, interval in enumerate([1.0, 2.0, 0.5, 7.0]):
        gaps = [later - earlier for earlier, later in zip(times[target], times[target][1:], strict=False)]
        assert gaps == pytest.approx([interval] * len(gaps), abs=1e-6)


@pytest.mark.parametrize("count", [1, 7, 500])
def test_the_beats_of_one_interval_are_spread_over_it(count: int) -> None:
    plan = Plan([10.0] * count, 1000, 50.0, chance(2))
    begun = plan_times(plan, 50.0, 10.0)
    assert sorted(int((time - 50.0) / 10.0 * count) for time in begun.values()) == list(range(count))


def plan_times(plan: Plan, start: float, seconds: float) -> dict[int, float]:
    return {due.target: due.time for _now, due in run(plan, start, seconds + TICK) if due.time < start + seconds}


def test_phases_are_a_matter_of_chance() -> None:
    first, second = (plan_times(Plan([10.0] * 50, 100, 0.0, chance(seed)), 0.0, 10.0) for seed in (3, 4))
    assert first != second


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(0.1, 20), min_size=1, max_size=40),
    st.floats(1.0, 3.0),
    st.lists(st.floats(0.005, 0.6), min_size=1, max_size=20),
    st.integers(0, 2**32),
)
def test_the_rate_holds_over_every_span(intervals: list[float], spare: float, ticks: list[float], seed: int) -> None:
    needed = sum(1 / interval for interval in intervals)
    rate = needed * spare
    plan = Plan(intervals, rate, 0.0, chance(seed))
    for target in range(len(intervals)):
        plan.again(target, 1, 3.0)  # retries that all fall due together
    begun = [now for now, _due in run(plan, 0.0, 6, ticks)]
    burst = 1.0 + rate * BURST_SECONDS
    assert begun
    lowest = float("inf")  # over all beginnings of a span: what had been sent before, less what the rate allowed
    for index, now in enumerate(begun):
        lowest = min(lowest, index - now * rate)
        assert index + 1 - now * rate - lowest <= burst + 1e-6


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([0.5, 1.0, 3.0, 10.0]), min_size=1, max_size=30),
    st.floats(0, 5),
    st.floats(0, 100_000),
    st.integers(0, 2**32),
)
def test_a_suspension_is_not_made_up_for(intervals: list[float], before: float, gap: float, seed: int) -> None:
    plan = Plan(intervals, 1000, 0.0, chance(seed))
    first = run(Plan(intervals, 1000, 0.0, chance(seed)), 0.0, 11, [0.1])
    phases = {due.target: due.time for _now, due in first}
    earlier = run(plan, 0.0, before, [0.1])
    resumed = before + gap
    later = run(plan, resumed, 10.5, [0.1])
    counts = Counter(due.target for _now, due in later)
    for target, interval in enumerate(intervals):
        # One that was due before, and those whose beat lies in the time since.
        assert counts[target] <= 10.5 / interval + 2
        assert counts[target] >= int(10.5 / interval) - 1
    late_or_now = [due for now, due in later if now == resumed]
    assert len(late_or_now) <= len(intervals)
    for _now, due in earlier + later:
        turns = (due.time - phases[due.target]) / intervals[due.target]
        assert turns == pytest.approx(round(turns), abs=1e-3)  # the phase is kept
    expected = sum((resumed + 10.5) / interval for interval in intervals)
    assert plan.skipped + len(earlier) + len(later) == pytest.approx(expected, abs=2.1 * len(intervals))


def test_what_the_rate_holds_back_stays_due_and_nobody_starves() -> None:
    plan = Plan([1.0] * 100, 100.0, 0.0, chance(5))  # no attempt to spare
    for target in range(50):
        plan.again(target, 1, 0.5)
    counts = Counter(due.target for _now, due in run(plan, 0.0, 30))
    assert len(counts) == 100
    assert min(counts.values()) >= 28


@pytest.mark.parametrize("rate", [1, 7, 10, 14, 20, 30, 50])
def test_all_of_a_low_rate_can_be_used(rate: int) -> None:
    plan = Plan([1.0] * rate, float(rate), 0.0, chance(7))
    begun = run(plan, 0.0, 60)
    assert len(begun) == pytest.approx(60 * rate, abs=rate)
    assert plan.skipped == 0


def test_first_attempts_keep_their_beats_where_retries_are_more_than_the_rate_allows() -> None:
    plan = Plan([60.0] * 600 + [1.0], 20.0, 0.0, chance(8))  # 11 attempts a second; when all fail, 33 with retries
    failing: list[tuple[float, Due]] = []
    times: list[float] = []
    retries = 0
    for turn in range(round(180 / TICK)):
        now = turn * TICK
        while failing and failing[0][0] <= now:
            _end, due = failing.pop(0)
            if due.number < 2:
                plan.again(due.target, due.number + 1, now + 0.5)
        for due in plan.due(now):
            failing.append((now + 2.0, due))
            times += [now] if due.target == 600 and not due.number else []
            retries += due.number > 0
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) == pytest.approx(180, abs=2)
    assert max(gaps) < 2
    assert plan.skipped == 0
    assert retries > 180 * 4  # with what the rate leaves


def test_a_retry_that_the_next_beat_overtakes_is_left_out() -> None:
    plan = Plan([10.0], 1.0, 0.0, chance(9))
    beat = plan.next_time
    assert [due.number for due in plan.due(beat)] == [0]
    plan.again(0, 1, beat + 9.99)
    assert plan.due(beat + 9.98) == []
    assert [due.number for due in plan.due(beat + 10.0)] == [0]  # both are due, and the rate allows one
    assert plan.due(beat + 15.0) == []


def test_retries_that_are_overtaken_again_and_again_do_not_pile_up() -> None:
    plan = Plan([1.0], 1.0, 0.0, chance(10))  # nothing to spare for retries
    first = plan.next_time
    for turn in range(5000):
        plan.due(first + turn)
        plan.again(0, 1, first + turn + 0.9)
    assert len(plan._retries) <= 1100


def test_a_retry_has_its_number_and_no_beat_follows_from_it() -> None:
    plan = Plan([100.0], 10, 0.0, chance(6))
    plan.again(0, 2, 1.0)
    numbers = [due.number for _now, due in run(plan, 0.0, 99)]
    assert sorted(numbers) == [0, 2]


def test_without_targets_nothing_is_due() -> None:
    plan = Plan((), 1, 0.0)
    assert plan.next_time == float("inf")
    assert plan.due(1e9) == []


def test_more_than_the_rate_allows_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"make 20\.0 attempts a second; prober\.max_rate allows 10"):
        Plan([0.5] * 10, 10, 0.0)
