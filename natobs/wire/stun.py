"""STUN Binding requests and responses: RFC 8489, without authentication. Both directions.

Knows bytes; refuses to know sockets, retransmission and what an address means.
Requests of this module are padded with SOFTWARE attributes: every server knows
or ignores them, whereas the PADDING of RFC 5780 makes a server that does not
know it answer with error 420. At ``REQUEST_SIZE`` bytes no response of this
module is longer than its request.
"""

import struct
import zlib
from dataclasses import dataclass
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from natobs.errors import FormatError
from natobs.wire.token import STUN_COOKIE

PORT = 3478
HEADER_SIZE = 20
TRANSACTION_SIZE = 12

REQUEST_SIZE = 60
"""Bytes of a request unless more is asked for: 20 header, 32 SOFTWARE, 8 FINGERPRINT. The longest response has 52."""

LARGEST_REQUEST_SIZE = 65_504

_HEADER = struct.Struct(">HH4s12s")
_ATTRIBUTE = struct.Struct(">HH")
_REQUEST = 0x0001
_SUCCESS = 0x0101
_ERROR = 0x0111
_MAPPED_ADDRESS = 0x0001
_ERROR_CODE = 0x0009
_UNKNOWN_ATTRIBUTES = 0x000A
_XOR_MAPPED_ADDRESS = 0x0020
_SOFTWARE = 0x8022
_FINGERPRINT = 0x8028
_OPTIONAL = 0x8000
"""From here on an attribute may be ignored by who does not know it (section 14)."""
_KNOWN = frozenset({_MAPPED_ADDRESS, _ERROR_CODE, _UNKNOWN_ATTRIBUTES, _XOR_MAPPED_ADDRESS})
_MOST_UNKNOWN = 4
"""Names of unknown attributes that an error response lists: bounded, so that it stays shorter than its request."""

_FINGERPRINT_SIZE = 8
_FINGERPRINT_XOR = 0x5354554E
_CRC = struct.Struct(">HHI")

_FAMILIES = {1: (AF_INET, 4), 2: (AF_INET6, 16)}
_COOKIE_NUMBER = int.from_bytes(STUN_COOKIE, "big")
_SOFTWARE_TEXT = b"natobs"
_LONGEST_SOFTWARE = 124
"""Fewer than 128 characters (section 14.14); a multiple of four, so that no padding follows."""

UNKNOWN_ATTRIBUTE = 420


@dataclass(frozen=True, slots=True)
class Request:
    """A Binding request.

    Args:
        transaction: 12 bytes.
        size: bytes of the whole request.
        fingerprint: whether it carried one, which was right.
        unknown: types of attributes that must be understood and are not; the answer is then error 420.
    """

    transaction: bytes
    size: int
    fingerprint: bool = False
    unknown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Response:
    """A Binding response.

    Args:
        transaction: 12 bytes, those of the request.
        mapped: address and port that the server saw; None in an error response.
        error: code of an error response, else 0.
        phrase: its reason phrase.
    """

    transaction: bytes
    mapped: tuple[str, int] | None = None
    error: int = 0
    phrase: str = ""


def encode_request(transaction: bytes, size: int = REQUEST_SIZE) -> bytes:
    """Make a Binding request with FINGERPRINT, padded with SOFTWARE attributes.

    Args:
        transaction: 12 bytes, which the RFC wants random.
        size: bytes wanted; rounded up to a multiple of four, and to what the attributes need (at least 40).
    """
    size = min(LARGEST_REQUEST_SIZE, size + -size % 4)
    body = b""
    left = max(8, size - HEADER_SIZE - _FINGERPRINT_SIZE - _ATTRIBUTE.size)
    while left >= 0:  # 0: room for an attribute without text
        length = min(left, _LONGEST_SOFTWARE)
        body += _attribute(_SOFTWARE, _SOFTWARE_TEXT.ljust(length)[:length])
        left -= length + _ATTRIBUTE.size
    return _message(_REQUEST, transaction, body, fingerprint=True)


def decode_request(data: bytes) -> Request:
    """Read a Binding request.

    Raises:
        FormatError: it is anything else, its lengths do not add up, or its fingerprint is wrong.
    """
    transaction, found, fingerprint = _read(data, (_REQUEST,))[1:]
    unknown = tuple(kind for kind, _value in found if kind < _OPTIONAL and kind not in _KNOWN)
    return Request(transaction, len(data), fingerprint, unknown)


def encode_response(request: Request, address: str, port: int) -> bytes:
    """Make a success response: XOR-MAPPED-ADDRESS, and FINGERPRINT if the request had one.

    32 or 44 bytes, 8 more with FINGERPRINT. The caller decides whether that is too long an answer.

    Raises:
        FormatError: the address is no IP address.
    """
    kind, family = (2, AF_INET6) if ":" in address else (1, AF_INET)
    try:
        packed = inet_pton(family, address)
    except OSError as error:
        raise FormatError(f"{address!r} is no IP address") from error
    value = struct.pack(">xBH", kind, port ^ _COOKIE_NUMBER >> 16) + _xor(packed, STUN_COOKIE + request.transaction)
    return _message(
        _SUCCESS, request.transaction, _attribute(_XOR_MAPPED_ADDRESS, value), fingerprint=request.fingerprint
    )


def encode_unknown(request: Request) -> bytes:
    """Make error response 420, which names the request's unknown attributes; at most 48 bytes.

    FINGERPRINT follows if the request had one.
    """
    listed = request.unknown[:_MOST_UNKNOWN]
    body = _attribute(_ERROR_CODE, struct.pack(">HBB", 0, *divmod(UNKNOWN_ATTRIBUTE, 100)))
    body += _attribute(_UNKNOWN_ATTRIBUTES, struct.pack(f">{len(listed)}H", *listed))
    return _message(_ERROR, request.transaction, body, fingerprint=request.fingerprint)


def decode_response(data: bytes) -> Response:
    """Read a Binding response, success or error; a mapped address may be XOR-MAPPED or, of old servers, plain.

    Raises:
        FormatError: it is anything else, its lengths do not add up, its fingerprint is wrong, or no address is in it.
    """
    kind, transaction, attributes, _fingerprint = _read(data, (_SUCCESS, _ERROR))
    found: dict[int, bytes] = {}
    for name, value in attributes:
        found.setdefault(name, value)  # the first of several counts (section 14)
    if kind == _ERROR:
        code = found.get(_ERROR_CODE, b"")
        if len(code) < 4:  # noqa: PLR2004 - two reserved bytes, the class and the number (section 14.8)
            raise FormatError("STUN error response without an error code")
        return Response(transaction, None, (code[2] & 7) * 100 + code[3], code[4:].decode("utf-8", "replace"))
    if _XOR_MAPPED_ADDRESS in found:
        mapped = _address(found[_XOR_MAPPED_ADDRESS], STUN_COOKIE + transaction)
    elif _MAPPED_ADDRESS in found:
        mapped = _address(found[_MAPPED_ADDRESS], bytes(16))
    else:
        raise FormatError("STUN success response without a mapped address")
    return Response(transaction, mapped)


def _message(kind: int, transaction: bytes, body: bytes, *, fingerprint: bool) -> bytes:
    length = len(body) + (_FINGERPRINT_SIZE if fingerprint else 0)
    message = _HEADER.pack(kind, length, STUN_COOKIE, transaction) + body
    if fingerprint:
        message += _CRC.pack(_FINGERPRINT, 4, zlib.crc32(message) ^ _FINGERPRINT_XOR)
    return message


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)


def _read(data: bytes, kinds: tuple[int, ...]) -> tuple[int, bytes, list[tuple[int, bytes]], bool]:
    """Message type, transaction, attributes in order, and whether a fingerprint, which was right, ended them."""
    if len(data) < HEADER_SIZE:
        raise FormatError(f"STUN message of {len(data)} bytes; the shortest has {HEADER_SIZE}")
    kind, length, cookie, transaction = _HEADER.unpack_from(data)
    if kind not in kinds or cookie != STUN_COOKIE:
        raise FormatError(f"no STUN Binding message of the expected class: type {kind:#06x}, cookie {cookie.hex()}")
    if length % 4 or HEADER_SIZE + length != len(data):
        raise FormatError(f"STUN message of {len(data)} bytes that claims {HEADER_SIZE + length}")
    attributes: list[tuple[int, bytes]] = []
    place = HEADER_SIZE
    while place < len(data):
        if place + _ATTRIBUTE.size > len(data):
            raise FormatError(f"STUN attribute cut off at byte {place}")
        name, size = _ATTRIBUTE.unpack_from(data, place)
        start = place + _ATTRIBUTE.size
        if start + size > len(data):
            raise FormatError(f"STUN attribute {name:#06x} of {size} bytes reaches beyond the message")
        if name == _FINGERPRINT:
            return kind, transaction, attributes, _check_fingerprint(data, place)
        attributes.append((name, bytes(data[start : start + size])))
        place = start + size + -size % 4
    return kind, transaction, attributes, False


def _check_fingerprint(data: bytes, place: int) -> bool:
    if place + _FINGERPRINT_SIZE != len(data):
        raise FormatError("STUN fingerprint that is not the last attribute")
    _name, size, value = _CRC.unpack_from(data, place)
    if size != 4 or value != zlib.crc32(data[:place]) ^ _FINGERPRINT_XOR:  # noqa: PLR2004 - a CRC has 4 bytes
        raise FormatError("STUN message with a wrong fingerprint")
    return True


def _address(value: bytes, mask: bytes) -> tuple[str, int]:
    family, size = _FAMILIES.get(value[1] if len(value) > 1 else 0, (AF_INET, -1))
    if len(value) != 4 + size:
        raise FormatError(f"STUN mapped address of {len(value)} bytes")
    port = int.from_bytes(_xor(value[2:4], mask), "big")
    return inet_ntop(family, _xor(value[4:], mask)), port


def _xor(data: bytes, mask: bytes) -> bytes:
    size = len(data)
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask[:size], "big")).to_bytes(size, "big")
