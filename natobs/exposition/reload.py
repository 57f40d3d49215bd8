"""``POST /-/reload``: has a process read its configuration again, as SIGHUP does, in the manner of Prometheus.

Knows the answers; what a reload is, and that two never run at once, is known by
whoever gives it.
"""

import logging
import threading
from collections.abc import Callable
from http import HTTPStatus

from natobs.errors import NatobsError, SetupError
from natobs.exposition.messages import Request, Response, plain

logger = logging.getLogger(__name__)

METHODS = ("POST", "PUT")


class ReloadPage:
    """The handler of ``/-/reload``.

    Args:
        reload: raises NatobsError where the configuration stays as it was.
    """

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._place = threading.Lock()

    def __call__(self, request: Request) -> Response:
        """Reload: 200 when that is done, 500 with the reason where nothing has changed."""
        # One at a time, so that whoever sends many holds one worker, and scrapes the others.
        if not self._place.acquire(blocking=False):
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, "a reload is under way", ("Retry-After", "1"))
        try:
            self._reload()
        except NatobsError as error:
            logger.warning("asked by %s to reload; the configuration stays as it was: %s", request.client, error)
            return plain(HTTPStatus.INTERNAL_SERVER_ERROR, f"the configuration stays as it was: {error}")
        finally:
            self._place.release()
        logger.info("configuration read again, as %s asked", request.client)
        return plain(HTTPStatus.OK, "configuration read again")


class Reloading:
    """Runs reloads one after the other, whoever asks; what the system refuses becomes an error that natobs names."""

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._lock = threading.Lock()

    def __call__(self) -> None:
        """Reload.

        Raises:
            NatobsError: nothing has changed.
        """
        with self._lock:
            try:
                self._reload()
            except OSError as error:  # no descriptor is left to read a file with
                raise SetupError(f"the configuration cannot be read now: {error.strerror or error}") from error
