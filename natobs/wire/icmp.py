"""ICMP and ICMPv6 echo: RFC 792 and RFC 4443, section 4. Both directions.

Knows bytes; refuses to know sockets, and who computes an ICMPv6 checksum (it
covers addresses: the kernel does).
"""

import struct
from typing import NamedTuple

from natobs.errors import FormatError

HEADER_SIZE = 8
_HEADER = struct.Struct(">BBHHH")  # type, code, checksum, identifier, sequence
_REQUEST = {4: 8, 6: 128}
_REPLY = {4: 0, 6: 129}
_IPV4_SIZE = 20


class Echo(NamedTuple):
    """An echo request or reply.

    Args:
        identifier: 16 bits; a NAT may change it.
        sequence: 16 bits.
        data: what follows the header.
    """

    identifier: int
    sequence: int
    data: bytes


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071); 0 over data that contain their own right one."""
    total = int.from_bytes(data if len(data) % 2 == 0 else data + b"\0", "big")
    # A sum of 16-bit words in ones' complement is the number modulo 65535, but 65535 unless all is zero.
    return 0xFFFF - (total % 0xFFFF or (0xFFFF if total else 0))


def encode_request(version: int, echo: Echo, *, summed: bool = True) -> bytes:
    """Make an echo request; its checksum is right for ICMP, and left to the kernel for ICMPv6.

    Args:
        version: 4 or 6.
        echo: what it carries; numbers are taken modulo 2^16.
        summed: whether there is a checksum; a ping socket writes its own.
    """
    return _encode(_REQUEST[version], echo, summed=summed and version == 4)  # noqa: PLR2004 - an IP version


def encode_reply(version: int, echo: Echo) -> bytes:
    """Make an echo reply, likewise."""
    return _encode(_REPLY[version], echo, summed=version == 4)  # noqa: PLR2004 - an IP version


def decode_reply(version: int, message: bytes, *, checked: bool = False) -> Echo:
    """Read an echo reply.

    Args:
        version: 4 or 6.
        message: from the ICMP header on.
        checked: whether the kernel has verified the checksum; it has for ping sockets, and always for ICMPv6.

    Raises:
        FormatError: it is something else, cut off, or damaged.
    """
    if len(message) < HEADER_SIZE:
        raise FormatError(f"ICMP message of {len(message)} bytes; the shortest has {HEADER_SIZE}")
    kind, code, _sum, identifier, sequence = _HEADER.unpack_from(message)
    if kind != _REPLY[version] or code:
        raise FormatError(f"ICMP message of type {kind} code {code}; no echo reply")
    if not checked and version == 4 and checksum(message):  # noqa: PLR2004 - an IP version
        raise FormatError("ICMP echo reply with a wrong checksum")
    return Echo(identifier, sequence, bytes(message[HEADER_SIZE:]))


def strip_ipv4(packet: bytes) -> bytes:
    """What follows the IPv4 header, with which a raw socket's packets begin.

    Raises:
        FormatError: there is no whole header.
    """
    length = (packet[0] & 0x0F) * 4 if packet else 0
    if length < _IPV4_SIZE or len(packet) < length:
        raise FormatError(f"IPv4 packet of {len(packet)} bytes with a header of {length}")
    return packet[length:]


def _encode(kind: int, echo: Echo, *, summed: bool) -> bytes:
    identifier, sequence = echo.identifier & 0xFFFF, echo.sequence & 0xFFFF
    message = _HEADER.pack(kind, 0, 0, identifier, sequence) + echo.data
    if summed:
        message = _HEADER.pack(kind, 0, checksum(message), identifier, sequence) + echo.data
    return message
