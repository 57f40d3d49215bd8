"""One thread, one epoll: which callback belongs to which descriptor, and a beat once a second.

Knows descriptors and time; refuses to know what they are for.
"""

import logging
import os
import select
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

BEAT_SECONDS = 1.0
_MOST_EVENTS = 256

Callback = Callable[[int], None]
"""Called with the events of epoll(7)."""


class Poll:
    """Calls back until it is stopped."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callback] = {}
        self._beats: list[Callable[[float], None]] = []
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._stopping = False

    def watch(self, descriptor: int, events: int, callback: Callback) -> None:
        """Call back whenever a descriptor has one of these events."""
        self._callbacks[descriptor] = callback
        self._epoll.register(descriptor, events)

    def change(self, descriptor: int, events: int) -> None:
        """Wait for other events of a descriptor."""
        self._epoll.modify(descriptor, events)

    def forget(self, descriptor: int) -> None:
        """Leave a descriptor alone, before it is closed."""
        self._epoll.unregister(descriptor)
        del self._callbacks[descriptor]

    def every_beat(self, callback: Callable[[float], None]) -> None:
        """Call back about once a second, with the monotonic time."""
        self._beats.append(callback)

    def run(self) -> None:
        """Go on until :meth:`stop`."""
        beat = time.monotonic() + BEAT_SECONDS
        while not self._stopping:
            wait = max(0.0, beat - time.monotonic())
            for descriptor, events in self._epoll.poll(wait, _MOST_EVENTS):
                # one callback may have closed the descriptor of another
                callback = self._callbacks.get(descriptor)
                if callback is not None:
                    callback(events)
            now = time.monotonic()
            if now >= beat:
                beat = now + BEAT_SECONDS
                for each in self._beats:
                    each(now)

    def stop(self) -> None:
        """End :meth:`run`; from any thread."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)

    def close(self) -> None:
        """Give back the descriptors; after :meth:`run` has ended. May be called again."""
        if not self._epoll.closed:
            self._epoll.close()
            os.close(self._wake)
