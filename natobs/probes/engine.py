"""Runs attempts: one thread, one epoll, any number of attempts in flight.

Begins what the plan says is due, wakes attempts whose descriptor is ready, ends
those whose time is up, plans retries, and reports every attempt. Time does not
pass through here into a round trip: the kernel stamps packets, so that a busy
or late engine does not show in the figures. Knows no kind of probe.
"""

import contextlib
import heapq
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import Attempt, ExpiredError, Outcome, Prober, Reason, Steps, Target, Wait
from natobs.probes.plan import Due, Plan

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.02
"""Beats are rounded up to this, so that what falls due together costs one wake-up instead of many."""
_FEWEST_EVENTS = 64
"""Room for events of one turn, at the least; there is room for one of each attempt that waits."""


@dataclass(slots=True, eq=False)
class _Running:
    index: int
    number: int
    steps: Steps
    started: float
    start: float
    lag: float
    deadline: float
    alarm: int = 0
    waiting: int = -1
    done: bool = False


class Engine:
    """Probes targets by a plan until it is stopped.

    Args:
        targets: what is probed; indexes of the plan are places in this.
        probers: one for each target.
        plan: when.
        report: called with each finished attempt, on the engine's thread; quick.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        probers: Sequence[Prober],
        plan: Plan,
        report: Callable[[Attempt], None],
    ) -> None:
        self._targets = targets
        self._probers = probers
        self._plan = plan
        self._report = report
        self._epoll = select.epoll()
        self._waiting: dict[int, _Running] = {}
        self._busy: dict[int, list[Due]] = {}
        self._deadlines: list[tuple[float, int, _Running]] = []
        self._serial = 0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._stopping = False
        self._ending = threading.Lock()
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Attempts that have begun and not ended."""
        return len(self._busy)

    def run(self) -> None:
        """Probe until :meth:`stop`; attempts in flight are then abandoned, and all probers closed."""
        try:
            while not self._stopping:
                self.turn(None)
        finally:
            self.close()

    def stop(self) -> None:
        """End :meth:`run`; from any thread."""
        with self._ending:
            self._stopping = True
            if not self._closed:
                os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Abandon the attempts in flight and give everything back, once; :meth:`run` ends with it."""
        with self._ending:
            if self._closed:
                return
            self._closed = True
        for running in list(self._waiting.values()):
            running.steps.close()
        for prober in self._probers:
            prober.close()
        self._epoll.close()
        os.close(self._wake)

    def begin(self, index: int, number: int = 0) -> None:
        """Begin an attempt now, beside the plan."""
        self._begin(Due(time.monotonic(), index, number))

    def turn(self, limit: float | None) -> None:
        """One turn of the loop: wait at most ``limit`` seconds, then do what there is to do."""
        timeout = self._timeout(time.monotonic())
        if limit is not None:
            timeout = min(timeout, limit)
        ready = self._epoll.poll(timeout, max(_FEWEST_EVENTS, len(self._waiting) + 1))
        # Taken before the answers are read: one that comes while others are read has not missed its time limit.
        looked = time.monotonic()
        for descriptor, _events in ready:
            running = self._waiting.get(descriptor)
            if running is not None:
                self._step(running)
        while self._deadlines and self._deadlines[0][0] <= looked:
            moment, alarm, running = heapq.heappop(self._deadlines)
            if not running.done and (moment == running.deadline or alarm == running.alarm):
                self._step(running, expired=moment == running.deadline)
        for due in self._plan.due(time.monotonic()):
            self._begin(due)

    def _timeout(self, now: float) -> float:
        beat = self._plan.next_time
        if beat <= now:
            beat = now + TICK_SECONDS  # the rate holds it back
        elif beat != float("inf"):
            beat = (beat // TICK_SECONDS + 1) * TICK_SECONDS
        deadline = self._deadlines[0][0] if self._deadlines else float("inf")
        wait = min(beat, deadline) - now
        return 3600.0 if wait == float("inf") else max(0.0, wait)

    def _begin(self, due: Due) -> None:
        queued = self._busy.get(due.target)
        if queued is not None:
            # A first attempt begins when the one under way has ended, which its time limit bounds. A retry that the
            # next beat has overtaken is left out: where retries take longer than a beat they would pile up for ever.
            if not due.number:
                queued.append(due)
            return
        self._busy[due.target] = []
        now = time.monotonic()
        settings = self._targets[due.target].settings
        running = _Running(
            due.target,
            due.number,
            self._probers[due.target].attempt(due.number),
            time.time(),
            now,
            max(0.0, now - due.time),
            now + settings.timeout_seconds,
        )
        self._serial += 1
        heapq.heappush(self._deadlines, (running.deadline, self._serial, running))
        self._step(running)

    def _step(self, running: _Running, *, expired: bool = False) -> None:
        try:
            wait = running.steps.throw(ExpiredError()) if expired else next(running.steps)
            if expired:
                outcome = _timed_out()
            else:
                self._await(running, wait)
                return
        except StopIteration as end:
            outcome = end.value
        except ExpiredError:
            outcome = _timed_out()
        except OSError as error:
            outcome = outcome_of(error)
        except Exception as error:
            logger.exception("a probe of %s failed", self._targets[running.index].name)
            outcome = Outcome(Reason.LOCAL, f"{type(error).__name__}: {error}")
        self._finish(running, outcome)

    def _await(self, running: _Running, wait: Wait) -> None:
        running.alarm = 0
        if wait.seconds is not None:
            moment = time.monotonic() + wait.seconds
            if moment < running.deadline:
                self._serial += 1
                running.alarm = self._serial
                heapq.heappush(self._deadlines, (moment, self._serial, running))
        events = select.EPOLLOUT if wait.write else select.EPOLLIN
        if running.waiting == wait.descriptor:
            # The attempt may have closed the socket behind the number and opened another.
            with contextlib.suppress(FileNotFoundError):
                self._epoll.modify(wait.descriptor, events)
                return
        self._forget(running)
        self._epoll.register(wait.descriptor, events)
        self._waiting[wait.descriptor] = running
        running.waiting = wait.descriptor

    def _forget(self, running: _Running) -> None:
        if running.waiting >= 0:
            self._waiting.pop(running.waiting, None)
            with contextlib.suppress(OSError):  # closed by the attempt, and so forgotten already
                self._epoll.unregister(running.waiting)
            running.waiting = -1

    def _finish(self, running: _Running, outcome: Outcome) -> None:
        self._forget(running)
        with contextlib.suppress(OSError, RuntimeError):  # what it says while it is abandoned comes too late
            running.steps.close()
        running.done = True
        now = time.monotonic()
        target = self._targets[running.index]
        queued = self._busy.pop(running.index)
        if not outcome.success and running.number < target.settings.retries and not queued:
            self._plan.again(running.index, running.number + 1, now + target.settings.retry_delay_seconds)
        self._report(Attempt(target, running.number, running.started, now - running.start, running.lag, outcome))
        for due in queued:
            self._begin(due)


def _timed_out() -> Outcome:
    return Outcome(Reason.TIMEOUT, "no answer within the time limit")
