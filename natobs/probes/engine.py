"""Runs attempts: one thread, one epoll, any number of attempts in flight.

Begins what the plan says is due, wakes attempts whose descriptor is ready, ends
those whose time is up, plans retries, and reports every attempt. The two sides
of a pair are attempted one after the other, in random order. Time does not
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
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import Attempt, ExpiredError, Outcome, Paired, Prober, Reason, Steps, Target, Wait
from natobs.probes.plan import Due, Plan

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.02
"""Beats are rounded up to this, so that what falls due together costs one wake-up instead of many."""
_FEWEST_EVENTS = 64
"""Room for events of one turn, at the least; there is room for one of each attempt that waits."""
_LATE_SHARE = 0.25
"""A beat that had to wait for the one before it for more than this share of its interval is no pair."""


class _Task(msgspec.Struct, frozen=True):
    """An attempt to begin; ``then`` begins when it has ended."""

    index: int
    number: int
    lag: float
    pair: int = 0
    companion: bool = False
    then: "_Task | None" = None


class _Running(msgspec.Struct, eq=False):
    task: _Task
    target: Target
    steps: Steps
    started: float
    start: float
    deadline: float
    alarm: int = 0
    waiting: int = -1
    done: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """Other targets, while all the rest go on.

    Args:
        rate: attempts a second over all targets, as :func:`natobs.probes.plan.check_rate` has found good.
        removed: indexes of targets that are probed no more.
        added: new targets with their probers, by indexes that were never in use.
        renewed: targets that stay with their prober, but whose definition is another one.
    """

    rate: float
    removed: frozenset[int] = frozenset()
    added: Mapping[int, tuple[Target, Prober]] = field(default_factory=dict)
    renewed: Mapping[int, Target] = field(default_factory=dict)


class Engine:
    """Probes targets by a plan until it is stopped.

    Args:
        targets: what is probed; indexes of the plan are places in this.
        probers: one for each target. With a :class:`~natobs.probes.model.Paired` each first attempt is a pair, unless
            the one before has taken so long that it has to begin late.
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
        self._targets = dict(enumerate(targets))
        self._probers = dict(enumerate(probers))
        self._plan = plan
        self._report = report
        self._pairs = 0
        self._with_companion: set[int] = set()
        """Indexes of targets whose companion is under way, or to come at once."""
        self._plan.paired.update(index for index, prober in self._probers.items() if isinstance(prober, Paired))
        self._epoll = select.epoll()
        self._waiting: dict[int, _Running] = {}
        self._watched: dict[int, Callable[[], None]] = {}
        self._busy: dict[int, list[Due]] = {}
        self._deadlines: list[tuple[float, int, _Running]] = []
        self._serial = 0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wake, self._woken)
        self._changes: deque[Change] = deque()
        self._stopping = False
        self._ending = threading.Lock()
        self._closed = False

    @property
    def in_flight(self) -> int:
        """Attempts that have begun and not ended."""
        return len(self._busy) + len(self._with_companion - self._busy.keys())

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

    def change(self, change: Change) -> bool:
        """Probe other targets from the next turn on; from any thread. False when the engine has been closed."""
        with self._ending:
            if not self._closed:
                self._changes.append(change)
                os.eventfd_write(self._wake, 1)
            return not self._closed

    def close(self) -> None:
        """Abandon the attempts in flight and give everything back, once; :meth:`run` ends with it."""
        with self._ending:
            if self._closed:
                return
            self._closed = True
        for change in self._changes:
            self._carry_out(change)
        for running in list(self._waiting.values()):
            running.steps.close()
        for prober in self._probers.values():
            prober.close()
        self._epoll.close()
        os.close(self._wake)

    def begin(self, index: int, number: int = 0) -> None:
        """Begin an attempt now, beside the plan."""
        self._begin(Due(time.monotonic(), index, number))

    def place(self, index: int, target: Target, prober: Prober) -> None:
        """Have another target under an index that the plan does not know, and that has no attempt in flight."""
        replaced = self._probers.get(index)
        self._targets[index], self._probers[index] = target, prober
        if replaced is not None:
            replaced.close()

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call back on the engine's thread for as long as a descriptor is readable, beside the attempts."""
        self._watched[descriptor] = callback
        self._epoll.register(descriptor, select.EPOLLIN)

    def unwatch(self, descriptor: int) -> None:
        """End :meth:`watch`; before the descriptor is closed."""
        del self._watched[descriptor]
        self._epoll.unregister(descriptor)

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
            elif descriptor in self._watched:
                self._watched[descriptor]()
        while self._deadlines and self._deadlines[0][0] <= looked:
            moment, alarm, running = heapq.heappop(self._deadlines)
            if not running.done and (moment == running.deadline or alarm == running.alarm):
                self._step(running, expired=moment == running.deadline)
        for due in self._plan.due(time.monotonic()):
            self._begin(due)

    def _woken(self) -> None:
        os.eventfd_read(self._wake)
        while self._changes:
            self._carry_out(self._changes.popleft())

    def _carry_out(self, change: Change) -> None:
        for running in [running for running in self._waiting.values() if running.task.index in change.removed]:
            self._forget(running)
            _abandon(running)
        for index in change.removed:
            self._busy.pop(index, None)
            self._with_companion.discard(index)
            self._plan.paired.discard(index)
            del self._targets[index]
            with contextlib.suppress(OSError):  # the others are to go on
                self._probers.pop(index).close()
        for index, (target, prober) in change.added.items():
            self._targets[index], self._probers[index] = target, prober
            if isinstance(prober, Paired):
                self._plan.paired.add(index)
        self._targets.update(change.renewed)
        self._plan.rate = change.rate
        intervals = {index: target.settings.interval_seconds for index, (target, _prober) in change.added.items()}
        self._plan.change(change.removed, intervals, time.monotonic())

    def _timeout(self, now: float) -> float:
        beat = self._plan.next_time
        if beat <= now:
            beat = now + TICK_SECONDS  # the rate holds it back
        elif beat != float("inf"):
            beat = (beat // TICK_SECONDS + 1) * TICK_SECONDS
        while self._deadlines and self._deadlines[0][2].done:
            heapq.heappop(self._deadlines)  # it would only wake us
        deadline = self._deadlines[0][0] if self._deadlines else float("inf")
        wait = min(beat, deadline) - now
        return 3600.0 if wait == float("inf") else max(0.0, wait)

    def _begin(self, due: Due, *, waited: bool = False) -> None:
        queued = self._busy.get(due.target)
        if queued is not None:
            # A first attempt begins when the one under way has ended, which its time limit bounds. A retry that the
            # next beat has overtaken is left out: where retries take longer than a beat they would pile up for ever.
            if not due.number:
                queued.append(due)
            return
        self._busy[due.target] = []
        lag = max(0.0, time.monotonic() - due.time)
        # Where every pair took longer than a beat, the beats that wait would pile up for ever.
        late = waited and lag > self._targets[due.target].settings.interval_seconds * _LATE_SHARE
        paired = isinstance(self._probers[due.target], Paired) and not due.number and not late
        if not paired or due.target in self._with_companion:
            self._start(_Task(due.target, due.number, lag))
            return
        self._with_companion.add(due.target)
        self._pairs += 1
        companion_first = self._plan.chance.random() < 0.5  # noqa: PLR2004 - a coin
        second = _Task(due.target, 0, lag, self._pairs, companion=not companion_first)
        self._start(msgspec.structs.replace(second, companion=companion_first, then=second))

    def _start(self, task: _Task) -> None:
        target, prober = self._targets[task.index], self._probers[task.index]
        if task.companion and isinstance(prober, Paired):
            target, prober = prober.companion_target, prober.companion
        now = time.monotonic()
        deadline = now + target.settings.timeout_seconds
        running = _Running(task, target, prober.attempt(task.number), time.time(), now, deadline)
        self._serial += 1
        heapq.heappush(self._deadlines, (running.deadline, self._serial, running))
        self._step(running)

    def _step(self, running: _Running, *, expired: bool = False) -> None:
        try:
            if not expired:
                self._await(running, next(running.steps))
                return
            running.steps.throw(ExpiredError())
            outcome = _timed_out()
        except StopIteration as end:
            outcome = end.value
        except ExpiredError:
            outcome = _timed_out()
        except OSError as error:
            outcome = outcome_of(error)
        except Exception as error:
            logger.exception("a probe of %s failed", running.target.name)
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
        _abandon(running)
        now = time.monotonic()
        task, target = running.task, running.target
        queued: list[Due] = []
        if task.companion:
            self._with_companion.discard(task.index)
        else:
            queued = self._busy.pop(task.index)
            if not outcome.success and task.number < target.settings.retries and not queued:
                self._plan.again(task.index, task.number + 1, now + target.settings.retry_delay_seconds)
        seconds = now - running.start
        self._report(
            Attempt(
                target, task.number, running.started, seconds, task.lag, outcome, task.pair, companion=task.companion
            )
        )
        if task.then is not None:
            self._start(task.then)
        for due in queued:
            self._begin(due, waited=True)


def _abandon(running: _Running) -> None:
    with contextlib.suppress(OSError, RuntimeError):  # what it says while it is abandoned comes too late
        running.steps.close()
    running.done = True


def _timed_out() -> Outcome:
    return Outcome(Reason.TIMEOUT, "no answer within the time limit")
