"""Pairs in the engine: order, joining, time limits of either side, retries, rate, lag."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest

from natobs.errors import ConfigError
from natobs.probe_config import Compare
from natobs.probes.companion import open_prober
from natobs.probes.engine import Change, Engine
from natobs.probes.model import Attempt, Outcome, Paired, Prober, Reason, Steps, Target
from natobs.probes.plan import BURST_SECONDS, Plan
from natobs.probes.registry import Kinds
from natobs.probes.service import ProbeService
from tests import probing
from tests.loopback import PATIENCE
from tests.scripted import (
    Attempting,
    Scripted,
    at_once,
    black_hole,
    descriptors,
    echo,
    kinds,
    probe_file,
    refused,
    settings,
    target,
)

COMPARE = Compare(source="192.0.2.77")


class Pairs:
    """An engine over pairs of scripted probers, without beats of its own unless there are intervals."""

    def __init__(
        self, through: Attempting, direct: Attempting, limits: tuple[float, float], intervals: list[float], rate: float
    ) -> None:
        self.done: list[Attempt] = []
        self.sides = Scripted(through), Scripted(direct)
        fields: dict[str, Any] = {"compare": COMPARE, "retry_delay_seconds": 0.0, "retries": 1}
        beat: dict[str, Any] = {"interval_seconds": intervals[0]} if intervals else {}
        self.target = target(timeout_seconds=limits[0], **fields, **beat)
        self.companion = target(timeout_seconds=limits[1], retries=0, **beat)
        self.plan = Plan(intervals, rate, time.monotonic())
        prober = Paired(self.sides[0], self.sides[1], self.companion)
        self.engine = Engine([self.target], [prober], self.plan, self.done.append)

    def finish(self, attempts: int, within: float = PATIENCE) -> list[Attempt]:
        deadline = time.monotonic() + within
        while len(self.done) < attempts:
            assert time.monotonic() < deadline, self.done
            self.engine.turn(0.02)
        return self.done

    def idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.engine.turn(0.02)


@contextmanager
def pairs(
    through: Attempting,
    direct: Attempting,
    limits: tuple[float, float] = (0.2, 0.1),
    intervals: list[float] | None = None,
    rate: float = 1e6,
) -> Iterator[Pairs]:
    made = Pairs(through, direct, limits, intervals or [], rate)
    before = descriptors()
    try:
        yield made
    finally:
        made.engine.close()
    assert descriptors() <= before - 2
    assert [side.closed for side in made.sides] == [1, 1]


def one_after_the_other(running: list[str], name: str) -> Attempting:
    def attempt(number: int) -> Steps:
        assert running == []
        running.append(name)
        try:
            return (yield from echo(number))
        finally:
            running.clear()

    return attempt


def test_both_sides_are_probed_one_after_the_other_in_random_order_and_joined() -> None:
    running: list[str] = []
    with pairs(one_after_the_other(running, "through"), one_after_the_other(running, "direct")) as made:
        for turn in range(400):
            made.engine.begin(0)
            made.finish(2 * turn + 2)
            assert made.engine.in_flight == 0
    first, second = made.done[::2], made.done[1::2]
    assert [attempt.pair for attempt in first] == list(range(1, 401))
    assert [attempt.pair for attempt in second] == list(range(1, 401))
    assert all({a.companion, b.companion} == {True, False} for a, b in zip(first, second, strict=True))
    assert all(attempt.number == 0 and attempt.outcome.success for attempt in made.done)
    assert all(attempt.target is (made.companion if attempt.companion else made.target) for attempt in made.done)
    begun_through = sum(not attempt.companion for attempt in first)
    assert begun_through == pytest.approx(200, abs=60)  # six standard deviations
    runs = 1 + sum(a.companion is not b.companion for a, b in pairwise(first))
    assert runs == pytest.approx(200, abs=60)  # and no pattern: neither in turns nor in blocks
    gaps = [b.started - (a.started + a.seconds) for a, b in zip(first, second, strict=True)]
    assert sorted(gaps)[200] < 0.002


def in_this_order(made: Pairs, *, companion_first: bool) -> None:
    """Begin a pair whose order is known."""
    made.plan.chance.random = lambda: 0.0 if companion_first else 0.9  # type: ignore[method-assign]  # a loaded coin
    made.engine.begin(0)


@pytest.mark.parametrize("companion_first", [True, False])
def test_a_companion_that_is_silent_holds_the_other_side_up_for_its_time_limit_and_no_longer(
    *, companion_first: bool
) -> None:
    with pairs(echo, black_hole, limits=(2.0, 0.15)) as made:
        began = time.monotonic()
        in_this_order(made, companion_first=companion_first)
        made.finish(2)
        took = time.monotonic() - began
        through = next(attempt for attempt in made.done if not attempt.companion)
        direct = next(attempt for attempt in made.done if attempt.companion)
        assert (through.outcome.success, direct.outcome.reason) == (True, Reason.TIMEOUT)
        assert through.pair == direct.pair == 1
        assert 0.15 <= direct.seconds < 2.0  # which is the limit of the other side
        assert (through.started >= direct.started + direct.seconds - 0.01) is companion_first
        # What it waited for its companion is no time of its own, and no lag.
        assert direct.seconds + through.seconds + through.lag < took
        made.idle(0.1)
        assert len(made.done) == 2  # a companion is never repeated


@pytest.mark.parametrize("companion_first", [True, False])
def test_a_silent_target_is_retried_without_a_companion(*, companion_first: bool) -> None:
    with pairs(black_hole, echo, limits=(0.1, 0.1)) as made:
        in_this_order(made, companion_first=companion_first)
        made.finish(3)
        made.idle(0.05)
        through = [(attempt.number, attempt.pair) for attempt in made.done if not attempt.companion]
        direct = [(attempt.number, attempt.pair) for attempt in made.done if attempt.companion]
        assert through == [(0, 1), (1, 0)]
        assert direct == [(0, 1)]
        assert made.engine.in_flight == 0


def test_what_fails_at_once_is_a_pair_too() -> None:
    with pairs(at_once(refused()), at_once(refused())) as made:
        made.engine.begin(0)
        made.finish(3)
        firsts = [attempt for attempt in made.done if not attempt.number]
        assert {(attempt.companion, attempt.pair) for attempt in firsts} == {(True, 1), (False, 1)}


def test_a_fault_of_a_companion_is_its_own() -> None:
    def broken(number: int) -> Steps:
        yield from ()
        raise ZeroDivisionError("oh")

    with pairs(echo, broken) as made:
        made.engine.begin(0)
        made.finish(2)
        found = {attempt.companion: attempt.outcome.reason for attempt in made.done}
        assert found == {True: Reason.LOCAL, False: None}


def test_beats_that_come_while_a_pair_is_under_way_do_not_pile_up() -> None:
    """Both sides silent, and every time limit as long as it may be: a pair takes longer than a beat."""
    with pairs(black_hole, black_hole, limits=(0.1, 0.025), intervals=[0.1]) as made:
        made.idle(2.0)
        through = [attempt for attempt in made.done if not attempt.companion and not attempt.number]
        assert len(through) + made.plan.skipped >= 16
        assert sorted(attempt.lag for attempt in through)[len(through) // 2] < 0.25
        assert any(attempt.pair == 0 for attempt in through)  # those that had to wait are no pairs
        counts = Counter(attempt.pair for attempt in made.done if attempt.pair)
        assert set(counts.values()) <= {1, 2}
        assert sum(count == 1 for count in counts.values()) <= 1  # the pair under way


def test_a_slow_companion_of_the_beat_before_does_not_hold_up_the_next_beat() -> None:
    with pairs(echo, black_hole, limits=(0.1, 2.0)) as made:
        in_this_order(made, companion_first=False)
        made.finish(1)
        made.engine.begin(0)  # while the companion is under way
        made.finish(2)
        assert [(attempt.companion, attempt.pair) for attempt in made.done] == [(False, 1), (False, 0)]
        assert made.engine.in_flight == 1
        made.finish(3)
        assert (made.done[2].companion, made.done[2].pair) == (True, 1)


def test_companions_take_their_share_of_the_rate() -> None:
    seconds, rate = 1.5, 100.0
    fields: dict[str, Any] = {"interval_seconds": 0.1, "timeout_seconds": 0.1, "retries": 0, "compare": COMPARE}
    targets = [target(f"198.51.100.{number}", **fields) for number in range(9)]  # 90 pairs a second are too many
    done: list[Attempt] = []
    probers: list[Prober] = [Paired(Scripted(echo), Scripted(echo), one) for one in targets]
    start = time.monotonic()
    engine = Engine(targets, probers, Plan([0.1] * 9, rate, start), done.append)
    try:
        looked, used = start, 0.0
        while time.monotonic() < start + seconds:
            engine.turn(0.02)
            before, looked = looked, time.monotonic()
            used += min(looked - before, BURST_SECONDS)  # what the rate allows in a longer pause is lost
        assert len(done) <= (looked - start + 0.1) * rate + 4
        assert len(done) >= 0.8 * used * rate
        assert sum(attempt.companion for attempt in done) == pytest.approx(len(done) / 2, abs=2)
    finally:
        engine.close()


def test_pairs_that_exceed_the_rate_are_refused() -> None:
    probe = settings(targets=("a.test",), interval_seconds=0.1, timeout_seconds=0.1, compare=COMPARE)
    with pytest.raises(ConfigError, match=r"20\.0 attempts a second"):
        ProbeService(probe_file(probe, max_rate=15), kinds(lambda target: echo))
    ProbeService(probe_file(probe, max_rate=20), kinds(lambda target: echo)).stop()


@pytest.mark.parametrize("companion_first", [True, False])
def test_a_target_that_is_removed_takes_its_companion_along(*, companion_first: bool) -> None:
    with pairs(black_hole, black_hole, limits=(5.0, 5.0), intervals=[600.0]) as made:
        in_this_order(made, companion_first=companion_first)
        assert made.engine.in_flight == 1
        made.engine.change(Change(1e6, removed=frozenset({0})))
        made.idle(0.05)
        assert made.engine.in_flight == 0
        assert [side.closed for side in made.sides] == [1, 1]
        sides = Scripted(echo), Scripted(echo)
        added = {1: (made.target, Paired(sides[0], sides[1], made.companion))}
        made.engine.change(Change(1e6, added=added))
        made.idle(0.05)
        assert made.plan.paired == {1}
        made.engine.begin(1)
        assert {attempt.pair for attempt in made.finish(2)} == {2}


def test_abandoned_pairs_leave_nothing_behind() -> None:
    with pairs(black_hole, black_hole, limits=(5.0, 5.0)) as made:
        made.engine.begin(0)
        made.engine.turn(0)
    assert made.done == []


def made_of(probed: Target) -> Prober:
    with probing.environment() as (environment, _noted):
        prober = open_prober(probed, Kinds(), environment)
        prober.close()
        return prober


def test_a_second_path_of_this_host_has_its_own_source_interface_and_mark() -> None:
    prober = made_of(
        target(
            kind="icmp",
            source="192.0.2.1",
            interface="eth7",
            mark=3,
            dscp=8,
            interval_seconds=4.0,
            compare=Compare(mark=9),
        )
    )
    assert isinstance(prober, Paired)
    found = prober.companion_target.settings
    assert (found.source, found.interface, found.mark, found.dscp) == ("", "", 9, 8)
    assert (found.retries, found.timeout_seconds, found.compare.active) == (0, 1.0, False)
    assert prober.companion_target.name == "198.51.100.1:7"


def test_a_time_limit_that_is_short_already_stays() -> None:
    prober = made_of(target(timeout_seconds=0.3, compare=COMPARE))
    assert isinstance(prober, Paired)
    assert prober.companion_target.settings.timeout_seconds == 0.3


def test_without_a_second_path_there_is_no_pair() -> None:
    assert not isinstance(made_of(target()), Paired)


def test_what_a_companion_notices_is_counted_nowhere() -> None:
    with probing.environment() as (environment, noted):
        prober = open_prober(target(compare=COMPARE), Kinds(), environment)
        assert isinstance(prober, Paired)
        prober.companion._environment.notices.late(prober.companion_target)  # type: ignore[attr-defined]  # a udp prober
        prober.through._environment.notices.late(prober.companion_target)  # type: ignore[attr-defined]  # likewise
        prober.close()
    assert noted.lates == 1


def test_outcomes_of_retries_belong_to_no_pair() -> None:
    def second_time(number: int) -> Steps:
        yield from ()
        return Outcome() if number else refused()

    with pairs(second_time, echo) as made:
        made.engine.begin(0)
        made.finish(3)
        retry = next(attempt for attempt in made.done if attempt.number)
        assert (retry.pair, retry.companion, retry.outcome.success) == (0, False, True)
