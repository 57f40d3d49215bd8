"""Makes attempts: one thread, any number of attempts in flight.

Begins what the plan says is due, ends attempts whose time is up, plans retries,
and reports every attempt. The two sides of a pair are attempted one after the
other, in random order. Time does not pass through here into a round trip: the
kernel stamps packets, so that a busy or late engine does not show in the
figures. Leaves the waiting to :mod:`natobs.probes.loop`; knows no kind of probe.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import msgspec

from natobs.probes.errno_reason import outcome_of
from natobs.probes.loop import Loop, Waiter
from natobs.probes.model import Attempt, ExpiredError, Outcome, Paired, Prober, Reason, Steps, Target
from natobs.probes.plan import Due, Plan

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.02
"""Beats are rounded up to this, so that what falls due together costs one wake-up instead of many."""
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


class _Running(Waiter, eq=False):
    """An attempt under way.

    Args:
        task: that it carries out.
        target: whom it probes.
        steps: what it does.
        started: when, in seconds since the epoch.
        start: when, in seconds of the monotonic clock.
    """

    task: _Task
    target: Target
    steps: Steps
    started: float
    start: float


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
        self._busy: dict[int, Due | None] = {}
        """Indexes of targets that are attempted, or whose companion goes before, with the beat that waits for that."""
        self._loop: Loop[_Running] = Loop(self._step, self._expire)
        self._stopping = False

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
        self._loop.call(self._end)

    def change(self, change: Change) -> bool:
        """Probe other targets from the next turn on; from any thread. False when the engine has been closed."""
        return self._loop.call(partial(self._carry_out, change))

    def close(self) -> None:
        """Abandon the attempts in flight and give everything back, once; :meth:`run` ends with it."""
        if not self._loop.close():
            return
        for running in self._loop.waiters:
            _abandon(running)
        for prober in self._probers.values():
            _close(prober)

    def begin(self, index: int, number: int = 0) -> None:
        """Begin an attempt now, beside the plan."""
        self._begin(Due(time.monotonic(), index, number))

    def place(self, index: int, target: Target, prober: Prober) -> None:
        """Have another target under an index that the plan does not know, and that has no attempt in flight."""
        replaced = self._probers.get(index)
        self._targets[index], self._probers[index] = target, prober
        if replaced is not None:
            _close(replaced)

    def watch(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Call back on the engine's thread for as long as a descriptor is readable, beside the attempts."""
        self._loop.watch(descriptor, callback)

    def unwatch(self, descriptor: int) -> None:
        """End :meth:`watch`; before the descriptor is closed."""
        self._loop.unwatch(descriptor)

    def turn(self, limit: float | None) -> None:
        """One turn of the loop: wait at most ``limit`` seconds, then do what there is to do."""
        now = time.monotonic()
        until = self._next_beat(now)
        self._loop.turn(until if limit is None else min(until, now + limit))
        for due in self._plan.due(time.monotonic()):
            self._begin(due)

    def _end(self) -> None:
        self._stopping = True

    def _carry_out(self, change: Change) -> None:
        for running in [running for running in self._loop.waiters if running.task.index in change.removed]:
            self._loop.leave(running)
            _abandon(running)
        for index in change.removed:
            self._busy.pop(index, None)
            self._with_companion.discard(index)
            self._plan.paired.discard(index)
            del self._targets[index]
            _close(self._probers.pop(index))
        for index, (target, prober) in change.added.items():
            self._targets[index], self._probers[index] = target, prober
            if isinstance(prober, Paired):
                self._plan.paired.add(index)
        self._targets.update(change.renewed)
        self._plan.rate = change.rate
        intervals = {index: target.settings.interval_seconds for index, (target, _prober) in change.added.items()}
        self._plan.change(change.removed, intervals, time.monotonic())

    def _next_beat(self, now: float) -> float:
        """When to look at the plan again; infinity when there is nothing in it."""
        beat = self._plan.next_time
        if beat <= now:
            return now + TICK_SECONDS  # the rate holds it back
        return beat if beat == float("inf") else (beat // TICK_SECONDS + 1) * TICK_SECONDS

    def _begin(self, due: Due, *, waited: bool = False) -> None:
        if due.target in self._busy:
            # A first attempt begins when the one under way has ended, which its time limit bounds. A second one that
            # waits is skipped, and a retry that the next beat has overtaken is left out: where attempts take longer
            # than a beat they would pile up for ever.
            if due.number:
                return
            if self._busy[due.target] is None:
                self._busy[due.target] = due
            else:
                self._plan.skipped += 1
            return
        self._busy[due.target] = None
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
        running = _Running(task, target, prober.attempt(task.number), time.time(), now, deadline=deadline)
        self._loop.enter(running)
        self._step(running)

    def _expire(self, running: _Running) -> None:
        self._step(running, expired=True)

    def _step(self, running: _Running, *, expired: bool = False) -> None:
        """Let an attempt go on, to where it waits again or to its end."""
        try:
            if not expired:
                self._loop.wait(running, next(running.steps))
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

    def _finish(self, running: _Running, outcome: Outcome) -> None:
        self._loop.leave(running)
        _abandon(running)
        now = time.monotonic()
        task, target = running.task, running.target
        waiting = None
        if task.companion:
            self._with_companion.discard(task.index)
        else:
            waiting = self._busy.pop(task.index)
            if not outcome.success and task.number < target.settings.retries and waiting is None:
                self._plan.again(task.index, task.number + 1, now + target.settings.retry_delay_seconds)
        seconds = now - running.start
        self._report(
            Attempt(
                target, task.number, running.started, seconds, task.lag, outcome, task.pair, companion=task.companion
            )
        )
        if task.then is not None:
            self._start(task.then)
        if waiting is not None:
            self._begin(waiting, waited=True)


def _abandon(running: _Running) -> None:
    try:  # noqa: SIM105 - done for each attempt, and contextlib.suppress would take longer than the call itself
        running.steps.close()
    except (OSError, RuntimeError):
        pass  # what it says while it is abandoned comes too late


def _close(prober: Prober) -> None:
    with contextlib.suppress(OSError):  # the others are to be closed too, or to go on
        prober.close()


def _timed_out() -> Outcome:
    return Outcome(Reason.TIMEOUT, "no answer within the time limit")
