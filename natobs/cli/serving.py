"""A process that serves until it is told to stop: signals, readiness, reload, warnings. No command of its own."""

import gc
import logging
import os
import signal
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, nullcontext
from typing import NoReturn, Protocol

from natobs.errors import NatobsError
from natobs.exposition.exposure import public_listeners
from natobs.exposition.listen import Address
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Machine

logger = logging.getLogger(__name__)

_END = frozenset({signal.SIGTERM, signal.SIGINT})
_SIGNALS = _END | {signal.SIGHUP}
_CHECK_SECONDS = 1.0


class Service(Protocol):
    """What can be served: the agent, the prober, the reflector."""

    @property
    def listening(self) -> Sequence[str]:
        """What it listens on, for a person, once started."""

    @property
    def urls(self) -> Sequence[str]:
        """Where a browser finds it, once started."""

    @property
    def summary(self) -> str:
        """What it probes, in a few words, once started; may be empty."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """End."""

    def reload(self) -> bool:
        """Read the configuration again; False where there is none. On an error nothing changes."""

    def check(self) -> None:
        """Raise a NatobsError when there is no use in going on; called about once a second."""


def serve(service: Service, started: Callable[[], None], ready_fd: int | None) -> NoReturn:
    """Run a service until SIGTERM or SIGINT, and end the process; SIGHUP reads its configuration again.

    Args:
        service: not started yet.
        started: called once it has started.
        ready_fd: descriptor to which is written, when all is ready, a URL a line; and after an empty line what is
            probed, if anything is.

    Raises:
        NatobsError: it cannot start, or not go on.
    """
    # Blocked in every thread and fetched by this one: a handler could interrupt whatever holds a lock that it needs.
    # The kernel keeps one signal of each kind, so that a storm of SIGHUP is a few reloads.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    service.start()
    for text in service.listening:
        logger.info("%s", text)
    if service.summary:
        logger.info("probing %s", service.summary)
    started()
    if ready_fd is not None:
        with os.fdopen(ready_fd, "w") as ready:
            ready.write("\n".join([*service.urls, *(("", service.summary) if service.summary else ())]))
    # What stands now stays: to look through it for garbage stops all threads, with 10,000 targets for 0.1 s and more.
    gc.collect()
    gc.freeze()
    _until_told_to_end(service)
    logger.info("stopping")
    service.stop()
    logging.shutdown()
    # Not sys.exit, which would wait for every worker whose collector still waits for the kernel.
    os._exit(0)


def warn_of_exposure(addresses: Iterable[Address], machine: Machine | None = None) -> None:
    """Say which listeners can be reached from outside, and why.

    Args:
        addresses: as bound.
        machine: knows its interfaces and routes; this one when absent.
    """
    with nullcontext(machine) if machine else closing(LiveMachine()) as looked_at:
        for address, why in public_listeners(looked_at, addresses):
            logger.warning("%s is reachable from outside: %s; consider loopback, or --web.config.file", address, why)


def _until_told_to_end(service: Service) -> None:
    # SIGHUP has the smallest number and is fetched first: without a look at the others it could keep them waiting.
    while not _END & signal.sigpending():
        caught = signal.sigtimedwait(_SIGNALS, _CHECK_SECONDS)
        if caught is None:
            try:
                service.check()
            except NatobsError:
                service.stop()
                raise
        elif caught.si_signo in _END:
            return
        else:
            _reload(service)


def _reload(service: Service) -> None:
    try:
        read = service.reload()
    except NatobsError as error:
        logger.warning("the configuration stays as it was: %s", error)
    except Exception:  # of ours: no reason to end what serves
        logger.exception("a reload has failed")
    else:
        logger.info("configuration read again" if read else "SIGHUP: there is no configuration to read again")
