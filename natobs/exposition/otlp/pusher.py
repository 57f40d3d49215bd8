"""Takes a round of samples every interval, gathers spans to batches, and hands both to their senders.

Nobody who gives it something waits: not the scrape, whose samples it shares,
and not the thread that sends probes. Knows time and threads; refuses to know
formats and protocols.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from natobs.catalogue.types import AnySample, Sample
from natobs.config import Otlp
from natobs.exposition.otlp.delivery import Delivery, Round
from natobs.exposition.otlp.limited import Limited
from natobs.exposition.otlp.sender import Sender, Signal, Tally
from natobs.probes.model import Attempt
from natobs.probes.tracing import Tracing

logger = logging.getLogger(__name__)

T = TypeVar("T")

BATCH = 512
"""Spans of one push; more are pushed before the interval is over."""
_END_SECONDS = 1.0

Take = Callable[[], Sequence[AnySample]]
"""Gives what a scrape would give."""


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
        self._rounds: Sender[Round] | None = None
        self._spans: Sender[Sequence[Attempt]] | None = None
        if "metrics" in settings.signals:
            self._rounds = self._sender("metrics", Limited(delivery.metrics, limit))
        if "traces" in settings.signals:
            self._spans = self._sender("traces", Limited(delivery.traces, limit))
        self._clock = threading.Thread(target=self._run, name="natobs-otlp", daemon=True)
        self.tracing = Tracing(settings.successes_per_span, self._gather) if self._spans is not None else None

    def start(self) -> None:
        """Begin."""
        for sender in self._senders:
            sender.start()
        self._clock.start()

    def stop(self) -> None:
        """Push what is there once more, if the receiver was well at last, and end; within a second."""
        end = time.monotonic() + _END_SECONDS
        self._stopped.set()
        if self._clock.is_alive():
            self._clock.join(_END_SECONDS)
        for sender in self._senders:
            sender.end(end)
        for sender in self._senders:
            sender.join()

    def samples(self) -> list[Sample]:
        """How the pushes fare."""
        senders = self._senders
        return [*self._tally.samples(sender.signal for sender in senders), *(sender.waiting() for sender in senders)]

    @property
    def _senders(self) -> "list[Sender[Round] | Sender[Sequence[Attempt]]]":
        return [sender for sender in (self._rounds, self._spans) if sender is not None]

    def _sender(self, signal: Signal, deliver: Limited[T]) -> Sender[T]:
        return Sender(
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
