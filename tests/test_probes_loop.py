"""The loop by itself: who is resumed when, whatever becomes of descriptors."""

import os
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from natobs.probes.loop import Loop, Waiter
from natobs.probes.model import Wait
from tests.scripted import descriptors


class Named(Waiter):
    name: str


class Recorded:
    """A loop that notes who was resumed and who expired."""

    def __init__(self) -> None:
        self.resumed: list[str] = []
        self.expired: list[str] = []
        self.loop: Loop[Named] = Loop(self._resume, self._expire)

    def enter(self, name: str, wait: Wait, seconds: float = 60) -> Named:
        waiter = Named(name, deadline=time.monotonic() + seconds)
        self.loop.enter(waiter)
        self.loop.wait(waiter, wait)
        return waiter

    def turn(self, seconds: float = 0.0) -> None:
        self.loop.turn(time.monotonic() + seconds)

    def _resume(self, waiter: Named) -> None:
        self.resumed.append(waiter.name)

    def _expire(self, waiter: Named) -> None:
        self.expired.append(waiter.name)
        self.loop.leave(waiter)


@pytest.fixture
def made() -> Iterator[Recorded]:
    before = descriptors()
    recorded = Recorded()
    yield recorded
    recorded.loop.close()
    assert descriptors() <= before


@pytest.fixture
def silent() -> Iterator[int]:
    descriptor = os.eventfd(0, os.EFD_NONBLOCK)
    yield descriptor
    os.close(descriptor)


def test_who_waits_is_resumed_when_his_descriptor_is_ready_and_as_long_as_it_is(made: Recorded, silent: int) -> None:
    made.enter("reader", Wait(silent))
    made.turn()
    assert made.resumed == []
    os.eventfd_write(silent, 1)
    made.turn(5)
    made.turn(5)
    assert made.resumed == ["reader"] * 2
    os.eventfd_read(silent)
    made.turn()
    assert made.resumed == ["reader"] * 2


def test_who_has_left_is_not_resumed_and_neither_his_alarm_nor_his_deadline_wakes_the_loop(
    made: Recorded, silent: int
) -> None:
    waiter = made.enter("reader", Wait(silent, seconds=0.02), seconds=0.04)
    os.eventfd_write(silent, 1)
    made.loop.leave(waiter)
    assert list(made.loop.waiters) == []
    begun = time.monotonic()
    made.turn(0.1)
    assert time.monotonic() - begun >= 0.1
    assert (made.resumed, made.expired) == ([], [])


def test_one_that_is_made_to_leave_by_another_in_the_same_turn_is_not_resumed(silent: int) -> None:
    other = os.dup(silent)
    seen: list[str] = []

    def resume(waiter: Named) -> None:
        seen.append(waiter.name)
        for one in list(loop.waiters):
            loop.leave(one)

    loop: Loop[Named] = Loop(resume, lambda waiter: None)
    for name, descriptor in (("one", silent), ("two", other)):
        loop.wait(Named(name, deadline=time.monotonic() + 9), Wait(descriptor))
    os.eventfd_write(silent, 1)  # both are ready in one turn
    loop.turn(time.monotonic() + 1)
    assert len(seen) == 1
    loop.close()
    os.close(other)


def test_an_alarm_that_was_replaced_does_not_ring(made: Recorded, silent: int) -> None:
    waiter = made.enter("patient", Wait(silent, seconds=0.02))
    begun = time.monotonic()
    made.loop.wait(waiter, Wait(silent, seconds=0.1))
    while not made.resumed:
        made.turn(1)
    assert time.monotonic() - begun >= 0.09
    assert made.resumed == ["patient"]


def test_a_deadline_comes_once_and_before_an_alarm_that_would_come_later(made: Recorded, silent: int) -> None:
    made.enter("late", Wait(silent, seconds=5), seconds=0.03)
    made.turn(1)
    made.turn(0.05)
    assert (made.resumed, made.expired) == ([], ["late"])


def test_a_call_wakes_a_loop_that_waits_for_nothing_else_and_calls_keep_their_order(made: Recorded) -> None:
    called: list[tuple[int, int]] = []

    def note(number: int) -> None:
        called.append((number, threading.get_ident()))

    def calling() -> None:
        for number in range(3):
            made.loop.call(partial(note, number))

    caller = threading.Timer(0.1, calling)
    caller.start()
    deadline = time.monotonic() + 5
    while len(called) < 3 and time.monotonic() < deadline:
        made.turn(5)
    caller.join()
    assert time.monotonic() < deadline
    assert called == [(number, threading.get_ident()) for number in range(3)]


def test_what_was_to_be_called_is_called_when_the_loop_is_closed_and_nothing_after_that() -> None:
    called: list[int] = []
    loop: Loop[Named] = Loop(lambda waiter: None, lambda waiter: None)
    assert loop.call(lambda: called.append(1))
    assert loop.close()
    assert not loop.close()
    assert not loop.call(lambda: called.append(2))
    assert called == [1]


def test_no_call_is_lost_among_many_threads(made: Recorded) -> None:
    called: list[int] = []

    def calling() -> None:
        for number in range(200):
            made.loop.call(partial(called.append, number))

    threads = [threading.Thread(target=calling, daemon=True) for _turn in range(4)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 10
    while len(called) < 800 and time.monotonic() < deadline:
        made.turn(1)
    for thread in threads:
        thread.join(5)
    assert sorted(called) == sorted(list(range(200)) * 4)
