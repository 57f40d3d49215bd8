"""Lets connections of a NAT's table end as if both sides had closed them: by ctnetlink, many thousands a second.

What conntrack(8) deletes is lost state for whoever watches deaths; what is in
TIME_WAIT when it goes is a connection that was over. Knows the bytes of one
message (include/uapi/linux/netfilter/nfnetlink_conntrack.h); refuses to know why.
"""

import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from itertools import islice
from socket import inet_aton

from natobs.kernel import netlink

_CT_NEW = 1 << 8
"""NFNL_SUBSYS_CTNETLINK and IPCTNL_MSG_CT_NEW; without NLM_F_CREATE it changes an entry that is there."""
_TIME_WAIT = 7
"""TCP_CONNTRACK_TIME_WAIT, include/uapi/linux/netfilter/nf_conntrack_tcp.h."""
_TCP = 6
_NESTED = 0x8000
_NFGENMSG = struct.pack("!BBH", socket.AF_INET, 0, 0)
_PORT = struct.Struct("!H")
_INSIDE, _SERVER, _SOURCE, _SERVICE = 32, 40, 60, 68
"""Where addresses and ports are in a message: behind the headers of netlink and of the attributes around them."""
_BATCH = 256  # messages; more at a time would not fit into a socket's buffer

Connection = tuple[str, int, str, int]
"""Address and port of the inside host, address and port of the server."""


def close(connections: Iterable[Connection], seconds: int = 1) -> None:
    """Put TCP connections into TIME_WAIT, forgotten after some seconds; those that are not there are passed over."""
    left = iter(connections)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER) as kernel:
        kernel.bind((0, 0))
        while batch := b"".join(message(one, seconds) for one in islice(left, _BATCH)):
            kernel.send(batch)
            _drain(kernel)


def message(connection: Connection, seconds: int) -> bytes:
    """Write the message for one connection."""
    inside, source, server, port = connection
    made = bytearray(_template(seconds))
    made[_INSIDE : _INSIDE + 4], made[_SERVER : _SERVER + 4] = inet_aton(inside), inet_aton(server)
    _PORT.pack_into(made, _SOURCE, source)
    _PORT.pack_into(made, _SERVICE, port)
    return bytes(made)


@cache
def _template(seconds: int) -> bytes:
    """A message with zeros for addresses and ports."""
    addresses = netlink.attribute(1, bytes(4)) + netlink.attribute(2, bytes(4))
    ports = netlink.attribute(1, bytes([_TCP])) + netlink.attribute(2, bytes(2)) + netlink.attribute(3, bytes(2))
    found = netlink.attribute(1 | _NESTED, addresses) + netlink.attribute(2 | _NESTED, ports)
    state = netlink.attribute(1 | _NESTED, netlink.attribute(1, bytes([_TIME_WAIT])))
    payload = (
        _NFGENMSG
        + netlink.attribute(1 | _NESTED, found)
        + netlink.attribute(4 | _NESTED, state)
        + netlink.attribute(7, struct.pack("!I", seconds))
    )
    return netlink.request(_CT_NEW, 0, 0, payload)


def _drain(kernel: socket.socket) -> None:
    """Take what the kernel says of connections that are not there."""
    with suppress(BlockingIOError):
        while kernel.recv(1 << 16, socket.MSG_DONTWAIT):
            pass
