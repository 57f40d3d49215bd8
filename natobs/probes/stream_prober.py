"""What all probers share that begin with a TCP connection: resolve, connect, the rest, and a farewell.

Knows the order of the steps and how an attempt is concluded; refuses to know
what is said on the connection.
"""

import contextlib
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Generator

from natobs.probes.connect import connect
from natobs.probes.environment import Environment
from natobs.probes.farewell import Farewell
from natobs.probes.model import Steps, Target, Wait
from natobs.probes.progress import Progress, concluded
from natobs.probes.stream import Stream


class StreamProber(ABC):
    """Probes one target, each time on a connection of its own.

    Args:
        target: whom.
        environment: resolves names.
        farewell: ends connections; shared by the probers of a kind.
    """

    def __init__(self, target: Target, environment: Environment, farewell: Farewell) -> None:
        self._target = target
        self._settings = target.settings
        self._resolver = environment.resolver
        self._farewell = farewell

    def attempt(self, number: int) -> Steps:
        progress = Progress(number=number, deadline=time.monotonic() + self._settings.timeout_seconds)
        return concluded(progress, self._steps(progress))

    def close(self) -> None:
        self._farewell.close(self)

    @abstractmethod
    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        """Do all there is to do; it has succeeded unless it raises."""

    def _connect(self, progress: Progress, host: str, port: int) -> Generator[Wait, None, socket.socket]:
        """Resolve and connect; the caller closes the socket, or leaves it to the farewell."""
        with progress.phase("resolve", f"resolving {host}"):
            address = yield from self._resolver.address(host, port, self._settings.family, progress.number)
        return (yield from connect(self._settings, address, progress))


@contextlib.contextmanager
def timed(progress: Progress, phase: str, stream: Stream, begun: float) -> Generator[None, None, None]:
    """A phase that ends when its last bytes came, or, if it fails, now."""
    ended = None
    try:
        yield
        ended = stream.received_at
    finally:
        progress.arrived = stream.received_at
        progress.spent(phase, (ended or time.monotonic()) - begun)
