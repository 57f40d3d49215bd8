"""A prober's question to the NAT's responder, and the answer: docs/decisions/0009 has the layout and the reasons.

Knows bytes; refuses to know sockets, and who may ask about what. A reply is
shorter than any request, and a request is at least as long as the payload of
the probe that it asks for, so that neither is an amplifier. Codes are never
given another meaning; only new ones are added.
"""

import struct
from dataclasses import dataclass
from enum import Enum
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from natobs.errors import FormatError

PORT = 9653
VERSION = 1
SHORTEST = 64
"""Bytes of a request without padding for its payload."""
LARGEST = 1472
"""Of a request, and so of a probe's payload: the UDP payload of an IPv4 packet of 1500 bytes."""
REPLY_SIZE = 32
LONGEST_MILLISECONDS = 900
"""A kernel sends a SYN again after one second (RFC 6298, section 2.1)."""

KINDS = ("icmp", "udp", "tcp")
REASONS = (
    "dns",
    "no_route",
    "unreachable",
    "refused",
    "reset",
    "timeout",
    "late",
    "tls",
    "status",
    "body",
    "address",
    "mtu",
    "no_local_port",
    "local",
)
"""Why a measurement failed; the code is the place, from 1. The order belongs to ``VERSION``, not to the catalogue."""
CLOCKS = ("kernel_txrx", "kernel_rx", "tcp_info", "userspace")
REFUSALS = ("target", "probe")
"""The target is not on the list; the probe is none that the responder can make."""
LOADS = ("rate", "in_flight")
"""The prober, or all of them, ask too much; or too much is being measured at this moment."""

_MAGIC = b"nObA"
_REQUEST_TYPE, _REPLY_TYPE = 1, 2
_REQUEST = struct.Struct(">4sBBBBQ16sHHHBB")
# magic, version, type, kind, flags, nonce, address, port, milliseconds, payload, DSCP, zero
_REPLY = struct.Struct(">4sBBBBQBBBB4sQ")
# magic, version, type, status, why, nonce, clock, SYNs sent again, ICMP type, ICMP code, zeros, nanoseconds
_MAPPED = bytes(10) + b"\xff\xff"
"""Before an IPv4 address: RFC 4291, section 2.5.5.2."""
_MOST_DSCP = 63
_MOST_BYTE = 255


class Status(Enum):
    """What became of a request."""

    MEASURED = 1
    FAILED = 2
    REFUSED = 3
    BUSY = 4


_WHYS: dict[Status, tuple[str, ...]] = {
    Status.MEASURED: (),
    Status.FAILED: REASONS,
    Status.REFUSED: REFUSALS,
    Status.BUSY: LOADS,
}


@dataclass(frozen=True, slots=True)
class Probe:
    """What is to be measured.

    Args:
        kind: one of ``KINDS``.
        host: numeric address.
        port: 0 for icmp, else 1 to 65535.
        milliseconds: time limit, 1 to 900.
        payload: bytes of the probe's payload; 0 is the kind's own, and all that tcp has.
        dscp: differentiated services code point.
    """

    kind: str
    host: str
    port: int
    milliseconds: int
    payload: int = 0
    dscp: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """A question.

    Args:
        nonce: 64 bits that nobody can guess.
        probe: what is asked for.
    """

    nonce: int
    probe: Probe


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    Args:
        nonce: of the request.
        status: what became of it.
        why: of ``REASONS``, ``REFUSALS`` or ``LOADS``, after the status; empty when measured.
        nanoseconds: the round trip; 0 where the target answered, but the time was not to be had.
        clock: of ``CLOCKS``, whose clock measured it; empty where none did.
        syn_retransmits: how often the SYN was sent again, at most 255.
        icmp: type and code of the ICMP error that ended the attempt; zeros for none.
    """

    nonce: int
    status: Status
    why: str = ""
    nanoseconds: int = 0
    clock: str = ""
    syn_retransmits: int = 0
    icmp: tuple[int, int] = (0, 0)


def encode_request(request: Request) -> bytes:
    """Make a request; it is as long as the protocol wants it."""
    probe = request.probe
    head = _REQUEST.pack(
        _MAGIC,
        VERSION,
        _REQUEST_TYPE,
        _code(KINDS, probe.kind),
        0,
        request.nonce,
        _packed(probe.host),
        probe.port,
        probe.milliseconds,
        probe.payload,
        probe.dscp,
        0,
    )
    return head.ljust(_length(probe.payload), b"\0")


def decode_request(data: bytes) -> Request:
    """Read a request.

    Raises:
        FormatError: it is none, or one of another version.
    """
    if not SHORTEST <= len(data) <= LARGEST:
        raise FormatError(f"request of {len(data)} bytes; there are {SHORTEST} to {LARGEST}")
    magic, version, kind_of, kind, flags, nonce, address, port, limit, payload, dscp, zero = _REQUEST.unpack_from(data)
    if (magic, version, kind_of) != (_MAGIC, VERSION, _REQUEST_TYPE):
        raise FormatError("not a request to a responder, or one of another version")
    name = _name(KINDS, kind)
    if flags or zero or len(data) != _length(payload) or any(data[_REQUEST.size :]):
        raise FormatError(f"request of {len(data)} bytes with flags {flags}, or with something where zeros are due")
    if not name or (port == 0) != (name == "icmp") or (payload and name == "tcp"):
        raise FormatError(f"request for kind {kind} with port {port} and {payload} bytes of payload")
    if not 1 <= limit <= LONGEST_MILLISECONDS or dscp > _MOST_DSCP:
        raise FormatError(f"request with a time limit of {limit} ms and DSCP {dscp}")
    return Request(nonce, Probe(name, _text(address), port, limit, payload, dscp))


def encode_reply(reply: Reply) -> bytes:
    """Make a reply, 32 bytes."""
    return _REPLY.pack(
        _MAGIC,
        VERSION,
        _REPLY_TYPE,
        reply.status.value,
        _code(_WHYS[reply.status], reply.why),
        reply.nonce,
        _code(CLOCKS, reply.clock),
        min(reply.syn_retransmits, _MOST_BYTE),
        *reply.icmp,
        bytes(4),
        reply.nanoseconds,
    )


def decode_reply(data: bytes) -> Reply:
    """Read a reply.

    Raises:
        FormatError: it is none, or one of another version.
    """
    if len(data) != REPLY_SIZE:
        raise FormatError(f"reply of {len(data)} bytes; there are only those of {REPLY_SIZE}")
    magic, version, kind_of, code, why, nonce, clock, resent, icmp_type, icmp_code, zeros, rtt = _REPLY.unpack(data)
    if (magic, version, kind_of) != (_MAGIC, VERSION, _REPLY_TYPE) or any(zeros):
        raise FormatError("not a reply of a responder, or one of another version")
    try:
        status = Status(code)
    except ValueError as error:
        raise FormatError(f"reply with status {code}") from error
    name, whose = _name(_WHYS[status], why), _name(CLOCKS, clock)
    if bool(name) == (status is Status.MEASURED) or (why and not name) or (clock and not whose):
        raise FormatError(f"reply with status {code}, reason {why} and clock {clock}")
    if rtt and (status is not Status.MEASURED or not whose):
        raise FormatError("reply with a round trip that nothing measured")
    return Reply(nonce, status, name, rtt, whose, resent, (icmp_type, icmp_code))


def _length(payload: int) -> int:
    return max(SHORTEST, payload)


def _code(names: tuple[str, ...], name: str) -> int:
    return names.index(name) + 1 if name else 0


def _name(names: tuple[str, ...], code: int) -> str:
    """The name of a code; empty for 0 and for one that is not known."""
    return names[code - 1] if 1 <= code <= len(names) else ""


def _packed(host: str) -> bytes:
    return inet_pton(AF_INET6, host) if ":" in host else _MAPPED + inet_pton(AF_INET, host)


def _text(address: bytes) -> str:
    if address.startswith(_MAPPED):
        return inet_ntop(AF_INET, address[len(_MAPPED) :])
    return inet_ntop(AF_INET6, address)
