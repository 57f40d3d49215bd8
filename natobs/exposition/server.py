"""A bounded HTTP/1.1 server: listening sockets, threads, and the life of connections.

Knows how many connections and threads there may be, and for how long. Knows
neither HTTP (connection.py) nor what is served (the handler).

One thread runs an event loop for all connections, a fixed number of workers runs
the handler, one more runs bcrypt. When the connections are as many as there may
be, one that is idle between two requests is closed for the next, down to a few; failing that, the
next ones wait in the kernel's backlog until a deadline frees a place. They are not
refused with 503: a scrape that waits a second is better than a gap, and a refusal
over TLS would cost the very handshake that there is no room for.
"""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus

from natobs.errors import ExpositionError
from natobs.exposition.connection import READ_SIZE, Connection
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address, bind, bound_address
from natobs.exposition.messages import Handler, Request, Response, methods_of, plain
from natobs.exposition.policy import Policy
from natobs.exposition.render import Renderer
from natobs.exposition.webschema import WebConfig

_log = logging.getLogger(__name__)

_ACCEPT_RETRY = 1.0
"""Seconds before the next attempt when the process has run out of file descriptors."""


class Server:
    """Serves a handler on some addresses from threads of its own, between :meth:`start` and :meth:`stop`.

    Args:
        addresses: at least one; see :func:`natobs.exposition.listen.parse_listen`.
        handler: called in worker threads, ``limits.workers`` at a time.
        web_config: TLS, users and so on; plain HTTP for all when absent.
        limits: bounds of time and size.

    Raises:
        WebConfigError: a certificate cannot be loaded.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        handler: Handler,
        web_config: WebConfig | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._wanted = tuple(addresses)
        self._limits = limits or Limits()
        self._kept = min(self._limits.kept, self._limits.connections // 2)
        self._renderer = Renderer(handler)
        self._methods = partial(methods_of, handler)
        self._workers = ThreadPoolExecutor(self._limits.workers, "natobs-http")
        self._bcrypt = ThreadPoolExecutor(1, "natobs-auth")
        self._policy = Policy(web_config or WebConfig(), self._bcrypt)
        self._listeners: list[socket.socket] = []
        self._open: dict[asyncio.Task[None], Connection | None] = {}
        self._acceptors_waiting = 0
        self._drain = 0.0
        self._thread = threading.Thread(target=self._run, name="natobs-http-loop", daemon=True)
        self._started = threading.Event()
        self.addresses: tuple[Address, ...] = ()
        """What was bound, with the ports that the kernel chose; empty until :meth:`start`."""

    @property
    def connections(self) -> int:
        """Connections that hold a place now; never more than ``limits.connections``."""
        return len(self._open)

    @property
    def urls(self) -> tuple[str, ...]:
        """Where a browser finds it; empty until :meth:`start`."""
        scheme = "https" if self.encrypts else "http"
        return tuple(f"{scheme}://{address}/" for address in self.addresses)

    def start(self) -> None:
        """Bind every address and begin to serve.

        Raises:
            ExpositionError: an address cannot be bound; says which, and why.
        """
        if not self._wanted:
            raise ExpositionError("no address to listen on")
        self._listeners = bind(self._wanted, self._limits)
        self.addresses = tuple(bound_address(listener) for listener in self._listeners)
        self._thread.start()
        self._started.wait()

    @property
    def encrypts(self) -> bool:
        """Whether new connections have to begin with a TLS handshake."""
        return self._policy.encrypts

    def policy(self, web_config: WebConfig) -> Policy:
        """Prepare another web configuration for :meth:`use`.

        Raises:
            WebConfigError: a certificate cannot be loaded.
        """
        return Policy(web_config, self._bcrypt)

    def use(self, policy: Policy) -> None:
        """Use a policy from the next connection on; the listening sockets stay.

        Requests under way are answered, then their connections are closed; idle ones at once.
        """
        self._policy = policy
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._close_waiting)

    def stop(self, timeout: float = 5.0) -> None:
        """Stop accepting, let requests under way finish for so many seconds, close everything.

        May be called again. A handler that hangs is left behind in its worker thread.
        """
        if self._thread.is_alive():
            self._drain = timeout
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
        for executor in (self._workers, self._bcrypt):
            executor.shutdown(wait=False, cancel_futures=True)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._places = asyncio.Semaphore(self._limits.connections)
        acceptors = [asyncio.create_task(self._accept(listener)) for listener in self._listeners]
        self._started.set()
        await self._stopping.wait()
        for acceptor in acceptors:
            acceptor.cancel()
        await asyncio.wait(acceptors)
        for listener in self._listeners:
            listener.close()
        self._close_waiting()
        if self._open:
            await asyncio.wait(self._open, timeout=self._drain)
        for task in self._open:
            task.cancel()
        if self._open:
            await asyncio.wait(self._open)

    async def _accept(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        while True:
            try:
                client, _ = await self._loop.sock_accept(listener)
            except OSError as error:
                _log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(_ACCEPT_RETRY)
                continue
            try:
                await self._take_place()
            except asyncio.CancelledError:
                client.close()
                raise
            task = asyncio.create_task(self._serve(client))
            self._open[task] = None
            task.add_done_callback(partial(self._gone, client))

    async def _take_place(self) -> None:
        """Wait for a place; make one by closing the connection that has been idle for longest, unless few are."""
        if self._places.locked():
            idle = self._idle()
            if len(idle) > self._kept:
                _since, task, connection = min(idle, key=lambda entry: entry[0])
                connection.idle_since = None  # another acceptor, in this very moment, shall choose another one
                task.cancel()
        self._acceptors_waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._acceptors_waiting -= 1

    async def _serve(self, client: socket.socket) -> None:
        """Go through the life of one connection."""
        limits, policy = self._limits, self._policy
        head_deadline = self._loop.time() + limits.head
        reader, writer = await _open_streams(client, policy.context(), limits)
        try:
            if not policy.welcomes(writer.get_extra_info("ssl_object")):
                return
            connection = Connection(
                reader,
                writer,
                limits=limits,
                policy=policy,
                render=self._render,
                methods=self._methods,
                may_idle=partial(self._may_idle, policy),
            )
            self._open[_this_task()] = connection
            await connection.run(head_deadline)
            writer.close()
            async with asyncio.timeout(limits.write):
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    def _gone(self, client: socket.socket, task: asyncio.Task[None]) -> None:
        client.close()  # a task that was cancelled before its first step never had a transport
        del self._open[task]
        self._places.release()
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, OSError):  # deadlines, resets, failed handshakes: the client's affair
            _log.debug("connection ended: %r", error)
        elif error:
            _log.error("connection ended by a fault of the server", exc_info=error)

    async def _render(self, request: Request) -> Response:
        due = time.monotonic() + request.deadline
        try:
            async with asyncio.timeout(request.deadline + self._limits.grace):
                return await self._loop.run_in_executor(self._workers, self._renderer, request, due)
        except TimeoutError:
            return plain(HTTPStatus.SERVICE_UNAVAILABLE, f"not ready within {request.deadline:.3g} s")

    def _may_idle(self, policy: Policy) -> bool:
        room = not self._acceptors_waiting or len(self._idle()) < self._kept
        return policy is self._policy and room and not self._stopping.is_set()

    def _idle(self) -> list[tuple[float, asyncio.Task[None], Connection]]:
        """The connections that wait for another request, and since when."""
        return [(c.idle_since, task, c) for task, c in self._open.items() if c and c.idle_since is not None]

    def _close_waiting(self) -> None:
        """Close the connections that have no request under way."""
        for task, connection in self._open.items():
            if connection is None or not connection.busy:
                task.cancel()


async def _open_streams(
    client: socket.socket, context: ssl.SSLContext | None, limits: Limits
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Make streams of an accepted socket, after the TLS handshake if there is one.

    Raises:
        OSError: the handshake failed, or took too long.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=READ_SIZE, loop=loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        client,
        ssl=context,
        ssl_handshake_timeout=limits.handshake if context else None,
        ssl_shutdown_timeout=limits.write if context else None,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


def _this_task() -> asyncio.Task[None]:
    task = asyncio.current_task()
    assert task
    return task
