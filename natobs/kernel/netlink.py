"""Netlink messages as bytes: building requests, walking answers.

Knows the framing of struct nlmsghdr and struct nlattr (include/uapi/linux/netlink.h)
and nothing of any family. Every length is checked before it is used: bytes that
contradict themselves raise :class:`~natobs.errors.FormatError`, never anything
else, and a walk always moves forward.

A decoder of our own, because every scrape passes through it; ``docs/decisions``
has the figures.
"""

import struct
from collections.abc import Container, Iterator

from natobs.errors import FormatError

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x01
NLM_F_MULTI = 0x02
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP = 0x300

NLMSG_ERROR = 0x02
NLMSG_DONE = 0x03
NLMSG_OVERRUN = 0x04
NLMSG_MIN_TYPE = 0x10
"""Message types below this one are control messages of netlink itself."""

_HEADER = struct.Struct("=IHHII")  # length, type, flags, sequence, port id
_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TYPE_MASK = 0x3FFF
"""The two top bits of an attribute type are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER)."""

_NUMBERS = {
    (order, size): struct.Struct(order + code)
    for order in "=>"
    for size, code in zip((1, 2, 4, 8), "BHIQ", strict=True)
}

Attributes = dict[int, memoryview]


def request(message_type: int, flags: int, sequence: int, payload: bytes) -> bytes:
    """One request message, ready to be sent."""
    return _HEADER.pack(_HEADER.size + len(payload), message_type, flags | NLM_F_REQUEST, sequence, 0) + payload


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(payload), kind) + payload + bytes(-len(payload) % 4)


def headers(data: bytes | memoryview) -> Iterator[tuple[int, int, int, memoryview]]:
    """Every message of one or several datagrams, control messages included.

    Yields:
        Type, flags, sequence number and what follows the header.

    Raises:
        FormatError: a message is truncated.
    """
    view = memoryview(data)
    offset, end = 0, len(view)
    while offset < end:
        if end - offset < _HEADER.size:
            raise FormatError(f"netlink: {end - offset} bytes left over after the last message")
        length, kind, flags, sequence, _port = _HEADER.unpack_from(view, offset)
        if length < _HEADER.size or length > end - offset:
            raise FormatError(f"netlink: message of {length} bytes in {end - offset}")
        yield kind, flags, sequence, view[offset + _HEADER.size : offset + length]
        offset += (length + 3) & ~3


def messages(data: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    """The bodies of the messages of one type; every other type is passed over.

    Raises:
        FormatError: a message is truncated.
    """
    for kind, _flags, _sequence, body in headers(data):
        if kind == wanted:
            yield body


def attributes(view: memoryview, offset: int = 0) -> Attributes:
    """The attributes from an offset to the end, by type without flag bits; the last of a type wins.

    Raises:
        FormatError: an attribute is truncated, or the header before the attributes is.
    """
    found: Attributes = {}
    for kind, payload in attribute_list(view, offset):
        found[kind] = payload
    return found


def pick(view: memoryview, wanted: Container[int], offset: int = 0) -> Attributes:
    """Like :func:`attributes`, but only the wanted types, in half the time.

    Args:
        view: a message without its netlink header.
        wanted: attribute types.
        offset: where the attributes begin, a multiple of 2.

    Raises:
        FormatError: an attribute is truncated, or the header before the attributes is.
    """
    found: Attributes = {}
    end = len(view)
    if offset > end:
        raise FormatError(f"netlink: {end} bytes where a header of {offset} was expected")
    # As 16-bit words: indexing them takes a third of the time of Struct.unpack_from.
    words = view[: end & ~1].cast("H")
    while end - offset >= _ATTRIBUTE.size:
        length, kind = words[offset >> 1], words[(offset >> 1) + 1] & _TYPE_MASK
        if length < _ATTRIBUTE.size or length > end - offset:
            raise FormatError(f"netlink: attribute {kind} of {length} bytes in {end - offset}")
        if kind in wanted:
            found[kind] = view[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3
    return found


def attribute_list(view: memoryview, offset: int = 0) -> Iterator[tuple[int, memoryview]]:
    """Like :func:`attributes`, in order and with repetitions: for nested lists."""
    end = len(view)
    if offset > end:
        raise FormatError(f"netlink: {end} bytes where a header of {offset} was expected")
    while end - offset >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(view, offset)
        if length < _ATTRIBUTE.size or length > end - offset:
            raise FormatError(f"netlink: attribute {kind & _TYPE_MASK} of {length} bytes in {end - offset}")
        yield kind & _TYPE_MASK, view[offset + _ATTRIBUTE.size : offset + length]
        offset += (length + 3) & ~3


def number(view: memoryview, order: str = "=") -> int:
    """An unsigned integer of 1, 2, 4 or 8 bytes.

    Args:
        view: the payload of an attribute.
        order: ``=`` for the host's byte order (rtnetlink), ``>`` for the network's (nfnetlink).

    Raises:
        FormatError: the payload has another size.
    """
    layout = _NUMBERS.get((order, len(view)))
    if layout is None:
        raise FormatError(f"netlink: an integer of {len(view)} bytes")
    value: int = layout.unpack(view)[0]
    return value


def text(view: memoryview) -> str:
    """A NUL-terminated string; bytes that are no UTF-8 become replacement characters."""
    return bytes(view).split(b"\0", 1)[0].decode("utf-8", "replace")
