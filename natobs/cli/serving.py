"""A process that serves until it is told to stop: signals, readiness, reload. No command of its own."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Protocol

from natobs.errors import NatobsError
from natobs.exposition.listen import Address

logger = logging.getLogger(__name__)


class Service(Protocol):
    """What can be served: the agent, the prober."""

    @property
    def addresses(self) -> Sequence[Address]:
        """What it listens on, once started."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def reload(self) -> None:
        """Read the configuration again; on an error nothing changes."""


def serve(service: Service, started: Callable[[], None], ready_fd: int | None) -> None:
    """Run a service until SIGTERM or SIGINT; SIGHUP reads its configuration again.

    Args:
        service: not started yet.
        started: called once it has started.
        ready_fd: descriptor to which the addresses are written when all is ready.
    """
    stop, reload = threading.Event(), threading.Event()
    wake = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        (reload if number == signal.SIGHUP else stop).set()
        wake.set()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, on_signal)
    service.start()
    for address in service.addresses:
        logger.info("listening on %s", address)
    started()
    if ready_fd is not None:
        with os.fdopen(ready_fd, "w") as ready:
            ready.write("\n".join(map(str, service.addresses)))
    while not stop.is_set():
        wake.wait()
        wake.clear()
        if reload.is_set():
            reload.clear()
            try:
                service.reload()
                logger.info("configuration read again")
            except NatobsError as error:
                logger.warning("the configuration stays as it was: %s", error)
    logger.info("stopping")
    service.stop()
