"""A TCP connection, begun and waited for: the kernel's own time from SYN to SYN/ACK, and why there is none.

An attempt is one SYN. The kernel sends it again when no answer comes, and the
connection may then stand; ``syn_retransmits`` tells, and no round trip is
reported, since after a retry the kernel's figure is that of its time stamp
option (1 or 2 ms steps). The count is kept for failed attempts too. Knows
connect(2), tcp(7) and ip(7); refuses to know what is sent afterwards.
"""

import contextlib
import errno
import os
import socket
import time
from collections.abc import Generator

from natobs.errors import FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes import sockets
from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import IcmpError, Reason, Wait
from natobs.probes.progress import FailedError, Progress
from natobs.probes.resolve import Address
from natobs.wire import tcp_info, timestamps

_MICROSECOND = 1e-6
_MILLISECOND = 1e-3
_CONNECTED = (tcp_info.ESTABLISHED, tcp_info.CLOSE_WAIT)
_MOST_MESSAGES = 16
"""Messages read from one error queue."""


def connect(settings: ProbeSettings, address: Address, progress: Progress) -> Generator[Wait, None, socket.socket]:
    """Connect; to be used with ``yield from``. The phase ``connect`` is the kernel's round trip where there is one.

    Returns:
        A connected socket, never blocking; the caller closes it.

    Raises:
        FailedError: the connection was refused, an ICMP error came, and so on.
        OSError: the kernel did not even begin.
    """
    family, destination = address
    progress.doing = f"connecting to {destination[0]} port {destination[1]}"
    opened = sockets.open_socket(settings, family, socket.SOCK_STREAM)
    resent = 0
    begun = time.monotonic()
    try:
        _hear_icmp(opened, family, wanted=True)
        sockets.connect(opened, destination)
        while True:
            yield Wait(opened.fileno(), write=True)
            info = _read_handshake(opened)
            resent = info.total_retrans
            if info.state in _CONNECTED:
                break
            _look_for_failure(opened, destination[0], info.state)
        # Off again: for a connection that stands an ICMP error is a hint and no end (RFC 1122, 4.2.3.9).
        _hear_icmp(opened, family, wanted=False)
    except BaseException:
        with contextlib.suppress(OSError, FormatError):
            resent = _read_handshake(opened).total_retrans
        progress.syn_retransmits += resent
        progress.spent("connect", time.monotonic() - begun)
        opened.close()
        raise
    progress.syn_retransmits += resent
    measured = info.rtt * _MICROSECOND if info.rtt and not resent else None
    progress.arrived = begun + measured if measured else time.monotonic() - info.last_ack_recv * _MILLISECOND
    progress.spent("connect", time.monotonic() - begun if measured is None else measured)
    if progress.rtt is None:  # the first connection's, where redirects lead to more
        progress.rtt = measured
    return opened


def read_info(opened: socket.socket) -> tcp_info.TcpInfo:
    """What the kernel knows of the connection.

    Raises:
        OSError: not a TCP socket.
        FormatError: the kernel is older than Linux 2.6.16.
    """
    return tcp_info.parse(opened.getsockopt(socket.IPPROTO_TCP, tcp_info.TCP_INFO, tcp_info.MOST_BYTES))


def _read_handshake(opened: socket.socket) -> tcp_info.Handshake:
    return tcp_info.parse_handshake(opened.getsockopt(socket.IPPROTO_TCP, tcp_info.TCP_INFO, tcp_info.HANDSHAKE_BYTES))


def _hear_icmp(opened: socket.socket, family: int, *, wanted: bool) -> None:
    if family == socket.AF_INET6:
        opened.setsockopt(socket.IPPROTO_IPV6, timestamps.IPV6_RECVERR, wanted)
    else:
        opened.setsockopt(socket.IPPROTO_IP, timestamps.IP_RECVERR, wanted)


def _look_for_failure(opened: socket.socket, host: str, state: int) -> None:
    number = opened.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    icmp = _read_icmp(opened)
    if not number and state != tcp_info.CLOSE:
        return  # still trying; the error queue is empty now, and so wakes nobody again
    told = outcome_of(OSError(number or errno.ECONNRESET, os.strerror(number or errno.ECONNRESET)), icmp, host)
    raise FailedError(told.reason or Reason.LOCAL, told.detail, icmp)


def _read_icmp(opened: socket.socket) -> IcmpError | None:
    found = None
    for _ in range(_MOST_MESSAGES):
        try:
            _data, ancillary, _flags, _from = opened.recvmsg(0, timestamps.CONTROL_BYTES, socket.MSG_ERRQUEUE)
            error = timestamps.extended_error(ancillary)
        except (OSError, FormatError):
            break
        if error is not None and error.origin in (timestamps.ORIGIN_ICMP, timestamps.ORIGIN_ICMP6):
            found = IcmpError(error.type, error.code, error.offender)
    return found
