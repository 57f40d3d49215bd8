"""The agent's responder: whether it runs follows the configuration; what it has counted outlives a reload.

Knows when it is started, replaced and ended; refuses to know what it answers.
"""

from collections.abc import Iterator
from typing import NamedTuple

from natobs.catalogue.types import Sample
from natobs.config import Config, Responder
from natobs.probes import responder
from natobs.probes.permission import Permission, permission_of


class Wanted(NamedTuple):
    """A configuration that was found good."""

    settings: Responder
    permission: Permission


def check(config: Config) -> Wanted:
    """Look at a configuration.

    Raises:
        ConfigError: what is wrong with ``[responder]``.
    """
    return Wanted(config.responder, permission_of(config.responder, config.nat))


class Responding:
    """Runs the responder between :meth:`start` and :meth:`stop` while the configuration has it listen.

    Args:
        wanted: of :func:`check`.
    """

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._counts = responder.Counts()
        self._started = False
        self._running: responder.Responder | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it answers now."""
        return self._running.addresses if self._running else []

    def start(self) -> None:
        """Begin; an address that cannot be bound is told in the log and tried again."""
        self._started = True
        self._begin()

    def stop(self) -> None:
        """End it."""
        self._started = False
        if self._running is not None:
            self._running.stop()
            self._running = None

    def use(self, wanted: Wanted) -> None:
        """Follow another configuration; where it is the same, nothing happens."""
        if wanted == self._wanted:
            return
        self._wanted = wanted
        if not self._started:
            return
        if self._running is not None:
            self._running.stop()  # its samples go on until another takes over: a scrape may come between
        self._begin()

    def samples(self) -> Iterator[Sample]:
        """What it has counted; nothing while it is off."""
        running = self._running  # a reload may come between
        if running is not None:
            yield from running.samples()

    def _begin(self) -> None:
        settings, permission = self._wanted
        running = None
        if permission.endpoints:
            running = responder.Responder(permission, settings.source_rate, settings.rate, self._counts)
            running.start()
        self._running = running
