"""The background thread: hears streams and ticks samplers, so that events are counted when they happen.

One thread for all collectors that are :class:`~natobs.collectors.base.Listening`
or :class:`~natobs.collectors.base.Ticking`. It sleeps until there is news or a
tick is due. Knows when to call whom; refuses to know what anything means.
"""

import contextlib
import logging
import os
import selectors
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from natobs.collectors.base import Collector, Listening, Ticking
from natobs.errors import KernelError, UnavailableError
from natobs.kernel.machine import Machine, Stream

logger = logging.getLogger(__name__)

_BATCH = 512
"""Messages taken from one stream before the others and the ticks get their turn."""
_BACKLOG_BATCHES = 200
"""A stream that holds more than this at the start is heard further by the thread."""
_TICK_BATCHES = 4
"""What is taken at a tick from a stream that cannot be waited for: a bound on what a flood of messages costs."""
_STOP_SECONDS = 5.0
_PASSING = frozenset({"busy", "format"})
"""Reasons after which a stream goes on: messages were lost, or one was odd."""


@dataclass(slots=True)
class _Tick:
    collector: Ticking
    due: float


class Background:
    """Feeds collectors from streams and clocks until it is stopped.

    Streams are opened, and the messages that they already hold are delivered,
    when the thread is started: what happens after :meth:`start` returns is heard.

    Args:
        collectors: those that neither listen nor tick are passed over.
        machine: where streams come from, and what ticks look at.
    """

    def __init__(self, collectors: Sequence[Collector], machine: Machine) -> None:
        self._machine = machine
        self._listeners = [collector for collector in collectors if isinstance(collector, Listening)]
        self._ticks = [_Tick(collector, 0.0) for collector in collectors if isinstance(collector, Ticking)]
        self._selector = selectors.DefaultSelector()
        self._streams: list[Stream] = []
        self._unpolled: dict[int, tuple[Listening, Stream]] = {}
        """Streams that are looked at when their collector ticks, by its identity."""
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="natobs-background", daemon=True)
        self._stopping = False

    def start(self) -> None:
        """Open the streams, tick once, and start the thread."""
        self.prime()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread.start()

    def prime(self) -> None:
        """Open the streams, deliver what they hold, and tick once; all there is to do for a single reading."""
        for collector in self._listeners:
            try:
                stream = self._machine.listen(collector.stream)
            except UnavailableError as error:
                collector.miss(error)
                continue
            self._streams.append(stream)
            if stream.fileno() >= 0:
                self._selector.register(stream.fileno(), selectors.EVENT_READ, (collector, stream))
            else:
                self._unpolled[id(collector)] = (collector, stream)
            for _batch in range(_BACKLOG_BATCHES):
                if not self._deliver(collector, stream):
                    break
        self._tick()

    def stop(self) -> None:
        """End the thread and close the streams."""
        self._stopping = True
        os.write(self._wake_write, b"x")
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP_SECONDS)
        if self._thread.is_alive():
            return  # a collector hangs: its descriptors are closed with the process, not under its hands
        self._selector.close()
        for stream in self._streams:
            stream.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        while not self._stopping:
            for key, _events in self._selector.select(self._tick()):
                if key.data is not None:
                    self._deliver(*key.data)

    def _tick(self) -> float | None:
        """Tick what is due; the seconds until the next tick, None when nothing ticks."""
        now = time.monotonic()
        for tick in self._ticks:
            if tick.due <= now:
                self._look(tick.collector)
                try:
                    tick.collector.tick(self._machine)
                except KernelError as error:
                    logger.debug("a sample was missed: %s", error)
                except Exception:
                    logger.exception("a sampler failed")
                # From now, not from when it was due: after a suspension there is nothing to catch up with.
                tick.due = now + tick.collector.tick_seconds
        return max(0.0, min(tick.due for tick in self._ticks) - time.monotonic()) if self._ticks else None

    def _look(self, collector: Ticking) -> None:
        """Deliver what has come to a stream that cannot be waited for."""
        unpolled = self._unpolled.get(id(collector))
        for _batch in range(_TICK_BATCHES):
            if unpolled is None or not self._deliver(*unpolled):
                return

    def _deliver(self, collector: Listening, stream: Stream) -> bool:
        """Hand over a batch of messages; whether there may be more at once."""
        for _message in range(_BATCH):
            try:
                message = stream.read()
                if message is None:
                    return False
                collector.hear(message)
            except KernelError as error:
                collector.miss(error)
                if error.reason not in _PASSING:
                    self._unpolled.pop(id(collector), None)
                    with contextlib.suppress(KeyError, ValueError):
                        self._selector.unregister(stream.fileno())
                    return False
            except Exception:
                logger.exception("a message could not be taken")
        return True
