"""The kind ``http``: a request as a user's program makes it, with the time of each phase.

``resolve``, ``connect`` (the kernel's SYN to SYN/ACK), ``tls``, ``first_byte``
(request sent to the answer's head) and ``transfer`` (from there to the last byte).
Ends of phases are the kernel's receive stamps. HTTP/2 where the server agrees to
it (ALPN), else HTTP/1.1; each request has a connection of its own, so that each
is a new connection through the NAT.
"""

import contextlib
import ssl
from collections.abc import Generator

from natobs import __version__
from natobs.errors import ConfigError, FormatError
from natobs.probes.environment import Environment
from natobs.probes.expectation import Expectation
from natobs.probes.farewell import Farewell
from natobs.probes.http1 import Http1
from natobs.probes.http2 import Http2
from natobs.probes.http_exchange import Answer, Exchange, Request
from natobs.probes.location import Location, of_target
from natobs.probes.model import Prober, Reason, Target, Wait
from natobs.probes.progress import FailedError, Progress
from natobs.probes.stream import Stream
from natobs.probes.stream_prober import StreamProber, timed
from natobs.probes.trust import Contexts, handshake, server_name

_REDIRECTS = (301, 302, 303, 307, 308)


class HttpKind:
    """Asks and looks at the answer."""

    name = "http"
    default_port = 0  # 443 or 80, as the definition's http.tls says

    def __init__(self) -> None:
        self._contexts = Contexts(("h2", "http/1.1"))
        self._farewell = Farewell()

    def open(self, target: Target, environment: Environment) -> Prober:
        return _HttpProber(target, environment, self._contexts, self._farewell)


class _HttpProber(StreamProber):
    def __init__(self, target: Target, environment: Environment, contexts: Contexts, farewell: Farewell) -> None:
        super().__init__(target, environment, farewell)
        self._expectation = Expectation(target.settings)
        self._start = of_target(target.host, target.port, target.settings.http.path, tls=target.settings.http.tls)
        self._name = target.settings.tls.server_name or target.host
        self._context: ssl.SSLContext | None = None
        if target.settings.http.tls or target.settings.http.redirects:
            self._context = contexts.get(target.settings)
            self._name = server_name(target, self._context)
        try:
            for codec in (Http1, Http2):
                codec(self._request(self._start))
        except ValueError as error:
            raise ConfigError(f"probe {target.settings.name}: a request that HTTP does not allow: {error}") from error

    def _steps(self, progress: Progress) -> Generator[Wait, None, None]:
        place, seen = self._start, [self._start]
        answer = yield from self._ask(place, progress)
        while answer.status in _REDIRECTS and "location" in answer.headers and self._settings.http.redirects:
            place = _follow(place, answer.headers["location"])
            if place in seen:
                raise FailedError(Reason.STATUS, f"redirected in a circle, back to {place.authority}{place.path}")
            if len(seen) > self._settings.http.redirects:
                raise FailedError(Reason.STATUS, f"redirected more than {self._settings.http.redirects} times")
            seen.append(place)
            answer = yield from self._ask(place, progress)
        self._expectation.status(answer)
        if self._settings.http.method == "HEAD":
            return
        self._expectation.body(answer)
        address = self._expectation.address(answer)
        if address:
            progress.observed = (address, 0)
            self._expectation.reserved(address)

    def _ask(self, place: Location, progress: Progress) -> Generator[Wait, None, Answer]:
        opened = yield from self._connect(progress, place.host, place.port)
        with contextlib.closing(Stream(opened)) as stream:
            exchange: Exchange
            if place.scheme == "https":
                name = self._name if place.origin == self._start.origin else place.host
                assert self._context is not None
                tls = yield from handshake(stream, self._context, name, self._settings, progress)
                codec = Http2 if tls.selected_alpn_protocol() == "h2" else Http1
            else:
                codec = Http1
            exchange = codec(self._request(place))
            progress.doing = "waiting for the answer"
            yield from stream.send(exchange.begin())
            yield from self._first_byte(stream, exchange, progress)
            yield from self._transfer(stream, exchange, progress)
            self._farewell.leave(stream.detach(), self)
        return exchange.answer

    def _first_byte(self, stream: Stream, exchange: Exchange, progress: Progress) -> Generator[Wait, None, None]:
        """Until the head of the final answer is there: HTTP/2 sends its settings before, HTTP/1.1 may send 1xx."""
        with timed(progress, "first_byte", stream, stream.sent_at):
            while not exchange.answer.status:
                yield from self._take(stream, exchange)

    def _transfer(self, stream: Stream, exchange: Exchange, progress: Progress) -> Generator[Wait, None, None]:
        progress.doing = "reading the answer"
        with timed(progress, "transfer", stream, stream.received_at):
            while not exchange.answer.complete:
                yield from self._take(stream, exchange)

    def _take(self, stream: Stream, exchange: Exchange) -> Generator[Wait, None, None]:
        data = yield from stream.receive()
        answer = exchange.answer
        try:
            reply = exchange.receive(data)
        except FormatError as error:
            if not data:
                raise FailedError(Reason.RESET, f"the other side closed the connection early: {error}") from error
            raise FailedError(Reason.BODY if answer.status else Reason.STATUS, str(error)) from error
        if not data and stream.ragged and answer.until_close:
            raise FailedError(Reason.RESET, "the connection ended without TLS's goodbye; the body may be cut off")
        if len(answer.body) > self._settings.http.max_body_bytes:
            raise FailedError(Reason.BODY, f"the body has more than {self._settings.http.max_body_bytes} bytes")
        if reply and not answer.complete:
            yield from stream.send(reply)

    def _request(self, place: Location) -> Request:
        headers = {"user-agent": f"natobs/{__version__}", "accept": "*/*", "accept-encoding": "identity"}
        authority = place.authority
        if place.origin == self._start.origin:  # what the definition adds may be secret: for its own target alone
            headers |= {name.lower(): value for name, value in self._settings.http.headers.items()}
            authority = headers.pop("host", authority)
        return Request(self._settings.http.method, place.scheme, authority, place.path, tuple(headers.items()))


def _follow(place: Location, text: str) -> Location:
    try:
        return place.follow(text)
    except ValueError as error:
        raise FailedError(Reason.STATUS, f"redirected to a place that cannot be asked: {error}") from error
