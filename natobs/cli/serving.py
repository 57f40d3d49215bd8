"""A process that serves until it is told to stop: signals, readiness, reload. No command of its own."""

import logging
import os
import signal
from collections.abc import Callable, Sequence
from typing import NoReturn, Protocol

from natobs.errors import NatobsError
from natobs.exposition.listen import Address

logger = logging.getLogger(__name__)

_END = frozenset({signal.SIGTERM, signal.SIGINT})
_SIGNALS = _END | {signal.SIGHUP}


class Service(Protocol):
    """What can be served: the agent, the prober."""

    @property
    def addresses(self) -> Sequence[Address]:
        """What it listens on, once started."""

    @property
    def urls(self) -> Sequence[str]:
        """Where a browser finds it, once started."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def reload(self) -> None:
        """Read the configuration again; on an error nothing changes."""


def serve(service: Service, started: Callable[[], None], ready_fd: int | None) -> NoReturn:
    """Run a service until SIGTERM or SIGINT, and end the process; SIGHUP reads its configuration again.

    Args:
        service: not started yet.
        started: called once it has started.
        ready_fd: descriptor to which the URLs are written when all is ready.
    """
    # Blocked in every thread and fetched by this one: a handler could interrupt whatever holds a lock that it needs.
    # The kernel keeps one signal of each kind, so that a storm of SIGHUP is a few reloads.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    service.start()
    for address in service.addresses:
        logger.info("listening on %s", address)
    started()
    if ready_fd is not None:
        with os.fdopen(ready_fd, "w") as ready:
            ready.write("\n".join(service.urls))
    # SIGHUP has the smallest number and is fetched first: without a look at the others it could keep them waiting.
    while signal.sigwait(_SIGNALS) not in _END and not _END & signal.sigpending():
        try:
            service.reload()
            logger.info("configuration read again")
        except NatobsError as error:
            logger.warning("the configuration stays as it was: %s", error)
    logger.info("stopping")
    service.stop()
    logging.shutdown()
    # Not sys.exit, which would wait for every worker whose collector still waits for the kernel.
    os._exit(0)
