"""One UDP socket of the reflector: datagrams in with what the kernel says of them, replies out.

Here the rules stand that hold for every service over UDP, whatever it answers:

* No reply is longer than the service's factor times its request, which is 1 unless somebody asked for more.
* What a source, or all of them, may ask for is bounded (:mod:`natobs.probes.reflector.limiter`).
* What was sent to a broadcast or multicast address is not answered: many reflectors would be.
* A reply comes from the address that was asked, leaves unfragmented or not at all, and ignores what ICMP says of
  the path's MTU: a reply that arrives proves that its size passes (IP_MTU_DISCOVER in ip(7)).
* What is not understood is counted and not answered.

Sources: ip(7), ipv6(7), socket(7), Documentation/networking/timestamping.rst of Linux.
"""

import contextlib
import logging
import socket
import struct
import sys
import time
from typing import NamedTuple, Protocol

from natobs.errors import FormatError
from natobs.probes.reflector.limiter import Limiter
from natobs.probes.reflector.listen import is_wildcard
from natobs.probes.reflector.tally import Drop, Tally

logger = logging.getLogger(__name__)

_SO_TIMESTAMPNS = 35
_SO_MEMINFO = 55
_MEMINFO_DROPS = 8
"""Index in the array that SO_MEMINFO gives (linux/sock_diag.h)."""
_IP_PKTINFO = 8
_IP_MTU_DISCOVER = 10
_IP_RECVTTL = 12
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3
_PARM = struct.Struct("=i")
_TIMESPEC = struct.Struct("@ll")
_PKTINFO4 = struct.Struct("=I4s4s")  # interface, local address, destination of the header
_PKTINFO6 = struct.Struct("=16sI")
_SECOND = 1_000_000_000

_MOST_BYTES = 65_535
_BATCH = 64
"""Datagrams that are taken before another socket has its turn."""
_RECEIVE_BUFFER = 1 << 20
"""Bytes asked for; the kernel gives at most net.core.rmem_max."""


class Datagram(NamedTuple):
    """One that came.

    Args:
        data: its payload.
        source: numeric address, without a scope.
        port: where it came from.
        received: when, in nanoseconds since 1970, by the kernel's clock at the interface where it can be had.
        ttl: its TTL or hop limit; 0 when not known.
        local: the packed address that it was sent to; empty for a socket bound to one address.
    """

    data: bytes
    source: str
    port: int
    received: int
    ttl: int
    local: bytes


class Responder(Protocol):
    """What answers over UDP. One for each socket."""

    @property
    def timed(self) -> bool:
        """Whether it needs the kernel's time of arrival, and the TTL."""

    @property
    def factor(self) -> float:
        """How many times as long as its request a reply may be."""

    def answer(self, datagram: Datagram) -> bytearray | Drop:
        """Make the reply, or say why there is none.

        Raises:
            FormatError: the datagram is not of this protocol.
        """

    def seal(self, reply: bytearray) -> None:
        """Write into the reply what must be written last. It is sent at once after this."""


class Datagrams:
    """One UDP socket and what answers there.

    Args:
        opened: bound, not blocking; closed by whoever opened it.
        responder: of this socket alone.
        limiter: shared with others.
        tally: shared with other sockets of the service.
    """

    def __init__(self, opened: socket.socket, responder: Responder, limiter: Limiter, tally: Tally) -> None:
        self._socket = opened
        self._responder = responder
        self._limiter = limiter
        self._tally = tally
        self._wildcard = is_wildcard(opened)
        self._buffer = bytearray(_MOST_BYTES)
        self._view = memoryview(self._buffer)
        self._ancillary_size = _prepare(opened, timed=responder.timed, wildcard=self._wildcard)
        self._faulty = False

    def lost(self) -> int:
        """Datagrams that the kernel dropped before this socket because its buffer was full."""
        with contextlib.suppress(OSError):  # before Linux 4.12
            words = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, (_MEMINFO_DROPS + 1) * 4)
            return int.from_bytes(words[-4:], sys.byteorder)
        return 0

    def ready(self, events: int) -> None:
        """Answer what has come, up to a batch."""
        for _ in range(_BATCH):
            try:
                size, ancillary, _flags, address = self._socket.recvmsg_into([self._buffer], self._ancillary_size)
            except BlockingIOError:
                return
            except OSError:
                continue  # an error of an earlier reply, which is read in place of a datagram
            self._take(size, ancillary, address)

    def _take(self, size: int, ancillary: list[tuple[int, int, bytes]], address: tuple[str, int]) -> None:
        tally = self._tally
        tally.requests += 1
        tally.received_bytes += size
        source = address[0]
        refused = self._limiter.admit(source, size)
        if refused is not None:
            tally.drop(refused)
            return
        received, ttl, local, back = self._read(ancillary)
        if back is None:
            tally.drop(Drop.DESTINATION)
            return
        if "%" in source:
            source = source.partition("%")[0]
        try:
            reply = self._responder.answer(Datagram(bytes(self._view[:size]), source, address[1], received, ttl, local))
        except FormatError:
            tally.drop(Drop.MALFORMED)
            return
        except Exception:
            tally.drop(Drop.FAULT)
            if not self._faulty:  # once: a hostile sender could otherwise fill the log
                logger.exception("a fault while answering %s; further ones are only counted", tally.service)
            self._faulty = True
            return
        if isinstance(reply, Drop):
            tally.drop(reply)
        elif len(reply) > size * self._responder.factor:
            tally.drop(Drop.SHORT)
        else:
            self._send(reply, back, address)

    def _send(self, reply: bytearray, ancillary: list[tuple[int, int, bytes]], address: tuple[str, int]) -> None:
        try:
            self._responder.seal(reply)
            self._socket.sendmsg([reply], ancillary, 0, address)
        except OSError:
            self._tally.drop(Drop.SEND)
            return
        self._tally.replies += 1
        self._tally.sent_bytes += len(reply)

    def _read(
        self, ancillary: list[tuple[int, int, bytes]]
    ) -> tuple[int, int, bytes, list[tuple[int, int, bytes]] | None]:
        """Time of arrival, TTL, local address, and what sends the reply from there; None where it must not go."""
        received, ttl, local = 0, 0, b""
        back: list[tuple[int, int, bytes]] | None = []
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, rest = _TIMESPEC.unpack_from(data)
                received = seconds * _SECOND + rest
            elif level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
                _device, local, destination = _PKTINFO4.unpack_from(data)
                back = [(level, kind, _PKTINFO4.pack(0, local, bytes(4)))] if local == destination else None
            elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO:
                local, device = _PKTINFO6.unpack_from(data)
                # only a link-local address says nothing without its interface; for others the routes decide
                device = device if local[:1] == b"\xfe" else 0
                back = [(level, kind, _PKTINFO6.pack(local, device))] if local[0] != 0xFF else None  # noqa: PLR2004 - ff00::/8
            elif kind in {socket.IP_TTL, socket.IPV6_HOPLIMIT}:
                (ttl,) = _PARM.unpack_from(data)
        return received or time.time_ns(), ttl, local, back


def _prepare(opened: socket.socket, *, timed: bool, wildcard: bool) -> int:
    """Set a socket's options; return the bytes of ancillary data that a datagram can bring."""
    v6 = opened.family == socket.AF_INET6
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
    opened.setsockopt(level, _IPV6_MTU_DISCOVER if v6 else _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
    size = 0
    if timed:
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.setsockopt(level, socket.IPV6_RECVHOPLIMIT if v6 else _IP_RECVTTL, 1)
        size += socket.CMSG_SPACE(_TIMESPEC.size) + socket.CMSG_SPACE(_PARM.size)
    if wildcard:
        opened.setsockopt(level, socket.IPV6_RECVPKTINFO if v6 else _IP_PKTINFO, 1)
        size += socket.CMSG_SPACE(_PKTINFO6.size)
    return size
