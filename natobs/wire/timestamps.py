"""What the kernel says about packets in control messages: when they were sent and received, and which ICMP errors came.

Sources: Documentation/networking/timestamping.rst, include/uapi/linux/errqueue.h,
include/uapi/linux/net_tstamp.h, ip(7) on IP_RECVERR. Knows bytes and option
numbers; refuses to know sockets. Stamps are CLOCK_REALTIME, in nanoseconds.
"""

import struct
from collections.abc import Sequence
from socket import AF_INET, AF_INET6, inet_ntop
from typing import NamedTuple

from natobs.errors import FormatError

SO_TIMESTAMPING_NEW = 65
"""Linux 5.1: 64-bit times on every machine. Value of asm-generic/socket.h, which only parisc and sparc do not share."""
SO_TIMESTAMPING_OLD = 37
"""Before: times as wide as the machine's ``long``."""

TX_SOFTWARE = 1 << 1
RX_SOFTWARE = 1 << 3
SOFTWARE = 1 << 4
OPT_ID = 1 << 7
OPT_TSONLY = 1 << 11

SEND_AND_RECEIVE = TX_SOFTWARE | RX_SOFTWARE | SOFTWARE | OPT_ID | OPT_TSONLY
"""Stamp both ways; a send stamp carries its packet's number (OPT_ID) but not the packet (OPT_TSONLY)."""
RECEIVE = RX_SOFTWARE | SOFTWARE

IP_RECVERR = 11
IPV6_RECVERR = 25

CONTROL_BYTES = 256
"""Room for the control messages of one packet: 16 + 48 for a stamp, 16 + 44 for an extended error, and to spare."""

ORIGIN_LOCAL = 1
ORIGIN_ICMP = 2
ORIGIN_ICMP6 = 3
ORIGIN_TIMESTAMPING = 4

_SOL_SOCKET = 1
_SOL_IP = 0
_SOL_IPV6 = 41
_STAMPS = struct.Struct("=6q")  # struct scm_timestamping64: software, (unused), hardware; seconds and nanoseconds each
_STAMPS32 = struct.Struct("=6i")
_EXTENDED_ERROR = struct.Struct("=IBBBxII")  # struct sock_extended_err: errno, origin, type, code, pad, info, data
_FAMILY = struct.Struct("=H")
_SECOND = 1_000_000_000

Ancillary = Sequence[tuple[int, int, bytes]]
"""Control messages as recvmsg gives them: level, type, data."""


class ExtendedError(NamedTuple):
    """A message of a socket's error queue.

    Args:
        errno: the error that it stands for; ENOMSG for a send stamp.
        origin: one of the ``ORIGIN_`` numbers.
        type: of the ICMP message; 0 of others.
        code: of the ICMP message.
        info: next-hop MTU of a packet-too-big; kind of stamp (0 is "sent") of a send stamp.
        data: number of the packet of a send stamp, counted by the socket from 0.
        offender: address that sent the ICMP message; empty where there is none.
    """

    errno: int
    origin: int
    type: int
    code: int
    info: int
    data: int
    offender: str


def software_stamp(ancillary: Ancillary) -> int | None:
    """When the kernel handled the packet, in nanoseconds since the epoch; None where it did not stamp it.

    Raises:
        FormatError: a stamp is not of the documented size.
    """
    for level, kind, data in ancillary:
        if level == _SOL_SOCKET and kind in (SO_TIMESTAMPING_NEW, SO_TIMESTAMPING_OLD):
            return parse_stamps(data)
    return None


def extended_error(ancillary: Ancillary) -> ExtendedError | None:
    """The extended error among control messages of the error queue; None where there is none.

    Raises:
        FormatError: it is cut off.
    """
    for level, kind, data in ancillary:
        if (level == _SOL_IP and kind == IP_RECVERR) or (level == _SOL_IPV6 and kind == IPV6_RECVERR):
            return parse_extended_error(data)
    return None


def parse_stamps(data: bytes) -> int | None:
    """Decode ``struct scm_timestamping`` (32- or 64-bit): the software stamp in nanoseconds, None where it is zero.

    Raises:
        FormatError: the size is another, or the time is impossible.
    """
    if len(data) == _STAMPS.size:
        seconds, nanoseconds = _STAMPS.unpack(data)[:2]
    elif len(data) == _STAMPS32.size:
        seconds, nanoseconds = _STAMPS32.unpack(data)[:2]
    else:
        raise FormatError(f"time stamps of {len(data)} bytes; {_STAMPS.size} or {_STAMPS32.size} are documented")
    if seconds < 0 or not 0 <= nanoseconds < _SECOND:
        raise FormatError(f"impossible time stamp {seconds} s and {nanoseconds} ns")
    stamp: int = seconds * _SECOND + nanoseconds
    return stamp or None


def parse_extended_error(data: bytes) -> ExtendedError:
    """Decode ``struct sock_extended_err`` and the offender's ``struct sockaddr`` behind it.

    Raises:
        FormatError: it is cut off.
    """
    if len(data) < _EXTENDED_ERROR.size:
        raise FormatError(f"extended error of {len(data)} bytes; it has {_EXTENDED_ERROR.size}")
    errno, origin, kind, code, info, number = _EXTENDED_ERROR.unpack_from(data)
    offender = "" if origin == ORIGIN_TIMESTAMPING else _address(data[_EXTENDED_ERROR.size :])
    return ExtendedError(errno, origin, kind, code, info, number, offender)


def _address(data: bytes) -> str:
    """The address in a ``struct sockaddr_in`` (family, port, address) or ``sockaddr_in6`` (flow label before it)."""
    if len(data) < _FAMILY.size:
        return ""
    (family,) = _FAMILY.unpack_from(data)
    start, end = {AF_INET: (4, 8), AF_INET6: (8, 24)}.get(family, (0, 0))
    if not end:
        return ""  # AF_UNSPEC: nobody's
    if len(data) < end:
        raise FormatError(f"offender's address of {len(data)} bytes")
    return inet_ntop(family, data[start:end])
