import errno
import logging
import os
import time
from collections.abc import Callable
from itertools import pairwise

import pytest

from natobs.probes.engine import Engine
from natobs.probes.model import Attempt, ExpiredError, IcmpError, Outcome, Reason, Steps, Wait
from natobs.probes.plan import Due, Plan
from tests.loopback import PATIENCE, eventually
from tests.scripted import (
    Attempting,
    Bench,
    Scripted,
    at_once,
    at_work,
    bench,
    black_hole,
    descriptors,
    echo,
    one,
    target,
)

GOOD = Outcome()


def raising(error: Exception) -> Attempting:
    def attempt(number: int) -> Steps:
        yield from ()
        raise error

    return attempt


def test_success_at_once_and_after_waiting() -> None:
    assert one(at_once(GOOD)).outcome is GOOD
    began = time.monotonic()
    attempt = one(echo)
    took = time.monotonic() - began
    assert attempt.outcome.success
    assert (attempt.number, attempt.target.name) == (0, "198.51.100.1:7")
    assert 0 < attempt.seconds < took
    assert attempt.started == pytest.approx(time.time(), abs=5)


def test_an_attempt_can_wait_for_writing() -> None:
    def attempt(number: int) -> Steps:
        reading, writing = os.pipe()
        try:
            yield Wait(writing, write=True)
            os.write(writing, b"x")
            yield Wait(reading)
            return Outcome(detail=os.read(reading, 1).decode())
        finally:
            os.close(reading)
            os.close(writing)

    assert one(attempt).outcome == Outcome(detail="x")


def test_silence_is_a_timeout_at_its_time() -> None:
    attempt = one(black_hole, timeout_seconds=0.2)
    assert attempt.outcome.reason is Reason.TIMEOUT
    assert 0.2 <= attempt.seconds < 2.0  # which is the limit where none is given


def test_an_attempt_may_say_itself_what_its_timeout_was() -> None:
    def attempt(number: int) -> Steps:
        silent = os.eventfd(0)
        try:
            yield Wait(silent)
        except ExpiredError:
            return Outcome(Reason.LATE, "answered after 3 s")
        finally:
            os.close(silent)
        raise AssertionError

    assert one(attempt, timeout_seconds=0.1).outcome.reason is Reason.LATE


def test_an_attempt_that_goes_on_after_its_time_is_ended() -> None:
    def attempt(number: int) -> Steps:
        silent = os.eventfd(0)
        try:
            try:
                yield Wait(silent)
            except ExpiredError:
                yield Wait(silent)
        finally:
            os.close(silent)
        raise AssertionError

    assert one(attempt, timeout_seconds=0.1).outcome.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), Reason.REFUSED),
        (OSError(errno.ENETUNREACH, "Network is unreachable"), Reason.NO_ROUTE),
        (OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address"), Reason.NO_LOCAL_PORT),
        (OSError(errno.EMFILE, "Too many open files"), Reason.LOCAL),
        (ExpiredError(), Reason.TIMEOUT),
    ],
)
def test_what_the_kernel_says_becomes_a_reason(error: Exception, reason: Reason) -> None:
    outcome = one(raising(error)).outcome
    assert outcome.reason is reason
    assert outcome.detail


def test_a_fault_of_a_prober_is_a_failed_attempt_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        outcome = one(raising(ZeroDivisionError("oh"))).outcome
    assert outcome == Outcome(Reason.LOCAL, "ZeroDivisionError: oh")
    assert "198.51.100.1:7" in caplog.text


def test_attempts_at_one_target_never_overlap() -> None:
    running: list[int] = []

    def attempt(number: int) -> Steps:
        assert not running
        running.append(number)
        try:
            yield from black_hole(number)
        finally:
            running.clear()
        raise AssertionError

    with bench(attempt, timeout_seconds=0.05) as made:
        for _ in range(3):
            made.engine.begin(0)
        assert made.engine.in_flight == 1
        assert [each.number for each in made.finish(2)] == [0, 0]  # one waited; a second one that waits is skipped
        assert {each.outcome.reason for each in made.done} == {Reason.TIMEOUT}
        made.engine.turn(0)
        assert (made.engine.in_flight, made.plan.skipped) == (0, 1)


def test_an_attempt_that_cannot_be_waited_for_is_closed_at_once() -> None:
    closed: list[float] = []

    def attempt(number: int) -> Steps:
        try:
            yield Wait(1_000_000)  # no descriptor
        finally:
            closed.append(time.monotonic())
        raise AssertionError

    with bench(attempt) as made:
        made.engine.begin(0)
        assert [each.outcome.reason for each in made.done] == [Reason.LOCAL]
        assert closed


def test_a_descriptor_number_that_is_used_again_is_waited_for_again() -> None:
    numbers: list[int] = []

    def attempt(number: int) -> Steps:
        for _turn in range(5):
            ready = os.eventfd(1)
            numbers.append(ready)
            try:
                yield Wait(ready)
                assert os.eventfd_read(ready) == 1
            finally:
                os.close(ready)
        return GOOD

    assert one(attempt).outcome is GOOD
    assert len(set(numbers)) == 1


def test_a_descriptor_number_may_pass_to_another_target() -> None:
    """One attempt closes the descriptor that it waited for; the next one to begin gets its number."""
    free: list[int] = []

    def closing(number: int) -> Steps:
        first = os.eventfd(1)
        yield Wait(first)
        os.close(first)
        second = os.eventfd(0)
        os.dup2(second, second + 50)
        os.close(second)
        free.append(first)
        try:
            yield Wait(second + 50)  # never ready, under another number
        finally:
            os.close(second + 50)
        raise AssertionError

    made = Bench([target(timeout_seconds=0.2, retries=0), target(retries=0)], [closing, echo])
    try:
        made.engine.begin(0)
        while not free:
            made.engine.turn(0.05)
        made.engine.begin(1)
        made.finish(2)
        assert [(each.target.settings.timeout_seconds, each.outcome.reason) for each in made.done] == [
            (2.0, None),
            (0.2, Reason.TIMEOUT),
        ]
    finally:
        made.engine.close()


def test_what_icmp_said_reaches_the_report() -> None:
    outcome = Outcome(Reason.UNREACHABLE, icmp=IcmpError(3, 13, "192.0.2.1"))
    assert one(at_once(outcome)).outcome.icmp == IcmpError(3, 13, "192.0.2.1")


def planned(
    attempting: Callable[[int], Attempting], intervals: list[float], rate: float, timeout: float = 0.5
) -> tuple[Engine, list[Scripted], list[Attempt]]:
    targets = [target(interval_seconds=interval, timeout_seconds=timeout, retries=0) for interval in intervals]
    probers = [Scripted(attempting(index)) for index in range(len(intervals))]
    done: list[Attempt] = []
    return Engine(targets, probers, Plan(intervals, rate, time.monotonic()), done.append), probers, done


def test_stop_ends_at_once_and_closes_everything_while_attempts_are_under_way() -> None:
    before = descriptors()
    engine, probers, done = planned(lambda index: black_hole, [60.0] * 400, 1000, timeout=60.0)
    with at_work(engine) as thread:
        assert eventually(lambda: engine.in_flight > 5)
        engine.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()  # long before the time of any attempt was up
    assert [prober.closed for prober in probers] == [1] * 400
    assert done == []
    assert descriptors() <= before
    engine.stop()  # again, when all is closed: nothing happens


def test_one_that_fails_while_it_is_closed_keeps_nothing_else_open() -> None:
    def stubborn(number: int) -> Steps:
        silent = os.eventfd(0)
        try:
            yield Wait(silent)
        finally:
            os.close(silent)
            raise OSError(errno.EIO, "while it is closed")

    class Broken(Scripted):
        def close(self) -> None:
            super().close()
            raise OSError(errno.EIO, "while it is closed")

    before = descriptors()
    probers = [Broken(stubborn), Scripted(black_hole)]
    engine = Engine([target(retries=0)] * 2, probers, Plan((), 1e6, time.monotonic()), print)
    engine.begin(0)
    engine.begin(1)
    engine.close()
    assert [prober.closed for prober in probers] == [1, 1]
    assert descriptors() <= before


@pytest.mark.parametrize("order", ["stop first", "run first"])
def test_however_stop_and_run_meet_the_engine_ends(order: str) -> None:
    """A wake-up that got lost would leave it in a wait of an hour."""
    for _turn in range(100):
        engine, _probers, _done = planned(lambda index: echo, [], 1)
        if order == "stop first":
            engine.stop()
        with at_work(engine):
            pass


def test_beats_come_by_the_plan() -> None:
    class Noting(Plan):
        def due(self, now: float) -> list[Due]:
            found = super().due(now)
            noted.extend(found)
            return found

    noted: list[Due] = []
    done: list[Attempt] = []
    plan = Noting([0.1] * 10, 1000, time.monotonic())
    targets = [target(interval_seconds=0.1, timeout_seconds=0.1, retries=0)] * 10
    engine = Engine(targets, [Scripted(echo) for _ in range(10)], plan, done.append)
    with at_work(engine):
        assert eventually(lambda: len(done) >= 100)
    assert all(attempt.outcome.success for attempt in done)
    assert sorted(attempt.lag for attempt in done)[len(done) // 2] < 0.05
    left_out = 0
    for index in range(10):
        times = [plan.start - 0.1, *(due.time for due in noted if due.target == index)]
        assert len(times) > 2
        turns = [(later - earlier) / 0.1 for earlier, later in pairwise(times)]
        assert turns[1:] == [pytest.approx(round(turn), abs=1e-3) for turn in turns[1:]]
        left_out += sum(int(turn + 1e-3) - 1 for turn in turns)
    assert left_out <= plan.skipped  # every other beat came; these the machine did not let come
