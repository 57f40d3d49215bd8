"""Runs all collectors for a scrape: one round at a time, shared by everybody who asks meanwhile.

Collectors run one after the other on a worker thread, because a hand-over
costs more than most of them. A collector that exceeds its limit is left behind
with its thread; the rest of the round goes on in another, and the collector is
not started again until it has returned. So there are never more threads than
collectors plus one, and no answer is later than its limit.

Knows time and threads; refuses to know what is collected.
"""

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from natobs.collectors.base import Collector, Gap, Outcome, run
from natobs.kernel.machine import Machine

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One round.

    Args:
        number: counts rounds from 1.
        time: when it began, in seconds since the epoch.
        outcomes: one for each collector, in their order.
        complete: whether the round had ended; if not, another look at it may show more.
    """

    number: int
    time: float
    outcomes: tuple[Outcome, ...]
    complete: bool


@dataclass(slots=True)
class _Round:
    number: int
    time: float
    collectors: tuple[Collector, ...]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    running: Collector | None = None
    since: float = 0.0
    finished: bool = False
    worker: int = 0
    """The generation of the worker thread that owns the round; an older one has been left behind."""


class Runner:
    """Collects for any number of threads at once.

    Args:
        collectors: in the order in which they run.
        machine: what they read.
        limit: seconds that one collector may take.
    """

    def __init__(self, collectors: Sequence[Collector], machine: Machine, limit: float) -> None:
        self._collectors = tuple(collectors)
        self._machine = machine
        self._limit = limit
        self._changed = threading.Condition()
        self._round: _Round | None = None
        self._rounds = 0
        self._stuck: dict[str, float] = {}
        self._workers = 0
        self._stopping = False

    @property
    def stuck(self) -> tuple[str, ...]:
        """Names of the collectors that were left behind and have not returned."""
        with self._changed:
            return tuple(self._stuck)

    def replace(self, collectors: Sequence[Collector], limit: float) -> None:
        """Use other collectors from the next round on."""
        with self._changed:
            self._collectors = tuple(collectors)
            self._limit = limit

    def collect(self, limit: float) -> Snapshot:
        """The outcomes of a round that was under way or has begun now.

        Args:
            limit: seconds after which the collectors that have not finished are reported as timed out.
        """
        deadline = time.monotonic() + limit
        with self._changed:
            current = self._round
            if current is None or current.finished:
                current = self._begin()
            while not current.finished:
                now = time.monotonic()
                if now >= deadline:
                    break
                # The worker does not say when it takes the next collector: a limit after now is soon enough to look.
                overdue = (now if current.running is None else current.since) + self._limit
                if now >= overdue:
                    self._leave_behind(current, now)
                else:
                    self._changed.wait(min(deadline, overdue) - now)
            return self._snapshot(current)

    def stop(self) -> None:
        """Let the worker end; collectors that were left behind are daemon threads and end with the process."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def _begin(self) -> _Round:
        self._rounds += 1
        self._round = _Round(self._rounds, time.time(), self._collectors, worker=self._workers)
        if not self._workers:
            self._spawn(self._round)
        self._changed.notify_all()
        return self._round

    def _spawn(self, current: _Round) -> None:
        self._workers += 1
        current.worker = self._workers
        threading.Thread(
            target=self._work, args=(self._workers,), name=f"natobs-collect-{self._workers}", daemon=True
        ).start()

    def _leave_behind(self, current: _Round, now: float) -> None:
        stuck = current.running
        assert stuck is not None
        logger.warning("collector %s has not returned after %.1f s; going on without it", stuck.name, self._limit)
        detail = f"has not returned within {self._limit:g} s"
        current.outcomes[stuck.name] = Outcome(stuck.name, (), (Gap("timeout", detail),), now - current.since)
        current.running = None
        self._stuck[stuck.name] = current.since
        self._spawn(current)

    def _snapshot(self, current: _Round) -> Snapshot:
        late = Gap("timeout", "had not finished when the time of the scrape was up")
        outcomes = (
            current.outcomes.get(collector.name) or Outcome(collector.name, (), (late,), 0.0)
            for collector in current.collectors
        )
        return Snapshot(current.number, current.time, tuple(outcomes), current.finished)

    def _work(self, generation: int) -> None:
        """The worker thread: every round's collectors in turn, until another worker took over."""
        while True:
            with self._changed:
                step = self._next(generation)
                if step is None:
                    return
                current, collector = step
            outcome = run(collector, self._machine)
            with self._changed:
                if current.worker != generation:
                    del self._stuck[collector.name]
                    return
                current.outcomes[collector.name] = outcome
                current.running = None

    def _next(self, generation: int) -> tuple[_Round, Collector] | None:
        """Wait for the next collector to run; None when this worker is not needed any more."""
        while not self._stopping and self._round is not None and generation == self._workers:
            current = self._round
            for collector in current.collectors[len(current.outcomes) :]:
                since = self._stuck.get(collector.name)
                if since is None:
                    current.running, current.since = collector, time.monotonic()
                    return current, collector
                busy = Gap("busy", f"still running since {time.monotonic() - since:.0f} s")
                current.outcomes[collector.name] = Outcome(collector.name, (), (busy,), 0.0)
            if not current.finished:
                current.finished = True
                self._changed.notify_all()
            self._changed.wait()
        return None
