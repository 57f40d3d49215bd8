"""What Linux knows of a TCP connection: ``struct tcp_info`` of ``getsockopt(TCP_INFO)``.

Layout: include/uapi/linux/tcp.h. The structure only ever grew at its end, so a
kernel's age shows in the length; a field that this kernel does not have is None.
Knows bytes; refuses to know sockets.
"""

import struct
from typing import Final, NamedTuple

from natobs.errors import FormatError

TCP_INFO: Final = 11
"""The option, at level IPPROTO_TCP (6)."""

MOST_BYTES: Final = 512
"""To ask for; Linux 6.12 has 248."""

HANDSHAKE_BYTES: Final = 104
"""To ask for where a :class:`Handshake` is wanted: all of the oldest form."""

ESTABLISHED: Final = 1
SYN_SENT: Final = 2
CLOSE: Final = 7
CLOSE_WAIT: Final = 8
"""The other side has already closed its half."""

_TIMESTAMPS = 1
"""TCPI_OPT_TIMESTAMPS."""
_BASE = struct.Struct("=BBBBBBBB24I")  # as Linux 2.6.16 has it
_HANDSHAKE = struct.Struct("=B55xI8xI28xI")  # of the same: state, last_ack_recv, rtt and total_retrans
_BYTES = struct.Struct("=2Q")  # since Linux 4.1, behind two pacing rates
_BYTES_OFFSET = 120
_MIN_RTT = struct.Struct("=I")  # since Linux 4.6
_MIN_RTT_OFFSET = 148


class TcpInfo(NamedTuple):
    """One connection at one moment. Sizes are bytes of payload unless they say segments.

    Args:
        state: one of the states of include/net/tcp_states.h.
        retransmits: how often in a row the retransmission timer has gone off with no answer since.
        timestamps: whether both sides agreed on time stamps (RFC 7323): 12 bytes of every segment, off ``snd_mss``.
        snd_mss: largest segment that is sent now; falls when a path MTU is learnt.
        rcv_mss: estimate of the largest segment that the other side sends.
        unacked: segments sent and not acknowledged.
        lost: segments believed lost.
        retrans: segments sent again and not yet acknowledged.
        last_ack_recv: milliseconds since an acknowledgement came last, the SYN/ACK among them.
        pmtu: the path MTU that the kernel believes in, of whole IP packets.
        rtt: smoothed round-trip time in microseconds; right after the handshake it is that of SYN and SYN/ACK. 0 before
            the first measurement.
        rttvar: its mean deviation, in microseconds.
        advmss: largest segment that was offered to the other side; without time stamps, where they were agreed on.
        total_retrans: segments sent again since the beginning, the SYN among them.
        bytes_acked: acknowledged bytes, the SYN counted as one.
        bytes_received: received bytes.
        min_rtt: the smallest round trip, in microseconds.
    """

    state: int
    retransmits: int
    timestamps: bool
    snd_mss: int
    rcv_mss: int
    unacked: int
    lost: int
    retrans: int
    last_ack_recv: int
    pmtu: int
    rtt: int
    rttvar: int
    advmss: int
    total_retrans: int
    bytes_acked: int | None
    bytes_received: int | None
    min_rtt: int | None


class Handshake(NamedTuple):
    """What there is to know of a connection that has just come to stand, or not; fields as in :class:`TcpInfo`."""

    state: int
    last_ack_recv: int
    rtt: int
    total_retrans: int


def parse_handshake(data: bytes) -> Handshake:
    """Decode the few fields that each connect is asked for.

    Raises:
        FormatError: as :func:`parse`.
    """
    if len(data) < _BASE.size:
        raise FormatError(f"struct tcp_info of {len(data)} bytes; the oldest has {_BASE.size}")
    return Handshake._make(_HANDSHAKE.unpack_from(data))


def parse(data: bytes) -> TcpInfo:
    """Decode what ``getsockopt(IPPROTO_TCP, TCP_INFO)`` gave.

    Raises:
        FormatError: it is shorter than the oldest form, 104 bytes.
    """
    if len(data) < _BASE.size:
        raise FormatError(f"struct tcp_info of {len(data)} bytes; the oldest has {_BASE.size}")
    base = _BASE.unpack_from(data)
    acked, received = (
        _BYTES.unpack_from(data, _BYTES_OFFSET) if len(data) >= _BYTES_OFFSET + _BYTES.size else (None, None)
    )
    (min_rtt,) = (
        _MIN_RTT.unpack_from(data, _MIN_RTT_OFFSET) if len(data) >= _MIN_RTT_OFFSET + _MIN_RTT.size else (None,)
    )
    return TcpInfo(
        state=base[0],
        retransmits=base[2],
        timestamps=bool(base[5] & _TIMESTAMPS),
        snd_mss=base[10],
        rcv_mss=base[11],
        unacked=base[12],
        lost=base[14],
        retrans=base[15],
        last_ack_recv=base[20],
        pmtu=base[21],
        rtt=base[23],
        rttvar=base[24],
        advmss=base[27],
        total_retrans=base[31],
        bytes_acked=acked,
        bytes_received=received,
        min_rtt=min_rtt,
    )
