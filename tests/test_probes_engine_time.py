"""What the engine does when: beats, retries, time limits."""

import os
import time

from natobs.probes.engine import Engine
from natobs.probes.model import Attempt, ExpiredError, Outcome, Reason, Steps, Wait
from natobs.probes.plan import Plan
from tests.scripted import Bench, Scripted, at_once, bench, black_hole, echo, one, refused, target

GOOD = Outcome()


def test_a_failed_first_attempt_is_retried_until_one_succeeds() -> None:
    def attempt(number: int) -> Steps:
        yield from ()
        return GOOD if number == 2 else refused()

    with bench(attempt, retries=4, retry_delay_seconds=0.03) as made:
        made.engine.begin(0)
        made.finish(3)
        made.engine.turn(0.1)
        assert [(each.number, each.outcome.success) for each in made.done] == [(0, False), (1, False), (2, True)]
        gaps = [later.started - earlier.started for earlier, later in zip(made.done, made.done[1:], strict=False)]
        assert 0.029 <= min(gaps) < 0.5  # by the clock of the day; where no delay is given it is half a second


def test_retries_end() -> None:
    with bench(at_once(refused()), retries=2, retry_delay_seconds=0) as made:
        made.engine.begin(0)
        made.finish(3)
        made.engine.turn(0.05)
        assert [each.number for each in made.done] == [0, 1, 2]


def test_retries_that_the_next_beat_overtakes_are_left_out() -> None:
    settings = {"interval_seconds": 0.1, "timeout_seconds": 0.1, "retries": 5, "retry_delay_seconds": 0.0}
    done: list[Attempt] = []
    plan = Plan([0.1], 1000, time.monotonic())
    engine = Engine([target(**settings)], [Scripted(black_hole)], plan, done.append)  # type: ignore[arg-type]  # a test's own values
    try:
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            engine.turn(0.05)
        firsts = [each for each in done if not each.number]
        assert len(firsts) + plan.skipped >= 7
        assert len(done) <= 16
        assert sorted(first.lag for first in firsts)[len(firsts) // 2] < 0.5
    finally:
        engine.close()


def test_beats_that_come_faster_than_attempts_end_are_left_out() -> None:
    done: list[Attempt] = []
    plan = Plan([0.02], 1000, time.monotonic())
    engine = Engine([target(timeout_seconds=0.1, retries=0)], [Scripted(black_hole)], plan, done.append)
    try:
        while len(done) < 5:
            engine.turn(0.01)
        assert plan.skipped >= 5
        assert sorted(attempt.lag for attempt in done)[2] < 0.2  # it has waited for one, not for all before it
    finally:
        engine.close()


def test_an_answer_that_comes_while_others_are_read_has_not_missed_its_time_limit() -> None:
    ready = os.eventfd(0, os.EFD_NONBLOCK)

    def slow(number: int) -> Steps:
        yield from echo(number)
        time.sleep(0.2)  # the engine is busy beyond the other's time limit
        os.eventfd_write(ready, 1)
        return GOOD

    def waiting(number: int) -> Steps:
        yield Wait(ready)
        return GOOD

    made = Bench([target(retries=0), target(retries=0, timeout_seconds=0.1)], [slow, waiting])
    try:
        made.engine.begin(1)
        made.engine.begin(0)
        assert [each.outcome.success for each in made.finish(2)] == [True, True]
    finally:
        made.engine.close()
        os.close(ready)


def test_an_attempt_can_be_woken_by_time_alone() -> None:
    def attempt(number: int) -> Steps:
        silent = os.eventfd(0)
        try:
            start = time.monotonic()
            for _turn in range(3):
                yield Wait(silent, seconds=0.03)
            return Outcome(detail=f"{time.monotonic() - start:.3f}")
        finally:
            os.close(silent)

    attempt_done = one(attempt, timeout_seconds=10.0)
    assert attempt_done.outcome.success
    assert 0.085 <= float(attempt_done.outcome.detail) < 10.0


def test_an_attempt_that_waits_for_a_time_goes_on_after_it_though_nothing_comes() -> None:
    waited: list[float] = []

    def patient(number: int) -> Steps:
        silent = os.eventfd(0, os.EFD_NONBLOCK)
        try:
            for seconds in (0.03, 0.06):
                begun = time.monotonic()
                yield Wait(silent, seconds=seconds)
                waited.append(time.monotonic() - begun)
            os.eventfd_write(silent, 1)
            yield Wait(silent, seconds=0.3)  # comes at once: the time is then forgotten
            os.eventfd_read(silent)
            begun = time.monotonic()
            yield Wait(silent, seconds=0.4)
            waited.append(time.monotonic() - begun)
            yield Wait(silent, seconds=60)  # the time limit stands beside it
        except ExpiredError:
            return Outcome(Reason.LATE, "the limit")
        finally:
            os.close(silent)
        return GOOD

    with bench(patient, timeout_seconds=2.0) as one:
        one.engine.begin(0)
        (attempt,) = one.finish(1)
    assert attempt.outcome == Outcome(Reason.LATE, "the limit")
    assert all(took >= wanted for took, wanted in zip(waited, (0.03, 0.06, 0.4), strict=True))
    assert 2.0 <= attempt.seconds < 20  # a minute is far


def test_the_time_limit_of_an_attempt_that_has_ended_wakes_nobody() -> None:
    with bench(at_once(GOOD), timeout_seconds=0.05) as made:
        made.engine.begin(0)
        made.finish(1)
        begun = time.monotonic()
        made.engine.turn(0.3)
        assert time.monotonic() - begun >= 0.25
