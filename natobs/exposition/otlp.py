"""Push over OTLP for a process that serves, across reloads; and once, for one that does not.

Knows when OpenTelemetry's libraries are needed, and who the process is to a
receiver. Where no endpoint is configured nothing is imported and nothing runs.
"""

import socket
import time
from collections.abc import Mapping, Sequence

from natobs import __version__
from natobs.catalogue.types import AnySample, Sample
from natobs.config import Otlp
from natobs.errors import ConfigError, ExpositionError, SetupError
from natobs.exposition.otlp_courier import Courier
from natobs.exposition.otlp_lane import PushError, Tally
from natobs.exposition.otlp_pusher import BATCH, Delivery, Pusher, Take
from natobs.exposition.otlp_round import Round
from natobs.probes.model import Attempt
from natobs.probes.tracing import Tracing


class OtlpPush:
    """What ``[otlp]`` asks for.

    Args:
        service: ``natobs-agent`` or ``natobs-probe``.
        listen: the first address that the process listens on: its port tells it from others on this host.
        take: gives what a scrape would give.
        began: when the counters were zero, in seconds since the epoch.
        settings: at first.

    Raises:
        ConfigError: a file that is named cannot be used.
        SetupError: the libraries are missing.
    """

    def __init__(self, service: str, listen: str, take: Take, began: float, settings: Otlp) -> None:
        self._identity = identity(service, listen)
        self._take = take
        self._began = began
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
) -> None:
    """Push one round, and the attempts that are traced, and return when the receiver has answered.

    Args:
        settings: with an endpoint.
        service: who reports.
        listen: as for :class:`OtlpPush`; may be empty.
        samples: counters among them began with the first of the attempts, or just now.
        attempts: those without a trace are passed over.
        began: when the counters began instead, in seconds since the epoch.

    Raises:
        ExpositionError: a push has failed.
        ConfigError, SetupError: as for :class:`OtlpPush`.
    """
    now = time.time()
    traced = [attempt for attempt in attempts if attempt.trace is not None]
    if began is None:
        began = min((attempt.started for attempt in traced), default=now)
    delivery = _delivery(settings, identity(service, listen), began)
    try:
        if "metrics" in settings.signals:
            Courier(delivery.metrics, settings.timeout_seconds)(Round(now, 0.0, samples))
        if "traces" in settings.signals:
            deliver = Courier(delivery.traces, settings.timeout_seconds)
            for first in range(0, len(traced), BATCH):
                deliver(traced[first : first + BATCH])
    except PushError as error:
        raise ExpositionError(f"nothing was pushed to {settings.endpoint}: {error}") from error


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


def boot_time() -> float:
    """When this host was started, in seconds since the epoch: when the kernel's counters were zero."""
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)


def _delivery(settings: Otlp, attributes: Mapping[str, str], began: float) -> Delivery:
    try:
        from natobs.exposition.otlp_export import Exporters  # noqa: PLC0415 - OpenTelemetry's libraries are loaded here
    except ModuleNotFoundError as error:
        raise SetupError(
            f"otlp.endpoint is set, and that needs the Python package {error.name}; "
            "pip install 'natobs[otlp]' brings it"
        ) from error
    exporters = Exporters(settings, {**attributes, **settings.resource}, began)
    try:
        exporters.check()
    except OSError as error:
        raise ConfigError(f"otlp.ca_file: {settings.ca_file}: {error}") from error
    return Delivery(exporters.metrics, exporters.traces)
