"""One netlink socket of this machine: sends a request, returns the datagrams of its answer.

Knows how an answer ends and when it must be asked for again; refuses to know
what it says. Sources: net/netlink/af_netlink.c, Documentation/userspace-api/netlink/intro.rst.
"""

import contextlib
import errno
import socket
import sys
import threading

from natobs.errors import KernelError, UnavailableError
from natobs.kernel import netlink
from natobs.kernel.machine import Netlink, unavailable

_ANSWER_SECONDS = 2.0
_ATTEMPTS = 3
"""How often a dump is repeated that changed while the kernel wrote it (NLM_F_DUMP_INTR)."""
_RECEIVE_BYTES = 64 * 1024
"""More than the 32 KiB up to which the kernel fills a datagram of a dump (netlink_dump in af_netlink.c)."""
_SOL_NETLINK = 270
_NETLINK_GET_STRICT_CHK = 12


class NetlinkSocket:
    """One socket, one request at a time; reopened after any trouble so that no stale answer is ever read."""

    def __init__(self, protocol: int) -> None:
        self._protocol = protocol
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._sequence = 0
        self._buffer = bytearray(_RECEIVE_BYTES)

    def ask(self, query: Netlink) -> bytes:
        """All datagrams of the answer, joined.

        Raises:
            UnavailableError: the kernel refused, did not answer in time, or kept changing what it dumped.
            FormatError: the answer is no netlink.
        """
        with self._lock:
            try:
                for _attempt in range(_ATTEMPTS):
                    answer, interrupted = self._ask_once(query)
                    if not interrupted:
                        return answer
            except OSError as error:
                self._drop()
                code = errno.ETIMEDOUT if isinstance(error, TimeoutError) else error.errno or 0
                raise unavailable(f"netlink {query.name}", code) from error
            except KernelError:
                self._drop()
                raise
        raise UnavailableError("busy", f"netlink {query.name}: changed during each of {_ATTEMPTS} dumps")

    def close(self) -> None:
        """Close the socket; the next request opens another."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _open(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, self._protocol)
            self._socket.settimeout(_ANSWER_SECONDS)
            # Lets the kernel filter a route dump (Linux 4.20); an older one refuses the option and sends every route.
            with contextlib.suppress(OSError):
                self._socket.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
        return self._socket

    def _ask_once(self, query: Netlink) -> tuple[bytes, bool]:
        connection = self._open()
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        flags = netlink.NLM_F_DUMP if query.dump else 0
        connection.send(netlink.request(query.type, flags, self._sequence, query.payload))
        datagrams: list[bytes] = []
        interrupted = finished = False
        while not finished:
            size = connection.recv_into(self._buffer)
            datagrams.append(bytes(memoryview(self._buffer)[:size]))
            for kind, message_flags, sequence, body in netlink.headers(datagrams[-1]):
                if sequence != self._sequence:
                    raise UnavailableError("error", f"netlink {query.name}: an answer to another question")
                interrupted |= bool(message_flags & netlink.NLM_F_DUMP_INTR)
                if kind in (netlink.NLMSG_ERROR, netlink.NLMSG_DONE):
                    _raise_refusal(query, body)
                    finished = True
                # A single answer may carry NLM_F_MULTI all the same: ctnetlink_stat_ct_fill_info sets it.
                finished |= not query.dump or not message_flags & netlink.NLM_F_MULTI
        return b"".join(datagrams), interrupted


def _raise_refusal(query: Netlink, body: memoryview) -> None:
    """NLMSG_ERROR and NLMSG_DONE both carry zero or a negative errno in their first four bytes."""
    code = -int.from_bytes(body[:4], sys.byteorder, signed=True)
    if code:
        hint = "needs CAP_NET_ADMIN" if code in (errno.EPERM, errno.EACCES) else ""
        raise unavailable(f"netlink {query.name}", code, hint)
