"""The agent: one observer, and probes where it was given some, behind one HTTP server; a whole to reload and to stop.

Knows which path shows what, and in which order things start and stop. The
process around it (signals, exit status, messages to a person) is the command's.
"""

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from natobs.catalogue.types import AnySample
from natobs.collectors.observer import Observer, samples_of
from natobs.collectors.runner import Snapshot
from natobs.config import Config
from natobs.errors import ConfigError, ExpositionError
from natobs.exposition.agent_probes import AgentProbes, read
from natobs.exposition.encode import Encoded, encode
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address, parse_listen
from natobs.exposition.messages import Request, Response, plain
from natobs.exposition.otlp.push import OtlpPush
from natobs.exposition.page import Page
from natobs.exposition.reload import METHODS, Reloading, ReloadPage
from natobs.exposition.responding import Responding, check
from natobs.exposition.routes import Action, Routes, healthy
from natobs.exposition.server import Server
from natobs.exposition.textfile import write_textfile
from natobs.exposition.webconfig import load_web_config
from natobs.exposition.webschema import WebConfig
from natobs.kernel.machine import Machine

logger = logging.getLogger(__name__)

_DRAIN_SECONDS = 3.0
"""For scrapes under way at the end; they take milliseconds, unless a collector hangs."""
_NEEDS_RESTART = ("listen", "max_connections", "scrape_limit_seconds")
"""Keys of ``[agent]`` that a reload cannot change."""
_REMEMBERED_BODIES = 4
"""Encodings kept of a round: two formats, and room for odd ``Accept`` headers."""


class Agent:
    """Serves one machine.

    Args:
        machine: live or recorded.
        load: reads the configuration; called now and at each :meth:`reload`.

    Raises:
        ConfigError: the configuration is wrong.
    """

    def __init__(self, machine: Machine, load: Callable[[], Config]) -> None:
        began = time.time()
        self._machine = machine
        self._load = load
        self._config = load()
        self._observer = Observer(machine, self._config)
        self._push = OtlpPush("natobs-agent", self._config.agent.listen[0], self._look, began, self._config.otlp)
        self._responding = Responding(check(self._config))
        self._probes = AgentProbes(read(self._config, ()))
        self._probes.trace(self._push.tracing)
        self._page = Page(self._observer, self._probes)
        self._bodies: dict[tuple[int, str], Encoded] = {}
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._web_config = _web_config(self._config)
        self._reloading = Reloading(self._read_again)
        self._server = Server(
            _addresses(self._config),
            Routes(
                {
                    "/metrics": self._metrics,
                    "/healthz": healthy,
                    "/-/healthy": healthy,
                    "/-/reload": Action(ReloadPage(self._reloading), METHODS),
                    "/readyz": self._readiness,
                    "/": self._page,
                    "/probe": self._probes.probe,
                    "/probes": self._probes.page,
                }
            ),
            self._web_config,
            Limits(
                connections=self._config.agent.max_connections,
                scrape=self._config.agent.scrape_limit_seconds,
                workers=self._probes.workers,
            ),
        )
        self._textfile = threading.Thread(target=self._write_textfiles, name="natobs-textfile", daemon=True)
        self._textfile_lock = threading.Lock()
        """Held while one is written, and while a reload says where: after that nothing comes to where they were."""

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What the server listens on; empty before :meth:`start`."""
        return self._server.addresses

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a browser finds the page; empty before :meth:`start`."""
        return self._server.urls

    @property
    def listening(self) -> tuple[str, ...]:
        """What it listens on, for a person; empty before :meth:`start`."""
        return tuple(f"listening on {address}" for address in self.addresses)

    @property
    def summary(self) -> str:
        """What it probes, in a few words; empty where it probes nothing."""
        return self._probes.summary

    def start(self) -> None:
        """Bind, then look once, then be ready.

        Raises:
            ExpositionError: an address cannot be bound, or the textfile directory cannot be written.
        """
        self._server.start()
        self._observer.start()
        self._observer.collect(self._config.agent.scrape_limit_seconds)
        if self._config.agent.textfile_directory:
            self.write_textfile()
        self._textfile.start()
        self._responding.start()
        if self._probes.self_check:  # now it is known where to find the agent itself
            self._probes.use(read(self._config, self.addresses))
        self._probes.start()
        self._push.start()
        self._ready.set()

    def stop(self) -> None:
        """Let scrapes under way finish, then end everything."""
        self._ready.clear()
        self._stopped.set()
        self._responding.stop()
        self._server.stop(_DRAIN_SECONDS)
        self._probes.stop()
        self._push.stop()  # the last round has all that was counted
        self._observer.stop()
        self._machine.close()

    def reload(self) -> bool:
        """Read the configuration and the probe file again; when one is wrong, nothing changes.

        Raises:
            ConfigError: what is wrong.
            SetupError: this process has run out of descriptors, or a library is missing.
        """
        self._reloading()
        return True

    def check(self) -> None:
        """Nothing ends an agent: what fails is shown and exported."""

    def _read_again(self) -> None:
        config = self._load()
        _addresses(config)
        web_config = _web_config(config)
        policy = self._server.policy(web_config)
        pusher = self._push.prepare(config.otlp)
        wanted = check(config)
        given = read(config, self.addresses)
        prepared = self._observer.prepare(config)
        try:
            self._probes.use(given)
        except BaseException:
            prepared.drop()
            raise
        # Nothing can fail from here on.
        if web_config != self._web_config:  # a new policy closes connections, which a full table may not let come back
            self._server.use(policy)
            self._web_config = web_config
        for key in _NEEDS_RESTART:
            if getattr(config.agent, key) != getattr(self._config.agent, key):
                logger.warning("agent.%s has changed; that takes a restart", key)
        with self._textfile_lock:
            self._config = config
        self._observer.use(prepared)
        self._push.use(pusher)
        self._probes.trace(self._push.tracing)
        self._responding.use(wanted)

    def write_textfile(self) -> Path:
        """Look, and write one textfile.

        Raises:
            ExpositionError: it cannot be written; the file that was there stays.
        """
        return write_textfile(Path(self._config.agent.textfile_directory), encode(self._look()).body)

    def write_once(self) -> Path:
        """Without serving: look once, write one textfile, end.

        Raises:
            ExpositionError: as for :meth:`write_textfile`.
        """
        self._observer.prime()
        try:
            return self.write_textfile()
        finally:
            self._probes.stop()
            self._observer.stop()
            self._machine.close()

    def _write_textfiles(self) -> None:
        while not self._stopped.wait(self._config.agent.textfile_interval_seconds):
            try:
                self._write_textfile_again()
            except ExpositionError as error:
                logger.warning("%s", error)

    def _write_textfile_again(self) -> None:
        directory = self._config.agent.textfile_directory
        if not directory:
            return
        body = encode(self._look()).body  # without the lock: a collector that hangs keeps no reload waiting
        with self._textfile_lock:
            if directory == self._config.agent.textfile_directory:
                write_textfile(Path(directory), body)

    def _look(self) -> list[AnySample]:
        return self._samples(self._observer.collect(self._config.agent.scrape_limit_seconds))

    def _samples(self, snapshot: Snapshot) -> list[AnySample]:
        return [*samples_of(snapshot), *self._probes.samples(), *self._push.samples(), *self._responding.samples()]

    def _metrics(self, request: Request) -> Response:
        snapshot = self._observer.collect(request.deadline)
        encoded = self._encode(snapshot, request.headers.get("accept", ""))
        return Response(HTTPStatus.OK.value, encoded.body, encoded.content_type)

    def _encode(self, snapshot: Snapshot, accept: str) -> Encoded:
        """Encode a round once for all who share it; a round that was cut short is encoded for each as it is."""
        key = (snapshot.number, accept)
        encoded = self._bodies.get(key) if snapshot.complete else None
        if encoded is None:
            encoded = encode(self._samples(snapshot), accept)
            if encoded.dropped:
                logger.warning("%d samples left out: their labels had been seen before", encoded.dropped)
            if snapshot.complete:
                recent = list(self._bodies.items())[-_REMEMBERED_BODIES + 1 :]
                self._bodies = {**dict(recent), key: encoded}
        return encoded

    def _readiness(self, request: Request) -> Response:
        if not self._ready.is_set():
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, "not ready yet, or stopping")
        if not self._probes.working:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, "not probing any more; the log says why, a reload begins anew")
        return plain(HTTPStatus.OK, "ready")


def _addresses(config: Config) -> list[Address]:
    try:
        return [parse_listen(text) for text in config.agent.listen]
    except ConfigError as error:
        raise ConfigError(f"agent.listen: {error}") from error


def _web_config(config: Config) -> WebConfig:
    path = config.agent.web_config_file
    return load_web_config(Path(path)) if path else WebConfig()
