"""Takes a round of samples every interval, gathers spans to batches, and hands both to their lanes.

Nobody who gives it something waits: not the scrape, whose samples it shares,
and not the thread that sends probes. Knows time and threads; refuses to know
formats and protocols.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from natobs.catalogue.types import AnySample, Sample
from natobs.config import Otlp
from natobs.exposition.otlp_courier import Courier, Deliver
from natobs.exposition.otlp_lane import Lane, Signal, Tally
from natobs.exposition.otlp_round import Round
from natobs.probes.model import Attempt
from natobs.probes.tracing import Tracing

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 512
"""Spans of one push; more are pushed before the interval is over."""
_END_SECONDS = 1.0

Take = Callable[[], Sequence[AnySample]]
"""Gives what a scrape would give."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Makes what delivers each signal; see :class:`natobs.exposition.otlp_export.Exporters`.

    Args:
        metrics: makes what delivers a round.
        traces: makes what delivers a batch of attempts.
    """

    metrics: Callable[[], Deliver[Round]]
    traces: Callable[[], Deliver[Sequence[Attempt]]]


class Pusher:
    """Pushes by one configuration, between :meth:`start` and :meth:`stop`.

    Args:
        settings: with an endpoint.
        delivery: how a push travels.
        take: called every interval, on a thread of its own.
        tally: where results are counted.
    """

    def __init__(self, settings: Otlp, delivery: Delivery, take: Take, tally: Tally) -> None:
        self.settings = settings
        self._take = take
        self._tally = tally
        self._since = 0.0
        self._broken = False
        self._batch: list[Attempt] = []
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        limit = settings.timeout_seconds
        self._rounds: Lane[Round] | None = None
        self._spans: Lane[Sequence[Attempt]] | None = None
        if "metrics" in settings.signals:
            self._rounds = self._lane("metrics", Courier(delivery.metrics, limit))
        if "traces" in settings.signals:
            self._spans = self._lane("traces", Courier(delivery.traces, limit))
        self._clock = threading.Thread(target=self._run, name="natobs-otlp", daemon=True)
        self.tracing = Tracing(settings.successes_per_span, self._gather) if self._spans is not None else None

    def start(self) -> None:
        """Begin."""
        for lane in self._lanes:
            lane.start()
        self._clock.start()

    def stop(self) -> None:
        """Push what is there once more, if the receiver was well at last, and end; within a second."""
        end = time.monotonic() + _END_SECONDS
        self._stopped.set()
        if self._clock.is_alive():
            self._clock.join(_END_SECONDS)
        for lane in self._lanes:
            lane.end(end)
        for lane in self._lanes:
            lane.join()

    def samples(self) -> list[Sample]:
        """How the pushes fare."""
        lanes = self._lanes
        return [*self._tally.samples(lane.signal for lane in lanes), *(lane.waiting() for lane in lanes)]

    @property
    def _lanes(self) -> "list[Lane[Round] | Lane[Sequence[Attempt]]]":
        return [lane for lane in (self._rounds, self._spans) if lane is not None]

    def _lane(self, signal: Signal, deliver: Courier[T]) -> Lane[T]:
        return Lane(
            signal,
            self.settings.endpoint,
            depth=self.settings.queue,
            longest_pause=self.settings.interval_seconds,
            deliver=deliver,
            tally=self._tally,
        )

    def _gather(self, attempt: Attempt) -> None:
        """Take a traced attempt; on the thread that sends probes."""
        with self._lock:
            self._batch.append(attempt)
            if len(self._batch) < BATCH:
                return
        self._seal()

    def _seal(self) -> None:
        with self._lock:
            batch, self._batch = self._batch, []
        if batch and self._spans is not None:
            self._spans.put(batch)

    def _run(self) -> None:
        """The clock: the first round at a random time of the first interval, so that many agents do not meet."""
        interval = self.settings.interval_seconds
        due = time.monotonic() + interval * random.random()  # noqa: S311 - not a secret
        while not self._stopped.wait(max(0.0, due - time.monotonic())):
            self._look()
            # What was missed meanwhile, as in a suspension, is not made up for.
            due = max(due + interval, time.monotonic())
        self._look()

    def _look(self) -> None:
        self._seal()
        if self._rounds is None:
            return
        now = time.time()
        try:
            taken = Round(now, self._since, self._take())
        except Exception:
            if not self._broken:
                logger.exception("no round was taken for OTLP")
            self._broken = True
            return
        self._since, self._broken = now, False
        self._rounds.put(taken)
