"""The agent: one observer behind one HTTP server, reloaded and stopped as a whole.

Knows which path shows what, and in which order things start and stop. The
process around it (signals, exit status, messages to a person) is the command's.
"""

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from natobs.collectors.observer import Observer, samples_of
from natobs.collectors.runner import Snapshot
from natobs.config import Config
from natobs.errors import ExpositionError
from natobs.exposition.encode import Encoded, encode
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address, parse_listen
from natobs.exposition.messages import Request, Response, plain
from natobs.exposition.page import Page
from natobs.exposition.routes import Routes
from natobs.exposition.server import Server
from natobs.exposition.textfile import write_textfile
from natobs.exposition.webconfig import load_web_config
from natobs.exposition.webschema import WebConfig
from natobs.kernel.machine import Machine

logger = logging.getLogger(__name__)

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
        self._machine = machine
        self._load = load
        self._config = load()
        self._observer = Observer(machine, self._config)
        self._page = Page(self._observer)
        self._bodies: dict[tuple[int, str], Encoded] = {}
        self._ready = threading.Event()
        self._stopped = threading.Event()
        self._server = Server(
            [parse_listen(text) for text in self._config.agent.listen],
            Routes({"/metrics": self._metrics, "/healthz": _healthy, "/readyz": self._readiness, "/": self._page}),
            _web_config(self._config),
            Limits(
                connections=self._config.agent.max_connections,
                scrape=self._config.agent.scrape_limit_seconds,
            ),
        )
        self._textfile = threading.Thread(target=self._write_textfiles, name="natobs-textfile", daemon=True)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What the server listens on; empty before :meth:`start`."""
        return self._server.addresses

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
        self._ready.set()

    def stop(self) -> None:
        """Let scrapes under way finish, then end everything."""
        self._ready.clear()
        self._stopped.set()
        self._server.stop()
        self._observer.stop()
        self._machine.close()

    def reload(self) -> None:
        """Read the configuration again; when it is wrong, nothing changes.

        Raises:
            ConfigError: what is wrong with it.
        """
        config = self._load()
        web_config = _web_config(config)
        if config.agent.listen != self._config.agent.listen:
            logger.warning("agent.listen has changed; that takes a restart")
        self._observer.reconfigure(config)
        self._server.reload(web_config)
        self._config = config

    def write_textfile(self) -> Path:
        """Look, and write one textfile.

        Raises:
            ExpositionError: it cannot be written; the file that was there stays.
        """
        snapshot = self._observer.collect(self._config.agent.scrape_limit_seconds)
        return write_textfile(Path(self._config.agent.textfile_directory), encode(samples_of(snapshot)).body)

    def write_once(self) -> Path:
        """Without serving: look once, write one textfile, end.

        Raises:
            ExpositionError: as for :meth:`write_textfile`.
        """
        self._observer.prime()
        try:
            return self.write_textfile()
        finally:
            self._observer.stop()
            self._machine.close()

    def _write_textfiles(self) -> None:
        while not self._stopped.wait(self._config.agent.textfile_interval_seconds):
            try:
                self.write_textfile()
            except ExpositionError as error:
                logger.warning("%s", error)

    def _metrics(self, request: Request) -> Response:
        snapshot = self._observer.collect(request.deadline)
        encoded = self._encode(snapshot, request.headers.get("accept", ""))
        return Response(HTTPStatus.OK.value, encoded.body, encoded.content_type)

    def _encode(self, snapshot: Snapshot, accept: str) -> Encoded:
        """Encode a round once for all who share it; a round that was cut short is encoded for each as it is."""
        key = (snapshot.number, accept)
        encoded = self._bodies.get(key) if snapshot.complete else None
        if encoded is None:
            encoded = encode(samples_of(snapshot), accept)
            if encoded.dropped:
                logger.warning("%d samples left out: their labels had been seen before", encoded.dropped)
            if snapshot.complete:
                recent = list(self._bodies.items())[-_REMEMBERED_BODIES + 1 :]
                self._bodies = {**dict(recent), key: encoded}
        return encoded

    def _readiness(self, request: Request) -> Response:
        if self._ready.is_set():
            return plain(HTTPStatus.OK, "ready")
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, "not ready yet, or stopping")


def _healthy(request: Request) -> Response:
    return plain(HTTPStatus.OK, f"alive at {time.time():.0f}")


def _web_config(config: Config) -> WebConfig:
    path = config.agent.web_config_file
    return load_web_config(Path(path)) if path else WebConfig()
