"""The prober: the probes of one file behind one HTTP server, reloaded and stopped as a whole.

Knows which path shows what, and in which order things start and stop. The
process around it (signals, exit status, messages to a person) is the command's.
"""

import logging
import platform
import resource
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from natobs import __version__
from natobs.catalogue.metrics import agent as metric
from natobs.exposition.adhoc import AdHoc
from natobs.exposition.encode import encode
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address, parse_listen
from natobs.exposition.messages import Handler, Request, Response, plain
from natobs.exposition.probe_page import ProbePage
from natobs.exposition.routes import Routes
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
        self.service = ProbeService(file, make_kinds)
        self._web_config = _web_config(file)
        self._ready = threading.Event()
        adhoc = AdHoc(self.service, make_kinds)
        routes: dict[str, Handler] = {
            "/metrics": self._metrics,
            "/probe": adhoc,
            "/healthz": _healthy,
            "/-/healthy": _healthy,
            "/readyz": self._readiness,
            "/": ProbePage(self.service),
        }
        self._server = Server(
            [parse_listen(text) for text in file.prober.listen],
            Routes(routes),
            self._web_config,
            Limits(scrape=adhoc.longest_seconds, workers=_WORKERS + adhoc.most_at_once),
        )

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
        _raise_descriptor_limit()
        self._server.start()
        self.service.start()
        self._ready.set()

    def stop(self) -> None:
        """Let scrapes under way finish, then end everything."""
        self._ready.clear()
        self._server.stop()
        self.service.stop()

    def reload(self) -> None:
        """Read the probe file again; when it is wrong, nothing changes. Targets that stay keep their counters.

        Raises:
            ConfigError: what is wrong with it.
            SetupError: as when built.
        """
        file = self._load()
        web_config = _web_config(file)
        if file.prober.listen != self.service.file.prober.listen:
            logger.warning("prober.listen has changed; that takes a restart")
        policy = self._server.policy(web_config)
        self.service.reload(file)
        if web_config != self._web_config:  # it closes idle connections; a scrape need not notice that probes changed
            self._server.use(policy)
            self._web_config = web_config

    def _metrics(self, request: Request) -> Response:
        build = metric.BUILD.sample(1, __version__, platform.python_version())
        encoded = encode([build, *self.service.samples()], request.headers.get("accept", ""))
        return Response(HTTPStatus.OK.value, encoded.body, encoded.content_type)

    def _readiness(self, request: Request) -> Response:
        if self._ready.is_set() and self.service.running:
            return plain(HTTPStatus.OK, "ready")
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, "not probing: not ready yet, or stopping, or broken; see the log")


def _raise_descriptor_limit() -> None:
    """Allow as many descriptors as an unprivileged process may have: each ``udp`` target keeps ``source_ports``."""
    try:
        limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        if limit != most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    except (ValueError, OSError) as error:  # a seccomp filter forbids it
        logger.warning("the limit of open descriptors could not be raised: %s", error)


def _healthy(request: Request) -> Response:
    return plain(HTTPStatus.OK, f"alive at {time.time():.0f}")


def _web_config(file: ProbeFile) -> WebConfig:
    path = file.prober.web_config_file
    return load_web_config(Path(path)) if path else WebConfig()
