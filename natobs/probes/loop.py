"""Waits for many at a time, each for one descriptor and for some time: one thread, one epoll.

Knows descriptors and time. Refuses to know what those who wait do when they are
resumed, and whom they probe.
"""

import contextlib
import heapq
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

import msgspec

from natobs.probes.model import Wait

_FEWEST_EVENTS = 64
"""Room for events of one turn, at the least; there is room for one of each that waits."""
_LONGEST_SECONDS = 3600.0
"""Of a turn in which nothing happens; epoll_wait(2) counts milliseconds in 31 bits."""
_NOWHERE = -1


class Waiter(msgspec.Struct, eq=False, kw_only=True):
    """Somebody who waits, again and again; a class of its user's adds what he does meanwhile.

    Args:
        deadline: of all his waiting together, in seconds of the monotonic clock.
        alarm: number of the alarm that he waits for; 0 for none.
        descriptor: that he waits for; negative for none.
        gone: whether he waits no more.
    """

    deadline: float
    alarm: int = 0
    descriptor: int = _NOWHERE
    gone: bool = False


W = TypeVar("W", bound=Waiter)


class Loop(Generic[W]):
    """Resumes those who wait. All is for one thread, unless it says that it is for any.

    Args:
        resume: called with a waiter whose descriptor is ready, or whose seconds are over; he waits again, or leaves.
        expire: called with one whose deadline has come; he leaves.
    """

    def __init__(self, resume: Callable[[W], None], expire: Callable[[W], None]) -> None:
        self._resume = resume
        self._expire = expire
        self._epoll = select.epoll()
        self._waiting: dict[int, W] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self._times: list[tuple[float, int, W]] = []
        """Deadlines and alarms, with numbers that never repeat."""
        self._number = 0
        self._calls: deque[Callable[[], None]] = deque()
        self._closing = threading.Lock()
        self._closed = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._bell, self._answer)

    @property
    def waiters(self) -> Collection[W]:
        """Those who wait for a descriptor."""
        return self._waiting.values()

    def enter(self, waiter: W) -> None:
        """Begin to keep an eye on a deadline."""
        self._number += 1
        heapq.heappush(self._times, (waiter.deadline, self._number, waiter))

    def wait(self, waiter: W, wait: Wait) -> None:
        """Resume a waiter when this has come; in place of what he waited for before.

        Raises:
            OSError: there is no such descriptor, or it cannot be waited for.
        """
        waiter.alarm = 0
        if wait.seconds is not None:
            moment = time.monotonic() + wait.seconds
            if moment < waiter.deadline:
                self._number += 1
                waiter.alarm = self._number
                heapq.heappush(self._times, (moment, self._number, waiter))
        descriptor = wait.descriptor
        events = select.EPOLLOUT if wait.write else select.EPOLLIN
        if waiter.descriptor == descriptor:
            # He may have closed what was behind the number and opened something else.
            with contextlib.suppress(FileNotFoundError):
                self._epoll.modify(descriptor, events)
                return
        self._forget(waiter)
        self._epoll.register(descriptor, events)
        self._waiting[descriptor] = waiter
        waiter.descriptor = descriptor

    def leave(self, waiter: W) -> None:
        """Never resume a waiter again."""
        self._forget(waiter)
        waiter.gone = True

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call back for as long as a descriptor is readable, beside those who wait."""
        self._watched[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        """End :meth:`watch`; before the descriptor is closed."""
        del self._watched[descriptor]
        self._epoll.unregister(descriptor)

    def call(self, function: Callable[[], None]) -> bool:
        """Have a function called on the loop's thread, at once or when it is closed; from any thread.

        Returns:
            False when the loop has been closed: nothing is called any more.
        """
        with self._closing:
            if not self._closed:
                self._calls.append(function)
                os.eventfd_write(self._bell, 1)
            return not self._closed

    def turn(self, until: float) -> None:
        """Wait for something to happen, until some moment at the latest, and resume those whom it concerns."""
        while self._times and self._times[0][2].gone:
            heapq.heappop(self._times)  # it would only wake us
        if self._times:
            until = min(until, self._times[0][0])
        seconds = min(max(0.0, until - time.monotonic()), _LONGEST_SECONDS)
        most = max(_FEWEST_EVENTS, len(self._waiting) + len(self._watched))
        ready = self._epoll.poll(seconds, most)
        # Taken before anybody is resumed: what comes while others are at work has not missed its deadline.
        looked = time.monotonic()
        for descriptor, _events in ready:
            waiter = self._waiting.get(descriptor)
            if waiter is not None:
                self._resume(waiter)
            elif descriptor in self._watched:
                self._watched[descriptor]()
        while self._times and self._times[0][0] <= looked:
            moment, number, waiter = heapq.heappop(self._times)
            if waiter.gone:
                continue
            if moment == waiter.deadline:
                self._expire(waiter)
            elif number == waiter.alarm:
                self._resume(waiter)

    def close(self) -> bool:
        """Call what was still to be called, and give the loop's own descriptors back; whether this was the first time.

        Those who wait are not told.
        """
        with self._closing:
            if self._closed:
                return False
            self._closed = True
        self._call()
        self._epoll.close()
        os.close(self._bell)
        return True

    def _answer(self) -> None:
        os.eventfd_read(self._bell)
        self._call()

    def _call(self) -> None:
        while self._calls:
            self._calls.popleft()()

    def _forget(self, waiter: W) -> None:
        descriptor = waiter.descriptor
        if descriptor >= 0:
            self._waiting.pop(descriptor, None)
            try:  # noqa: SIM105 - done for each attempt, and contextlib.suppress would take as long as the call itself
                self._epoll.unregister(descriptor)
            except OSError:
                pass  # closed by himself, and so forgotten already
            waiter.descriptor = _NOWHERE
