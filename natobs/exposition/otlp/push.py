"""Push over OTLP for a process that serves, across reloads; and once, for one that does not.

Knows when OpenTelemetry's libraries are needed, and who the process is to a
receiver. Where no endpoint is configured nothing is imported and nothing runs.
"""

import logging
import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from natobs import __version__
from natobs.catalogue.types import AnySample, Sample, Start
from natobs.config import Otlp
from natobs.errors import ConfigError, ExpositionError, SetupError
from natobs.exposition.otlp.delivery import Deliver, Delivery, PushError, Round
from natobs.exposition.otlp.limited import Limited
from natobs.exposition.otlp.pusher import BATCH, Pusher, Take
from natobs.exposition.otlp.sender import Signal, Tally
from natobs.probes.model import Attempt
from natobs.probes.tracing import Tracing

logger = logging.getLogger(__name__)

T = TypeVar("T")

_SHORTEST_SECONDS = 0.1
"""For a push whose time is over before it has begun."""


class OtlpPush:
    """What ``[otlp]`` asks for.

    Args:
        service: ``natobs-agent`` or ``natobs-probe``.
        listen: the first address that the process listens on: its port tells it from others on this host.
        take: gives what a scrape would give.
        began: when the counters of this process were zero, in seconds since the epoch.
        settings: at first.

    Raises:
        ConfigError: a file that is named cannot be used.
        SetupError: the libraries are missing.
    """

    def __init__(self, service: str, listen: str, take: Take, began: float, settings: Otlp) -> None:
        self._identity = identity(service, listen)
        self._take = take
        self._began = _starts(began)
        self._tally = Tally()
        self._running = False
        self._pusher: Pusher | None = None
        self._pusher = self.prepare(settings)

    @property
    def tracing(self) -> Tracing | None:
        """What attempts of probes have to pass; None where no spans are pushed."""
        return self._pusher.tracing if self._pusher is not None else None

    def prepare(self, settings: Otlp) -> Pusher | None:
        """What :meth:`use` takes: for settings that have not changed the pusher at work, None where none is asked for.

        Raises:
            ConfigError, SetupError: as when built; nothing has changed.
        """
        if self._pusher is not None and self._pusher.settings == settings:
            return self._pusher
        if not settings.endpoint:
            return None
        return Pusher(settings, _delivery(settings, self._identity, self._began), self._take, self._tally)

    def use(self, prepared: Pusher | None) -> None:
        """Push by another configuration."""
        old, self._pusher = self._pusher, prepared
        if prepared is old or not self._running:
            return
        if old is not None:
            old.stop()
        if prepared is not None:
            prepared.start()

    def start(self) -> None:
        """Begin to push."""
        self._running = True
        if self._pusher is not None:
            self._pusher.start()

    def stop(self) -> None:
        """Push once more where that works, and end; within about a second."""
        if self._pusher is not None and self._running:
            self._pusher.stop()
        self._running = False

    def samples(self) -> list[Sample]:
        """How the pushes fare; nothing where none are asked for."""
        return self._pusher.samples() if self._pusher is not None else []


def push_once(  # noqa: PLR0913 - what, from whom, and where to
    settings: Otlp,
    service: str,
    listen: str,
    samples: Sequence[AnySample],
    attempts: Sequence[Attempt] = (),
    *,
    began: float | None = None,
    limit: float = math.inf,
) -> None:
    """Push one round, and the attempts that are traced, and return when the receiver has answered.

    Args:
        settings: with an endpoint.
        service: who reports.
        listen: as for :class:`OtlpPush`; may be empty.
        samples: counters among them began with the first of the attempts, or just now.
        attempts: those without a trace are passed over.
        began: when the counters began instead, in seconds since the epoch.
        limit: seconds for everything.

    Raises:
        ExpositionError: a push has failed; says which.
        ConfigError, SetupError: as for :class:`OtlpPush`.
    """
    now = time.time()
    traced = [attempt for attempt in attempts if attempt.trace is not None]
    if began is None:
        began = min((attempt.started for attempt in traced), default=now)
    delivery = _delivery(settings, identity(service, listen), _starts(began))
    deadline = time.monotonic() + limit
    if "metrics" in settings.signals:
        _push("metrics", delivery.metrics, Round(now, 0.0, samples), settings, deadline)
    if "traces" in settings.signals:
        for first in range(0, len(traced), BATCH):
            _push("traces", delivery.traces, traced[first : first + BATCH], settings, deadline)


def _push(signal: Signal, make: Callable[[], Deliver[T]], item: T, settings: Otlp, deadline: float) -> None:
    """Push one thing, once, and say what the receiver did not take of it."""
    limit = min(settings.timeout_seconds, max(_SHORTEST_SECONDS, deadline - time.monotonic()))
    try:
        complaint = Limited(make, limit)(item)
    except PushError as error:
        raise ExpositionError(f"{signal} were not pushed to {settings.endpoint}: {error}") from error
    if complaint:
        logger.warning("OTLP: %s takes %s only in part: %s", settings.endpoint, signal, complaint)


def identity(service: str, listen: str) -> dict[str, str]:
    """Resource attributes that say who reports (OpenTelemetry's semantic conventions, "Service" and "Host")."""
    host = socket.gethostname()
    port = listen.rpartition(":")[2]
    return {
        "service.name": service,
        "service.version": __version__,
        "service.instance.id": f"{host}:{port}" if port else host,
        "host.name": host,
    }


def _starts(began: float) -> dict[Start, float]:
    """When counters were zero, in seconds since the epoch: those of a process that began then, and the kernel's.

    0 is OTLP's word for a time that is not known.
    """
    return {Start.PROCESS: began, Start.HOST: time.time() - time.clock_gettime(time.CLOCK_BOOTTIME), Start.KEPT: 0.0}


def _delivery(settings: Otlp, attributes: Mapping[str, str], began: Mapping[Start, float]) -> Delivery:
    try:
        from natobs.exposition.otlp.exporters import Exporters  # noqa: PLC0415 - OpenTelemetry's libraries are loaded here
    except ModuleNotFoundError as error:
        raise SetupError(
            f"otlp.endpoint is set, and that needs the Python package {error.name}; "
            "pip install 'natobs[otlp]' brings it"
        ) from error
    exporters = Exporters(settings, {**attributes, **settings.resource}, began)
    try:
        exporters.check()
    except OSError as error:
        raise ConfigError(f"otlp.ca_file: {settings.ca_file}: {error.strerror or error}") from error
    return Delivery(exporters.metrics, exporters.traces)
