"""STAMP test packets, unauthenticated mode: RFC 8762, with padding as RFC 8972 wants it.

Both directions: what a sender sends and a reflector answers. A reply is as long
as its request (RFC 8762, section 4.3), so that a reflector amplifies nothing.
Knows bytes; refuses to know sockets and clocks. Times are integers: nanoseconds
since 1970-01-01 UTC.

Padding is one Extra Padding TLV (RFC 8972, section 4.1). Its value begins with
the token of :mod:`natobs.wire.token`. Reflectors that know TLVs send it back;
those that know none either echo the bytes or cut them off.
"""

import struct
from typing import NamedTuple

from natobs.errors import FormatError
from natobs.wire import token as tokens

PORT = 862
"""RFC 8762, section 4.1; the one of TWAMP (RFC 8545)."""

SIZE = 44
"""Bytes of a test packet without padding, in both directions."""

PADDED_SIZE = tokens.STAMP_OFFSET + tokens.SIZE
"""Bytes of the shortest request with a token."""

LARGEST_SIZE = 65_507
"""Largest payload of UDP over IPv4."""

_REQUEST = struct.Struct(">IQHH")  # sequence, timestamp, error estimate, SSID (RFC 8972, section 3); the rest is zero
_REPLY = struct.Struct(">IQHHQIQH2xB3x")
# sequence, timestamp (T3), error estimate, SSID, receive timestamp (T2), then the sender's sequence, timestamp, error
# estimate and TTL
_TIMESTAMP = struct.Struct(">Q")
_T3_OFFSET = 4
_REPLY_SECONDS = struct.Struct(">16xI8xI")
"""Seconds of a reply's T2, and of the time of the packet that it answers; a request has zeros there."""
_TLV = struct.Struct(">BBH")
_EXTRA_PADDING = 1
_UNRECOGNIZED = 0x80
"""The U flag (RFC 8972, section 4): a sender sets it, a reflector that knows the TLV clears it."""

_NTP_EPOCH = 2_208_988_800
"""Seconds from 1900 to 1970 (RFC 5905, figure 4)."""
_ERAS = 1 << 32
_SECOND = 1_000_000_000
_PTP = 0x4000
"""The Z bit of an error estimate: times are PTP's truncated format instead of NTP's (RFC 8186)."""
_MULTIPLIER = 0x00FF

ERROR_ESTIMATE = 0x0001
"""Not synchronised (S is 0), NTP format, multiplier 1: RFC 4656, section 4.1.2, forbids a multiplier of 0."""


class Request(NamedTuple):
    """A sender's test packet.

    Args:
        sequence: the sender's, 32 bits.
        timestamp: the sender's 64 bits, as they came.
        error_estimate: the sender's 16 bits, as they came.
        ssid: the sender's identifier of the session (RFC 8972, section 3); 0 where it sets none.
        extra: what follows the 44 bytes.
    """

    sequence: int
    timestamp: int
    error_estimate: int
    ssid: int
    extra: bytes

    @property
    def token(self) -> bytes | None:
        """The token in the padding, if there is one."""
        return _token(self.extra)


class Reply(NamedTuple):
    """A reflector's test packet.

    Args:
        sequence: the reflector's own; a stateless reflector repeats the sender's.
        received: T2 in nanoseconds.
        sent: T3 in nanoseconds.
        sender_sequence: copied from the request.
        sender_timestamp: 64 bits, copied from the request.
        ttl: TTL or hop limit with which the request arrived; 255 or 0 where the reflector does not know.
        extra: what follows the 44 bytes.
    """

    sequence: int
    received: int
    sent: int
    sender_sequence: int
    sender_timestamp: int
    ttl: int
    extra: bytes

    @property
    def residence(self) -> int:
        """Nanoseconds that the request spent in the reflector: T3 - T2. Negative after its clock was set back."""
        return self.sent - self.received

    @property
    def token(self) -> bytes | None:
        """The token in the padding, if the reflector sent it back."""
        return _token(self.extra)


def to_ntp(nanoseconds: int) -> int:
    """Nanoseconds since 1970 as 64 bits of NTP: seconds since 1900 modulo 2^32, and a binary fraction."""
    seconds, rest = divmod(nanoseconds, _SECOND)
    # rounded to nearest, so that a time survives the way there and back (2^-32 s is 0.23 ns)
    return ((seconds + _NTP_EPOCH) % _ERAS) << 32 | min(((rest << 32) + _SECOND // 2) // _SECOND, _ERAS - 1)


def from_ntp(bits: int) -> int:
    """64 bits of NTP as nanoseconds since 1970, taken to lie within 136 years after that."""
    seconds = ((bits >> 32) - _NTP_EPOCH) % _ERAS
    return seconds * _SECOND + (((bits & 0xFFFFFFFF) * _SECOND + (1 << 31)) >> 32)


def encode_request(sequence: int, timestamp: int, token: bytes = b"", size: int = SIZE) -> bytes:
    """Make a sender's test packet.

    Args:
        sequence: taken modulo 2^32.
        timestamp: of sending, in nanoseconds since 1970.
        token: 8 bytes for the padding, or none.
        size: bytes of the packet; at least 44, with a token at least 56. What is between is not possible: the
            header of the padding takes 4 bytes.
    """
    packet = _REQUEST.pack(sequence % _ERAS, to_ntp(timestamp), ERROR_ESTIMATE, 0).ljust(SIZE, b"\0")
    length = max(size, PADDED_SIZE if token else SIZE) - SIZE
    if length < _TLV.size:
        return packet
    header = _TLV.pack(_UNRECOGNIZED, _EXTRA_PADDING, length - _TLV.size)
    return packet + (header + token).ljust(length, b"\0")


def decode_request(data: bytes) -> Request:
    """Read a sender's test packet.

    Raises:
        FormatError: it is shorter than 44 bytes, or carries an error estimate that RFC 4656 forbids.
    """
    if len(data) < SIZE:
        raise FormatError(f"STAMP request of {len(data)} bytes; the shortest has {SIZE}")
    sequence, timestamp, error_estimate, ssid = _REQUEST.unpack_from(data)
    if not error_estimate & _MULTIPLIER:
        raise FormatError("STAMP request with an error estimate whose multiplier is 0")
    return Request(sequence, timestamp, error_estimate, ssid, bytes(data[SIZE:]))


def encode_reply(request: Request, received: int, sent: int, ttl: int = 0, sequence: int | None = None) -> bytes:
    """Make a reflector's test packet, exactly as long as the request.

    Args:
        request: what is answered.
        received: T2, when the request came, in nanoseconds since 1970.
        sent: T3, when the reply goes, likewise.
        ttl: TTL or hop limit of the request.
        sequence: the reflector's own; the sender's is repeated where it keeps none (stateless mode).
    """
    head = _REPLY.pack(
        request.sequence if sequence is None else sequence % _ERAS,
        to_ntp(sent),
        ERROR_ESTIMATE,
        request.ssid,
        to_ntp(received),
        request.sequence,
        request.timestamp,
        request.error_estimate,
        ttl,
    )
    return head + _recognised(request.extra)


def set_sent(reply: bytearray, sent: int) -> None:
    """Write T3 into a reply: the last thing before it goes.

    Args:
        reply: made by :func:`encode_reply`.
        sent: nanoseconds since 1970.
    """
    _TIMESTAMP.pack_into(reply, _T3_OFFSET, to_ntp(sent))


def holds_times_of_reply(data: bytes, now: int, window: int) -> bool:
    """Whether a packet of at least 44 bytes has, where a reply has times and a request zeros, one near to now.

    A reply that an echo server sent back has our T2 there. One that another reflector answered has there the time
    of the packet that it answers, which is our T3, whatever clock that reflector itself has.

    Args:
        data: the packet.
        now: in nanoseconds since 1970.
        window: seconds around now.
    """
    present = now // _SECOND + _NTP_EPOCH
    return any((seconds - present + window) % _ERAS <= 2 * window for seconds in _REPLY_SECONDS.unpack_from(data))


def decode_reply(data: bytes) -> Reply:
    """Read a reflector's test packet.

    Raises:
        FormatError: it is shorter than 44 bytes, or carries an error estimate that RFC 4656 forbids.
    """
    if len(data) < SIZE:
        raise FormatError(f"STAMP reply of {len(data)} bytes; the shortest has {SIZE}")
    sequence, sent, estimate, _ssid, received, sender_sequence, sender_timestamp, _estimate, ttl = _REPLY.unpack_from(
        data
    )
    if not estimate & _MULTIPLIER:
        raise FormatError("STAMP reply with an error estimate whose multiplier is 0")
    read = _from_ptp if estimate & _PTP else from_ntp
    return Reply(sequence, read(received), read(sent), sender_sequence, sender_timestamp, ttl, bytes(data[SIZE:]))


def _from_ptp(bits: int) -> int:
    return (bits >> 32) * _SECOND + (bits & 0xFFFFFFFF)


def _token(extra: bytes) -> bytes | None:
    start = tokens.STAMP_OFFSET - SIZE
    token = extra[start : start + tokens.SIZE]
    return token if len(token) == tokens.SIZE and token.startswith(tokens.MAGIC) else None


def _recognised(extra: bytes) -> bytes:
    """The TLVs of a request as the reply has them: Extra Padding marked as recognised, all others as they were."""
    if len(extra) < _TLV.size:
        return extra
    answer = bytearray(extra)
    place = 0
    while place + _TLV.size <= len(answer):
        flags, kind, length = _TLV.unpack_from(answer, place)
        if flags & ~_UNRECOGNIZED or kind == 0:
            break  # no TLV: padding of a sender that knows none
        if kind == _EXTRA_PADDING:
            answer[place] = 0
        place += _TLV.size + length
    return bytes(answer)
