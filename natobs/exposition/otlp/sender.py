"""One signal on its way to the receiver: what waits, the thread that pushes it, and how that fares.

What waits is bounded: the oldest goes when there is no room, counted as dropped.
A push that failed in a way that may pass is tried again, after a pause that
grows. Trouble is logged when it begins, changes its nature or ends. Knows no
format and no protocol.
"""

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from typing import Generic, Literal, TypeVar

from natobs.catalogue.metrics import otlp as metric
from natobs.catalogue.types import Sample
from natobs.exposition.otlp.delivery import Deliver, PushError

logger = logging.getLogger(__name__)

T = TypeVar("T")
Signal = Literal["metrics", "traces"]
Result = Literal["sent", "failed", "dropped"]

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_MOST_DOUBLINGS = 6
_JITTER = 0.2
"""Many agents lose a receiver at the same moment; they should not all come back at the same moment."""


class Tally:
    """Counts what became of the pushes; outlives senders, so that the counters survive a reload."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[Signal, Result]] = Counter()

    def count(self, signal: Signal, result: Result, number: int = 1) -> None:
        """Count so many."""
        with self._lock:
            self._counts[signal, result] += number

    def samples(self, signals: Iterable[Signal]) -> list[Sample]:
        """The counters of some signals."""
        results: tuple[Result, ...] = ("sent", "failed", "dropped")
        with self._lock:
            return [
                metric.PUSHES.sample(self._counts[signal, result], signal, result)
                for signal in signals
                for result in results
            ]


class Sender(Generic[T]):
    """Pushes what it is given, one after the other.

    Args:
        signal: what it is.
        where: the receiver, for the log.
        depth: how many may wait.
        longest_pause: between two tries, in seconds; the receiver may ask for longer.
        deliver: pushes one; returns a complaint of the receiver, empty if there is none. Raises PushError.
        tally: where results are counted.
    """

    def __init__(  # noqa: PLR0913 - a value object in all but name
        self,
        signal: Signal,
        where: str,
        *,
        depth: int,
        longest_pause: float,
        deliver: Deliver[T],
        tally: Tally,
    ) -> None:
        self.signal = signal
        self._where = where
        self._depth = depth
        self._longest_pause = min(longest_pause, _LONGEST_PAUSE_SECONDS)
        self._deliver = deliver
        self._tally = tally
        self._changed = threading.Condition()
        self._queue: deque[T] = deque()
        self._resume = 0.0
        self._failures = 0
        self._state = ""
        self._end: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"natobs-otlp-{signal}", daemon=True)

    @property
    def failing(self) -> bool:
        """Whether the latest try failed."""
        return self._failures > 0

    def waiting(self) -> Sample:
        """How many wait."""
        with self._changed:
            return metric.WAITING.sample(len(self._queue), self.signal)

    def put(self, item: T) -> None:
        """Let one more wait; never blocks."""
        with self._changed:
            self._queue.append(item)
            if len(self._queue) > self._depth:
                self._queue.popleft()
                self._tally.count(self.signal, "dropped")
            self._changed.notify()

    def start(self) -> None:
        """Begin to push."""
        self._thread.start()

    def end(self, moment: float) -> None:
        """Push what waits if the receiver was well at last, each once, until then (monotonic seconds); then end."""
        with self._changed:
            self._end = moment
            self._changed.notify()

    def join(self) -> None:
        """Wait for the end; a push that hangs is left behind when the time is up."""
        if self._thread.is_alive() and self._end is not None:
            self._thread.join(max(0.0, self._end - time.monotonic()))

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._ready():
                    self._tally.count(self.signal, "dropped", len(self._queue))
                    self._queue.clear()
                    return
                item = self._queue.popleft()
            self._push(item)

    def _ready(self) -> bool:
        """Wait until there is something to push; False at the end."""
        while self._end is None:
            pause = self._resume - time.monotonic()
            if self._queue and pause <= 0:
                return True
            self._changed.wait(pause if self._queue else None)
        return bool(self._queue) and not self.failing and time.monotonic() < self._end

    def _push(self, item: T) -> None:
        try:
            complaint = self._deliver(item)
        except PushError as error:
            self._failed(item, error)
        except Exception as error:
            if self._state != "broken":
                logger.exception("a push of %s over OTLP has failed", self.signal)
            self._failed(item, PushError(f"{type(error).__name__}", retry=False), "broken")
        else:
            self._failures = 0
            self._tally.count(self.signal, "sent")
            self._turn("partly" if complaint else "well", complaint)

    def _failed(self, item: T, error: PushError, state: str = "") -> None:
        pause = _FIRST_PAUSE_SECONDS * 2 ** min(self._failures, _MOST_DOUBLINGS)
        pause = max(error.pause, min(pause, self._longest_pause) * random.uniform(1 - _JITTER, 1 + _JITTER))  # noqa: S311 - not a secret
        self._tally.count(self.signal, "failed")
        self._turn(state or ("waiting" if error.retry else "refused"), str(error))
        with self._changed:
            self._failures += 1
            self._resume = time.monotonic() + pause
            if error.retry and len(self._queue) < self._depth:
                self._queue.appendleft(item)
            else:
                self._tally.count(self.signal, "dropped")

    def _turn(self, state: str, detail: str) -> None:
        """Log that things have changed."""
        if state == self._state:
            return
        self._state = state
        match state:
            case "well":
                logger.info("OTLP: %s are pushed to %s", self.signal, self._where)
            case "partly":
                logger.warning("OTLP: %s takes %s only in part: %s", self._where, self.signal, detail)
            case "waiting":
                logger.warning("OTLP: %s cannot be pushed to %s: %s; trying again", self.signal, self._where, detail)
            case "refused":
                logger.warning("OTLP: %s are refused by %s, and lost: %s", self.signal, self._where, detail)
