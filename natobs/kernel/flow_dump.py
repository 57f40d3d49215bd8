"""The dump of the connection tracking table, as the kernel writes it: one block of messages after another.

Knows the request, the socket and every way in which a dump ends; refuses to know
what a flow looks like. The kernel goes through the table while it is read
(netlink_dump in net/netlink/af_netlink.c): each ``recv`` writes and gives up to
32 KiB, and what is not read is not written. So nothing piles up, and a reader
that is slow sees a table that is smeared over a longer time.

What the kernel does not say: that entries came and went meanwhile (always), that
the table was flushed, and that the number of buckets was changed
(ctnetlink_dump_table sets no sequence for nl_dump_check_consistent; a resize
moves entries, which are then seen twice or not at all). When the very entry
vanishes at which it paused, it begins that bucket again, and the few before it
come twice.

Loads numpy: nothing that the agent imports when it starts may import this.
"""

import contextlib
import errno
import secrets
import select
import socket
import time
from collections.abc import Iterator
from typing import Literal

from natobs.errors import UnavailableError
from natobs.kernel import netlink
from natobs.kernel.flow_frames import Frames, frame
from natobs.kernel.machine import unavailable

BLOCK_BYTES = 2 << 20
"""Messages are handed out so many bytes at a time: 8,000 to 13,000 flows, whose columns fit a second-level cache."""

_GET_FLOWS = 0x101
"""NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET"""
_ANY_FAMILY = bytes(4)
"""struct nfgenmsg: AF_UNSPEC, version 0, resource 0"""
_MOST_DATAGRAM = 64 * 1024
"""Twice what the kernel puts into one datagram of a dump (netlink_recvmsg: 32 KiB)."""
_RECEIVE_BUFFER = 1 << 20
_SO_RCVBUFFORCE = 33

Trouble = Literal["", "interrupted", "overrun", "timeout"]


def connect() -> socket.socket:
    """A socket that hears the kernel's answers and nobody else's.

    Raises:
        UnavailableError: this kernel has no nfnetlink.
    """
    try:
        connection = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, netlink.NETLINK_NETFILTER)
        # Root's option first; both are asked for the error's sake only, the dump waits for its reader anyway.
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        # Connected to port 0, the kernel: no other process can write to it.
        connection.connect((0, 0))
    except OSError as error:
        raise unavailable("conntrack table", error.errno or 0, "the kernel module is nfnetlink") from error
    return connection


class Dump:
    """One dump over one socket, which is of no use for another.

    Args:
        connection: from :func:`connect`, or whatever answers as the kernel does; it is made non-blocking.
        deadline: on the monotonic clock; the dump is given up then. A single system call is not cut short: it lasts
            as long as the kernel takes to find 32 KiB of entries, 9 ms through 262,144 empty buckets.
        block_bytes: how much is handed out at a time.
    """

    def __init__(self, connection: socket.socket, deadline: float, block_bytes: int = BLOCK_BYTES) -> None:
        self._connection = connection
        self._deadline = deadline
        self._block_bytes = block_bytes
        self._buffer = bytearray(block_bytes + _MOST_DATAGRAM)
        self._view = memoryview(self._buffer)
        self.trouble: Trouble = ""
        """Why the dump is not whole; empty until that is known, and when it is whole."""
        self.bytes = 0
        self.messages = 0
        self.malformed = 0
        """Messages that are no flows and nothing that belongs to a dump either."""

    def blocks(self) -> Iterator[Frames]:
        """Blocks of messages; each is overwritten when the next one is asked for.

        Raises:
            UnavailableError: the kernel refused the dump or broke it off with an error.
        """
        self._connection.setblocking(False)
        try:
            # Seldom found elsewhere in a message, so that the kernel's echo of it shows where messages begin.
            sequence = secrets.randbits(32)
            self._connection.send(netlink.request(_GET_FLOWS, netlink.NLM_F_DUMP, sequence, _ANY_FAMILY))
            ending = None
            while ending is None and self.trouble not in ("overrun", "timeout"):
                frames = frame(self._buffer, self._fill())
                self.messages += frames.messages
                self.malformed += frames.malformed
                if frames.interrupted:
                    self.trouble = self.trouble or "interrupted"
                if frames.overrun:
                    self.trouble = "overrun"
                ending = frames.ending
                if len(frames.starts):
                    yield frames
        except OSError as error:
            raise _refused(error.errno or 0) from error
        if ending == errno.ENOBUFS:
            self.trouble = "overrun"
        elif ending:
            raise _refused(ending)

    def _fill(self) -> int:
        """Receive until the block is full, or nothing more comes; gives how many bytes.

        A dump always has more, so that the end of what there is can be taken for the end of the dump, and is looked
        at. Should it not be the end, poll(2) waits for the rest.
        """
        filled = 0
        while filled < self._block_bytes:
            if time.monotonic() >= self._deadline:
                self.trouble = "timeout"
                return filled
            try:
                size = self._connection.recv_into(self._view[filled:], 0, socket.MSG_TRUNC)
            except BlockingIOError:
                if filled:
                    return filled
                self._wait()
                continue
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.trouble = "overrun"
                return filled
            self.bytes += size
            if size == 0 or size > len(self._buffer) - filled:
                self.trouble = "overrun"
                return filled
            end = filled + size
            filled = (end + 3) & ~3
            self._buffer[end:filled] = bytes(filled - end)
        return filled

    def _wait(self) -> None:
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        poller.poll(max(0.0, 1e3 * (self._deadline - time.monotonic())))


def _refused(code: int) -> UnavailableError:
    if code in (errno.EPERM, errno.EACCES):
        hint = "needs CAP_NET_ADMIN"
    elif code in (errno.EINVAL, errno.EOPNOTSUPP):
        hint = "the kernel module is nf_conntrack_netlink"
    else:
        hint = ""
    return unavailable("conntrack table", code, hint)
