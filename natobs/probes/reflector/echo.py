"""TCP echo (RFC 862) for a bounded number of connections, each bounded in time and in bytes.

A connection comes to be only by the handshake: nobody can make us send to an
address that is not theirs. Nothing is read while something is still to be sent,
so a connection holds at most one chunk. Knows sockets and time.
"""

import contextlib
import select
import socket
import struct
import time
from dataclasses import dataclass, field
from functools import partial

from natobs.probes.reflector.limiter import StreamLimiters
from natobs.probes.reflector.poll import Poll
from natobs.probes.reflector.tally import Drop, Tally

_CHUNK = 16 * 1024
_BATCH = 64
_BUFFER = 64 * 1024
"""Bytes that the kernel may keep for a connection, each way (it doubles them for its own needs)."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: close with a reset, so that nothing of the connection stays in the kernel."""


@dataclass(frozen=True, slots=True)
class EchoLimits:
    """Bounds of connections.

    Args:
        connections: open at a time; further ones are reset.
        source_connections: of one address. Clients behind one NAT share it.
        idle: seconds without a byte.
        total: seconds of a connection.
        size: bytes of a connection that are sent back; as many more are read and thrown away, so that the client
            sees what it was sent before the end (RFC 9112, section 9.6, describes the same for HTTP).
    """

    connections: int = 256
    source_connections: int = 64
    idle: float = 10.0
    total: float = 60.0
    size: int = 256 * 1024


@dataclass(slots=True, eq=False)
class _Connection:
    socket: socket.socket
    host: str
    opened: float
    heard: float
    pending: bytes = b""
    echoed: int = 0
    finished: bool = False
    wasted: int = 0


@dataclass(slots=True)
class Echo:
    """Every connection to the echo sockets.

    Args:
        poll: where descriptors are watched.
        listeners: listening sockets; closed by whoever opened them.
        limiters: shared with others.
        tally: what is counted.
        limits: bounds of connections.
    """

    poll: Poll
    listeners: list[socket.socket]
    limiters: StreamLimiters
    tally: Tally
    limits: EchoLimits = field(default_factory=EchoLimits)
    _open: dict[int, _Connection] = field(default_factory=dict)
    _of_source: dict[str, int] = field(default_factory=dict)
    _paused: bool = False

    def __post_init__(self) -> None:
        for listener in self.listeners:  # what it accepts inherits these
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._watch()
        self.poll.every_beat(self._sweep)

    @property
    def connections(self) -> int:
        """Connections that are open now."""
        return len(self._open)

    def close(self) -> None:
        """Reset every connection; the poll has ended."""
        for connection in list(self._open.values()):
            _reset(connection.socket)
        self._open.clear()

    def _watch(self) -> None:
        for listener in self.listeners:
            self.poll.watch(listener.fileno(), select.EPOLLIN, partial(self._accept, listener))

    def _accept(self, listener: socket.socket, events: int) -> None:
        for _ in range(_BATCH):
            try:
                client, address = listener.accept()
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # gone before it was accepted
            except OSError:
                self._pause()  # out of descriptors or memory: wait for a beat instead of trying in circles
                return
            self._take(client, address[0])

    def _pause(self) -> None:
        for listener in self.listeners:
            self.poll.forget(listener.fileno())
        self._paused = True

    def _take(self, client: socket.socket, host: str) -> None:
        self.tally.requests += 1
        refused = self.limiters.requests.admit(host)
        if refused is None and (
            len(self._open) >= self.limits.connections or self._of_source.get(host, 0) >= self.limits.source_connections
        ):
            refused = Drop.CONNECTIONS
        if refused is not None:
            self.tally.drop(refused)
            _reset(client)
            return
        client.setblocking(False)
        now = time.monotonic()
        connection = _Connection(client, host, now, now)
        self._open[client.fileno()] = connection
        self._of_source[host] = self._of_source.get(host, 0) + 1
        self.poll.watch(client.fileno(), select.EPOLLIN, partial(self._turn, connection))

    def _turn(self, connection: _Connection, events: int) -> None:
        try:
            if connection.finished:
                self._waste(connection)
                return
            if not connection.pending and not self._read(connection):
                return
            sent = connection.socket.send(connection.pending)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(connection)
            return
        if sent and not connection.echoed:
            self.tally.replies += 1
        connection.echoed += sent
        self.tally.sent_bytes += sent
        connection.pending = connection.pending[sent:]
        if sent:
            connection.heard = time.monotonic()
        if not connection.pending and connection.echoed >= self.limits.size:
            self._finish(connection)
            return
        self.poll.change(connection.socket.fileno(), select.EPOLLOUT if connection.pending else select.EPOLLIN)

    def _read(self, connection: _Connection) -> bool:
        """Take a chunk; False when there is none and the connection waits, or has ended."""
        try:
            data = connection.socket.recv(min(_CHUNK, self.limits.size - connection.echoed))
        except BlockingIOError:
            return False
        if not data:
            self._end(connection)
            return False
        self.tally.received_bytes += len(data)
        refused = self.limiters.volume.admit(connection.host, len(data))
        if refused is not None:
            self._cut(connection, refused)
            return False
        connection.pending = data
        return True

    def _finish(self, connection: _Connection) -> None:
        """Send the end of the stream; the client closes, or its time runs out."""
        self.tally.drop(Drop.SIZE)
        connection.finished = True
        try:
            connection.socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(connection)
        else:
            self.poll.change(connection.socket.fileno(), select.EPOLLIN)

    def _waste(self, connection: _Connection) -> None:
        """Read on without answering, for as many bytes again."""
        size = len(connection.socket.recv(_CHUNK))
        connection.wasted += size
        if not size or connection.wasted > self.limits.size:
            self._end(connection)

    def _sweep(self, now: float) -> None:
        for connection in list(self._open.values()):
            if now - connection.heard > self.limits.idle or now - connection.opened > self.limits.total:
                self._cut(connection, Drop.DEADLINE)
        if self._paused:
            self._paused = False
            self._watch()

    def _cut(self, connection: _Connection, reason: Drop) -> None:
        self.tally.drop(reason)
        with contextlib.suppress(OSError):
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end(connection)

    def _end(self, connection: _Connection) -> None:
        descriptor = connection.socket.fileno()
        self.poll.forget(descriptor)
        del self._open[descriptor]
        connection.socket.close()
        left = self._of_source[connection.host] - 1
        if left:
            self._of_source[connection.host] = left
        else:
            del self._of_source[connection.host]


def _reset(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()
