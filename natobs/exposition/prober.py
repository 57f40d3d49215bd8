"""The prober: the probes of one file behind one HTTP server, reloaded and stopped as a whole.

Knows which path shows what, and in which order things start and stop. The
process around it (signals, exit status, messages to a person) is the command's.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from natobs import __version__
from natobs.catalogue.metrics import agent as metric
from natobs.catalogue.types import AnySample
from natobs.exposition.adhoc import AdHoc
from natobs.exposition.encode import encode
from natobs.exposition.limits import ADHOC_AT_ONCE, Limits
from natobs.exposition.listen import Address, parse_listen
from natobs.exposition.messages import Handler, Request, Response, plain
from natobs.exposition.otlp.push import OtlpPush
from natobs.exposition.probing import Probing
from natobs.exposition.reload import METHODS, Reloading, ReloadPage
from natobs.exposition.routes import Action, Routes, healthy
from natobs.exposition.server import Server
from natobs.exposition.webconfig import load_web_config
from natobs.exposition.webschema import WebConfig
from natobs.probe_config import ProbeFile
from natobs.probes.registry import Kinds
from natobs.probes.service import MakeKinds, ProbeService

logger = logging.getLogger(__name__)

_WORKERS = 4
"""For everything but probes that are asked for one by one."""


class Prober:
    """Probes what a file says, and serves what came of it.

    Args:
        load: reads the probe file; called now and at each :meth:`reload`.
        make_kinds: makes the kinds of an engine; tests bring their own.

    Raises:
        ConfigError: the file is wrong.
        SetupError: a kind of probe needs a library that is not installed.
    """

    def __init__(self, load: Callable[[], ProbeFile], make_kinds: MakeKinds = Kinds) -> None:
        self._load = load
        file = load()
        self._probing = Probing(file, make_kinds)
        self._push = OtlpPush("natobs-probe", file.prober.listen[0], self._samples, time.time(), file.otlp)
        self.service.tracing = self._push.tracing
        self._web_config = _web_config(file)
        self._ready = threading.Event()
        self._reloading = Reloading(self._read_again)
        routes: dict[str, Handler] = {
            "/metrics": self._metrics,
            "/probe": self._probing.probe,
            "/healthz": healthy,
            "/-/healthy": healthy,
            "/-/reload": Action(ReloadPage(self._reloading), METHODS),
            "/readyz": self._readiness,
            "/": self._probing.page,
        }
        self._server = Server(
            [parse_listen(text) for text in file.prober.listen],
            Routes(routes),
            self._web_config,
            Limits(scrape=AdHoc.longest_seconds, workers=_WORKERS + ADHOC_AT_ONCE),
        )

    @property
    def listening(self) -> tuple[str, ...]:
        """What it listens on, for a person; empty before :meth:`start`."""
        return tuple(f"listening on {address}" for address in self.addresses)

    @property
    def summary(self) -> str:
        """What it probes, in a few words."""
        count = len(self.service.targets)
        return f"{count} target{'s' if count != 1 else ''}"

    @property
    def service(self) -> ProbeService:
        """The probes at work."""
        return self._probing.service

    @property
    def addresses(self) -> tuple[Address, ...]:
        """What the server listens on; empty before :meth:`start`."""
        return self._server.addresses

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a browser finds the page; empty before :meth:`start`."""
        return self._server.urls

    def start(self) -> None:
        """Bind, then begin to probe.

        Raises:
            ExpositionError: an address cannot be bound.
        """
        self._server.start()
        self._probing.start()
        self._push.start()
        self._ready.set()

    def stop(self) -> None:
        """Let scrapes under way finish, then end everything."""
        self._ready.clear()
        self._server.stop()
        self._probing.stop()
        self._push.stop()  # the last round has all that was counted

    def reload(self) -> bool:
        """Read the probe file again; when it is wrong, nothing changes. Targets that stay keep their counters.

        Raises:
            ConfigError: what is wrong with it.
            SetupError: as when built, or this process has run out of descriptors.
        """
        self._reloading()
        return True

    def check(self) -> None:
        """Nothing ends a prober: what fails is shown and exported."""

    def _read_again(self) -> None:
        file = self._load()
        web_config = _web_config(file)
        if file.prober.listen != self.service.file.prober.listen:
            logger.warning("prober.listen has changed; that takes a restart")
        policy = self._server.policy(web_config)
        pusher = self._push.prepare(file.otlp)
        self.service.reload(file)
        self._push.use(pusher)
        self.service.tracing = self._push.tracing
        if web_config != self._web_config:  # it closes idle connections; a scrape need not notice that probes changed
            self._server.use(policy)
            self._web_config = web_config

    def _metrics(self, request: Request) -> Response:
        encoded = encode(self._samples(), request.headers.get("accept", ""))
        return Response(HTTPStatus.OK.value, encoded.body, encoded.content_type)

    def _samples(self) -> list[AnySample]:
        build = metric.BUILD.sample(1, __version__, platform.python_version())
        return [build, *self._probing.samples(), *self._push.samples()]

    def _readiness(self, request: Request) -> Response:
        if self._ready.is_set() and self.service.running:
            return plain(HTTPStatus.OK, "ready")
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, "not probing: not ready yet, or stopping, or broken; see the log")


def _web_config(file: ProbeFile) -> WebConfig:
    path = file.prober.web_config_file
    return load_web_config(Path(path)) if path else WebConfig()
