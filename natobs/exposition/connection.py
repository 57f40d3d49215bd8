"""One connection: requests in, responses out, each step within its deadline.

Knows HTTP/1.1 (through h11) and byte streams. Knows neither listening sockets
nor threads nor what is served. Every way out of :meth:`Connection.run` leaves
the connection to be closed by the caller; a missed deadline is a TimeoutError.
"""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import h11

from natobs.exposition.limits import Limits
from natobs.exposition.messages import Body, Request, Response, plain, time_limit
from natobs.exposition.policy import Policy

READ_SIZE = 4096
_WRITE_SIZE = 64 * 1024
_LINGER_SIZE = 4 * 1024 * 1024
"""The most that is read of a request after it was refused."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Connection:
    """A conversation with one client.

    Args:
        reader: of the connection.
        writer: of the connection.
        limits: deadlines and sizes.
        policy: of the time when the connection was opened.
        render: makes the response to a request that may pass.
        methods: tells which methods a path has.
        may_idle: whether the connection may wait for another request.
    """

    def __init__(  # noqa: PLR0913 - a meeting point: each of these is made elsewhere
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        limits: Limits,
        policy: Policy,
        render: Callable[[Request], Awaitable[Response]],
        methods: Callable[[str], Sequence[str]],
        may_idle: Callable[[], bool],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._limits = limits
        self._policy = policy
        self._render = render
        self._methods = methods
        self._may_idle = may_idle
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_size)
        self.idle_since: float | None = None
        """When the last response was sent, on the loop's clock; None while a request is read or answered."""
        self.busy = False
        """Whether a complete request is being answered."""
        self._head_only = False
        self._client = _plain_address(writer.get_extra_info("peername"))
        self._sent = 0
        self._ends = asyncio.get_running_loop().time() + limits.life
        # Nothing is left in the transport when a write returns: the next step has its own deadline.
        writer.transport.set_write_buffer_limits(high=1, low=0)

    async def run(self, head_deadline: float) -> None:
        """Answer requests until one side has had enough.

        Args:
            head_deadline: for the first request head, on the loop's clock.

        Raises:
            TimeoutError: the client was too slow, or idle for too long.
            OSError: the connection broke.
        """
        deadline: float | None = head_deadline
        while deadline is not None:
            async with asyncio.timeout_at(deadline):
                request = await self._next_request()
            if request is None:
                return
            self.busy = True
            keep = await self._answer(request)
            self.busy = False
            if not keep:
                return
            deadline = await self._idle()

    async def _next_request(self) -> Request | Response | None:
        """Read a request head; a response for one that cannot be read; None at the end of the stream."""
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(READ_SIZE))
            return _request(event, self._limits.scrape, self._client) if isinstance(event, h11.Request) else None
        except h11.RemoteProtocolError as error:
            return plain(HTTPStatus(error.error_status_hint), str(error))
        except ValueError as error:
            return plain(HTTPStatus.BAD_REQUEST, f"the request target is no URL: {error}")

    async def _answer(self, request: Request | Response) -> bool:
        """Send the response to a request; False when the connection cannot go on."""
        self._head_only = isinstance(request, Request) and request.method == "HEAD"
        if isinstance(request, Response):
            await self._refuse(request)
            return False
        methods = self._methods(request.path)
        if request.method not in methods:
            allow = ", ".join(methods)
            await self._refuse(plain(HTTPStatus.METHOD_NOT_ALLOWED, f"only {allow}", ("Allow", allow)))
            return False
        if self._has_body():
            await self._refuse(plain(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request with a body is not read"))
            return False
        response = await self._policy.refusal(request) or await self._render(request)
        await self._send(response)
        if self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def _has_body(self) -> bool:
        """Whether there is more of the request than its head, be it a body or not even that."""
        try:
            return not isinstance(self._http.next_event(), h11.EndOfMessage)
        except h11.RemoteProtocolError:  # a chunk without a size
            return True

    async def _idle(self) -> float | None:
        """Wait for the first byte of another request; return the deadline of its head, None for no more requests."""
        loop = asyncio.get_running_loop()
        if loop.time() > self._ends or self._sent > self._limits.sent_size:
            return None
        if not self._http.trailing_data[0]:
            if not self._may_idle():
                return None
            self.idle_since = loop.time()
            async with asyncio.timeout(self._limits.idle):
                data = await self._reader.read(READ_SIZE)
            self.idle_since = None
            self._http.receive_data(data)
        return loop.time() + self._limits.head

    async def _send(self, response: Response, *, last: bool = False) -> None:
        headers = [
            ("Date", _http_date(time.time())),
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            *self._policy.headers(response.headers),
            *([("Connection", "close")] if last else []),
        ]
        reason = HTTPStatus(response.status).phrase
        head = h11.Response(status_code=response.status, headers=headers, reason=reason)
        data = self._http.send(head) or b""
        body: Body = b"" if self._head_only else response.body
        self._sent += len(body)
        try:
            async with asyncio.timeout(self._limits.write):
                for start in range(0, len(body), _WRITE_SIZE):
                    data += self._http.send(h11.Data(data=body[start : start + _WRITE_SIZE])) or b""
                    self._writer.write(data)
                    await self._writer.drain()
                    data = b""
                self._writer.write(data + (self._http.send(h11.EndOfMessage()) or b""))
                await self._writer.drain()
        except TimeoutError:
            # Closing alone would leave the kernel to deliver what it holds at the reader's pace, for hours.
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            raise

    async def _refuse(self, response: Response) -> None:
        """Answer a request that may still be arriving, then read on for a moment.

        Closing a connection with unread bytes resets it, and the client may never see the answer (RFC 9112, 9.6).
        """
        await self._send(response, last=True)
        if self._writer.can_write_eof():
            self._writer.write_eof()
        remaining = _LINGER_SIZE
        async with asyncio.timeout(self._limits.linger):
            while remaining > 0 and (data := await self._reader.read(_WRITE_SIZE)):
                remaining -= len(data)


def _plain_address(peer: tuple[str, int] | None) -> str:
    """The address of a peer; an IPv4 one that reached an IPv6 socket as what it is (RFC 4291, 2.5.5.2)."""
    return peer[0].removeprefix("::ffff:").partition("%")[0] if peer else ""


def _request(event: h11.Request, longest: float, client: str) -> Request:
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in event.headers:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    target = event.target.decode("latin-1")
    if not target.startswith("/"):  # the absolute form, which a proxy would send (RFC 9112, 3.2.2)
        parts = urlsplit(target)
        target = f"{parts.path or '/'}?{parts.query}"
    path, _, query = target.partition("?")
    return Request(event.method.decode("latin-1"), unquote(path), query, headers, time_limit(headers, longest), client)


def _http_date(seconds: float) -> str:
    """Write a time as RFC 9110, 5.6.7 wants it, whatever the locale."""
    now = time.gmtime(seconds)
    day, month = _DAYS[now.tm_wday], _MONTHS[now.tm_mon - 1]
    return f"{day}, {now.tm_mday:02} {month} {now.tm_year} {now.tm_hour:02}:{now.tm_min:02}:{now.tm_sec:02} GMT"
