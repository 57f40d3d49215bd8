import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from natobs.exposition.otlp.delivery import PushError
from natobs.exposition.otlp.limited import Limited
from natobs.exposition.otlp.sender import Sender, Tally
from tests.loopback import PATIENCE
from tests.otlp_receiver import until

WHERE = "http://receiver.test"


class Desk:
    """Delivers, or fails as it is told."""

    def __init__(self) -> None:
        self.trouble: Exception | None = None
        self.complaint = ""
        self.delivered: list[int] = []
        self.tried = 0
        self.hold = threading.Event()
        self.hold.set()

    def __call__(self, item: int) -> str:
        self.tried += 1
        self.hold.wait(60)
        if self.trouble is not None:
            raise self.trouble
        self.delivered.append(item)
        return self.complaint


@contextmanager
def lane(desk: Desk, depth: int = 3) -> Iterator[tuple[Sender[int], Callable[[str], float]]]:
    tally = Tally()
    made: Sender[int] = Sender("metrics", WHERE, depth=depth, longest_pause=0.01, deliver=desk, tally=tally)

    def count(result: str) -> float:
        return next(sample.value for sample in tally.samples(["metrics"]) if sample.labels[1] == result)

    made.start()
    try:
        yield made, count
    finally:
        desk.hold.set()
        made.end(0.0)
        made.join()


def test_what_is_put_is_pushed_in_order() -> None:
    desk = Desk()
    with lane(desk) as (made, count):
        for number in range(20):
            made.put(number)
            until(lambda wanted=number + 1: len(desk.delivered) == wanted)  # type: ignore[misc]  # bound in the loop
        until(lambda: count("sent") == 20)
    assert desk.delivered == list(range(20))
    assert (count("failed"), count("dropped")) == (0, 0)


def test_the_oldest_goes_when_there_is_no_room_and_nobody_waits() -> None:
    desk = Desk()
    desk.hold.clear()
    with lane(desk, depth=3) as (made, count):
        made.put(0)
        until(lambda: desk.tried == 1)  # the first is under way, and waits no more
        for number in range(1, 1000):
            made.put(number)
        assert made.waiting().value == 3
        assert count("dropped") == 996
        desk.hold.set()
        until(lambda: count("sent") == 4)
    assert desk.delivered == [0, 997, 998, 999]


def test_a_failure_that_may_pass_is_tried_again_until_it_has_passed() -> None:
    desk = Desk()
    desk.trouble = PushError("no way", retry=True)
    with lane(desk, depth=2) as (made, count):
        for number in range(5):
            made.put(number)
        until(lambda: desk.tried >= 5)
        failing = [made.failing]
        assert made.waiting().value <= 2
        desk.trouble = None
        until(lambda: count("sent") == 2)
        assert [*failing, made.failing] == [True, False]
    assert desk.delivered == [3, 4]
    assert count("dropped") == 3
    assert count("failed") >= 5


def test_what_is_refused_is_lost_and_the_next_is_tried() -> None:
    desk = Desk()
    desk.trouble = PushError("400", retry=False)
    with lane(desk) as (made, count):
        made.put(1)
        until(lambda: count("dropped") == 1)
        assert (count("failed"), made.waiting().value) == (1, 0)
        desk.trouble = None
        made.put(2)
        until(lambda: count("sent") == 1)
    assert desk.delivered == [2]


def test_an_error_that_nobody_expected_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.trouble = RuntimeError("a bug")
    with lane(desk) as (made, count):
        for number in range(1, 4):
            made.put(number)
            until(lambda: count("dropped") == number)  # noqa: B023 - at once
        desk.trouble = None
        made.put(4)
        until(lambda: count("sent") == 1)
    assert caplog.text.count("RuntimeError: a bug") == 1


def test_the_receiver_is_left_alone_for_as_long_as_it_asks() -> None:
    desk = Desk()
    desk.trouble = PushError("429", retry=True, pause=30.0)
    with lane(desk) as (made, _count):
        made.put(1)
        until(lambda: desk.tried == 1)
        time.sleep(0.1)  # ten pauses of its own
        assert desk.tried == 1


def test_the_log_tells_changes_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "natobs")
    desk = Desk()
    with lane(desk) as (made, count):
        for trouble, tries in (
            (None, 0),
            (PushError("connection refused", retry=True), 6),
            (PushError("401 Unauthorized", retry=False), 1),
            (None, 0),
        ):
            desk.trouble = trouble
            before, failed = count("sent"), count("failed")
            made.put(1)
            until(lambda: count("failed") >= failed + tries if tries else count("sent") > before)  # noqa: B023 - at once
            made.put(1)
            if tries != 6:
                until(lambda: made.waiting().value == 0)
        desk.complaint = "3 spans were rejected"
        for _ in range(3):
            before = count("sent")
            made.put(1)
            until(lambda: count("sent") > before)  # noqa: B023 - at once
    assert [record.getMessage() for record in caplog.records] == [
        f"OTLP: metrics are pushed to {WHERE}",
        f"OTLP: metrics cannot be pushed to {WHERE}: connection refused; trying again",
        f"OTLP: metrics are refused by {WHERE}, and lost: 401 Unauthorized",
        f"OTLP: metrics are pushed to {WHERE}",
        f"OTLP: {WHERE} takes metrics only in part: 3 spans were rejected",
    ]


def test_at_the_end_what_waits_is_pushed_once_if_all_was_well() -> None:
    desk = Desk()
    desk.hold.clear()
    with lane(desk) as (made, count):
        for number in range(3):
            made.put(number)
        until(lambda: desk.tried == 1)
        made.end(time.monotonic() + PATIENCE)
        desk.hold.set()
        made.join()
        assert desk.delivered == [0, 1, 2]
        assert count("sent") == 3


def test_at_the_end_nothing_is_tried_where_the_receiver_was_away() -> None:
    desk = Desk()
    desk.trouble = PushError("no way", retry=True, pause=30.0)
    with lane(desk) as (made, count):
        made.put(1)
        until(lambda: count("failed") == 1)
        made.put(2)
        made.end(time.monotonic() + PATIENCE)
        made.join()
        assert desk.tried == 1
        assert count("dropped") == 2


def test_the_end_does_not_wait_for_a_push_that_hangs() -> None:
    desk = Desk()
    desk.hold.clear()
    with lane(desk) as (made, count):
        made.put(1)
        until(lambda: desk.tried == 1)
        began = time.monotonic()
        made.end(began + 0.2)
        made.join()
        assert time.monotonic() - began < PATIENCE
        made.put(2)
        desk.hold.set()
        until(lambda: count("dropped") == 1)  # it comes back late, and goes on with nothing
    assert desk.delivered == [1]


def test_a_push_that_hangs_is_left_behind_and_the_next_has_a_fresh_exporter() -> None:
    gate = threading.Event()
    made: list[int] = []

    def make() -> Callable[[str], str]:
        made.append(len(made))
        mine = made[-1]

        def deliver(item: str) -> str:
            if item == "hang":
                gate.wait(60)
            return f"{mine} {item}"

        return deliver

    courier = Limited(make, PATIENCE)
    try:
        assert courier("good") == "0 good"
        for expected in range(1, 5):
            courier._limit = 0.05
            with pytest.raises(PushError, match=r"no answer within 0\.05 s") as caught:
                courier("hang")
            assert caught.value.retry
            courier._limit = PATIENCE
            if expected < 4:
                assert courier("good") == f"{expected} good"
        threads = set(threading.enumerate())
        with pytest.raises(PushError, match="4 earlier pushes have not come back"):
            courier("good")
        assert set(threading.enumerate()) <= threads
    finally:
        gate.set()
    until(lambda: len(threads - set(threading.enumerate())) > 3)
    assert courier("good") == "4 good"


def test_what_goes_wrong_in_a_push_is_raised_to_whoever_asked_for_it() -> None:
    def deliver(item: str) -> str:
        raise ValueError(item)

    with pytest.raises(ValueError, match="odd"):
        Limited(lambda: deliver, PATIENCE)("odd")
