"""The reflector as a whole: UDP and TCP echo on their own loop, HTTP for everybody, metrics for whoever scrapes it.

Knows which path shows what, and in which order things start and stop. What is
answered over UDP is known below, the process around it above.
"""

import platform
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple

from natobs import __version__
from natobs.catalogue.metrics import agent as agent_metric
from natobs.catalogue.metrics import reflector as metric
from natobs.catalogue.types import Metric, Sample, metrics_of
from natobs.errors import ReflectorError
from natobs.exposition.encode import encode
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address
from natobs.exposition.messages import Request, Response, plain
from natobs.exposition.reload import Reloading
from natobs.exposition.routes import Routes
from natobs.exposition.server import Server
from natobs.exposition.webschema import WebConfig
from natobs.probes.reflector.limiter import TOKEN_BYTES, StreamLimiters
from natobs.probes.reflector.reflector import Reflector, Settings
from natobs.probes.reflector.tally import HTTP_DROPS, Drop, Tally

METRICS: tuple[Metric, ...] = tuple(metrics_of(metric))
"""Every metric that the reflector may emit, beside natobs_build_info."""

_TEXT = "text/plain; charset=utf-8"
_BYTES = "/bytes/"
_MOST_DIGITS = 12
_BLOCK = secrets.token_bytes(64 * 1024)
"""What bodies consist of, again and again: random, so that nothing on the way makes them shorter."""

PUBLIC_LIMITS = Limits(
    connections=256,
    head=3.0,
    idle=10.0,
    write=15.0,
    life=60.0,
    sent_size=8 << 20,
    receive_buffer=16 * 1024,
    send_buffer=128 * 1024,
)
"""Bounds of the HTTP that strangers reach."""


@dataclass(frozen=True, slots=True)
class Filler:
    """A body of any size that is made as it is sent."""

    size: int

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, part: slice, /) -> bytes:
        start, stop, _step = part.indices(self.size)
        offset = start % len(_BLOCK)
        blocks = (offset + stop - start) // len(_BLOCK) + 1
        return (_BLOCK * blocks)[offset : offset + stop - start]


class Pages:
    """What is served to everybody: ``/``, ``/healthz`` and ``/bytes/N``.

    Args:
        limiters: of TCP; shared with the echo.
        longest_body: the largest N.
    """

    def __init__(self, limiters: StreamLimiters, longest_body: int) -> None:
        self._limiters = limiters
        self._longest_body = longest_body
        self._lock = threading.Lock()
        self.tally = Tally("http", HTTP_DROPS)

    def __call__(self, request: Request) -> Response:
        response = self._answer(request)
        with self._lock:  # several workers at a time
            self.tally.requests += 1
            if isinstance(response, _Refusal):
                self.tally.drop(response.reason)
                return response.response
            self.tally.replies += 1
            self.tally.sent_bytes += len(response.body) if request.method != "HEAD" else 0
            return response

    def _answer(self, request: Request) -> "Response | _Refusal":
        if request.path == "/healthz":
            return plain(HTTPStatus.OK, "alive")
        size = self._size(request.path)
        if isinstance(size, _Refusal):
            return size
        refused = self._limiters.requests.admit(request.client)
        if refused is None and size > TOKEN_BYTES:
            refused = self._limiters.volume.admit(request.client, size)
        if refused is not None:
            return _Refusal(refused, plain(HTTPStatus.TOO_MANY_REQUESTS, "too much at a time", ("Retry-After", "1")))
        if request.path == "/":
            return Response(HTTPStatus.OK.value, f"{request.client}\n".encode(), _TEXT)
        return Response(HTTPStatus.OK.value, Filler(size), "application/octet-stream")

    def _size(self, path: str) -> "int | _Refusal":
        if path == "/":
            return 0
        digits = path.removeprefix(_BYTES)
        if not path.startswith(_BYTES) or not (digits.isascii() and digits.isdigit()) or len(digits) > _MOST_DIGITS:
            where = f"there are /, /healthz and {_BYTES}N with N up to {self._longest_body}"
            return _Refusal(Drop.MALFORMED, plain(HTTPStatus.NOT_FOUND, where))
        if int(digits) > self._longest_body:
            return _Refusal(Drop.SIZE, plain(HTTPStatus.FORBIDDEN, f"at most {self._longest_body} bytes"))
        return int(digits)


class _Refusal(NamedTuple):
    reason: Drop
    response: Response


class ReflectorServer:
    """Every service of the reflector.

    Args:
        settings: of UDP and TCP echo.
        http: where HTTP is served to everybody; nowhere when empty.
        metrics: where the reflector's own metrics are; nowhere when empty.
        longest_body: the most that ``/bytes/N`` gives.
        web_config: reads TLS and users for the metrics; called now and at each :meth:`reload`.

    Raises:
        WebConfigError: they are wrong.
    """

    def __init__(
        self,
        settings: Settings,
        http: Sequence[Address] = (),
        metrics: Sequence[Address] = (),
        *,
        longest_body: int = 1 << 20,
        web_config: Callable[[], WebConfig] | None = None,
    ) -> None:
        limiters = StreamLimiters(settings.source_rate, settings.total_rate)
        self._reflector = Reflector(settings, limiters)
        self.pages = Pages(limiters, longest_body)
        self._http = Server(http, self.pages, limits=PUBLIC_LIMITS) if http else None
        routes = Routes({"/metrics": self._metrics, "/healthz": self._healthy})
        self._read_web_config = web_config
        self._web_config = web_config() if web_config else None
        self._private = Server(metrics, routes, self._web_config) if metrics else None
        self._reloading = Reloading(self._read_again)

    @property
    def listening(self) -> tuple[str, ...]:
        """What it listens on, for a person; without addresses before :meth:`start`."""
        return tuple(f"{name}: listening on {address}" for name, address in self.services)

    @property
    def private_addresses(self) -> tuple[Address, ...]:
        """Where its own metrics are; empty before :meth:`start`."""
        return self._private.addresses if self._private else ()

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a browser finds it; empty before :meth:`start`."""
        return tuple(url for server in self._servers() for url in server.urls)

    @property
    def summary(self) -> str:
        """Nothing: it answers probes and sends none."""
        return ""

    @property
    def services(self) -> tuple[tuple[str, str], ...]:
        """Name and address of every service; without addresses before :meth:`start`."""
        http = [("http", str(address)) for address in (self._http.addresses if self._http else ())]
        metrics = [("metrics", str(address)) for address in (self._private.addresses if self._private else ())]
        return (*self._reflector.addresses, *http, *metrics)

    @property
    def running(self) -> bool:
        """Whether UDP and TCP echo are at work."""
        return self._reflector.running

    def start(self) -> None:
        """Bind everything, or nothing.

        Raises:
            ReflectorError: there is nothing to serve, or an address cannot be bound.
            ExpositionError: an address of HTTP cannot be bound.
        """
        try:
            self._reflector.start()
            for server in self._servers():
                server.start()
        except BaseException:
            self.stop()
            raise
        if not self.services:
            self.stop()
            raise ReflectorError("there is nothing to serve")

    def stop(self) -> None:
        """Let requests under way finish for a moment, then end everything."""
        for server in self._servers():
            server.stop(timeout=2.0)
        self._reflector.stop()

    def reload(self) -> bool:
        """Read TLS and users of the metrics again; all else is of the command line. False where there are none.

        Raises:
            WebConfigError: they are wrong; nothing has changed.
            SetupError: this process has run out of descriptors.
        """
        if self._read_web_config is None or self._private is None:
            return False
        self._reloading()
        return True

    def check(self) -> None:
        """Whether it is at work.

        Raises:
            ReflectorError: it is not.
        """
        if not self.running:
            raise ReflectorError("the loop of UDP and TCP echo has ended; the log says why")

    def samples(self) -> Iterator[Sample]:
        """Everything that was counted, and which version counted it."""
        yield agent_metric.BUILD.sample(1, __version__, platform.python_version())
        yield from self._reflector.samples()
        yield from self.pages.tally.samples()
        yield metric.CONNECTIONS.sample(self._http.connections if self._http else 0, "http")

    def _read_again(self) -> None:
        assert self._read_web_config is not None
        assert self._private is not None
        web_config = self._read_web_config()
        policy = self._private.policy(web_config)
        if web_config != self._web_config:
            self._private.use(policy)
            self._web_config = web_config

    def _servers(self) -> Iterator[Server]:
        yield from (server for server in (self._http, self._private) if server is not None)

    def _metrics(self, request: Request) -> Response:
        encoded = encode(self.samples(), request.headers.get("accept", ""))
        return Response(HTTPStatus.OK.value, encoded.body, encoded.content_type)

    def _healthy(self, request: Request) -> Response:
        if self.running:
            return plain(HTTPStatus.OK, "alive")
        return plain(HTTPStatus.SERVICE_UNAVAILABLE, "the loop has ended; the log says why")
