"""The shape of a message: where in it the fields of a flow stand. Found once, then used for every message like it.

Knows the attributes of an entry of the connection tracking table as
net/netfilter/nf_conntrack_netlink.c (ctnetlink_fill_info) writes them, in
whatever order and nesting, and the record that they are copied to. Two messages
of one length whose attribute headers are equal, and stand at equal places, hold
the same fields at the same places: that is a shape. Refuses to know values.

Loads numpy: nothing that the agent imports when it starts may import this.
"""

import struct
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from natobs.errors import FormatError

AF_INET, AF_INET6 = 2, 10

_ADDRESSES = ("src", "dst", "reply_src", "reply_dst")
_COUNTERS = ("orig_packets", "orig_bytes", "reply_packets", "reply_bytes", "start", "stop")

LAYOUT: dict[str, str] = {
    **{f"{name}_{half}": ">u8" for name in _ADDRESSES for half in ("hi", "lo")},
    **dict.fromkeys(("sport", "dport", "reply_sport", "reply_dport"), ">u2"),
    "proto": "u1",
    "tcp_state": "u1",
    "status": ">u4",
    "mark": ">u4",
    "family": "u1",
    "has": "u4",
    **dict.fromkeys(("timeout", "id"), ">u4"),
    **dict.fromkeys(_COUNTERS, ">u8"),
    **dict.fromkeys(("icmp_type", "icmp_code", "sctp_state", "dccp_state"), "u1"),
    "zone": ">u2",
}
"""Field to type. Fields stand in words of their own, as attributes do, so that a message is copied word by word; those
that are used most come first, because a record is three cache lines."""

_SIZE = {name: np.dtype(kind).itemsize for name, kind in LAYOUT.items()}
_WORDS = {name: max(1, size // 4) for name, size in _SIZE.items()}
_PLACE = {name: sum(list(_WORDS.values())[:number]) for number, name in enumerate(LAYOUT)}
WORDS = sum(_WORDS.values()) + sum(_WORDS.values()) % 2
"""Words of one record: 46."""

RECORD = np.dtype(
    {
        "names": list(LAYOUT),
        "formats": list(LAYOUT.values()),
        "offsets": [4 * place for place in _PLACE.values()],
        "itemsize": 4 * WORDS,
    }
)
"""A flow. Addresses are two halves of 64 bits, IPv4 as ::ffff:a.b.c.d; see :mod:`natobs.kernel.flow_decode`."""

OPTIONAL = (
    *("sport", "dport", "reply_sport", "reply_dport", "icmp_type", "icmp_code", "zone", "status", "timeout", "mark"),
    *("id", "tcp_state", "sctp_state", "dccp_state", *_COUNTERS),
)
HAS = {name: 1 << bit for bit, name in enumerate(OPTIONAL)}
"""Bit of ``has`` that says that the kernel sent the field; without it the field is zero and means nothing."""

_Tree = dict[int, "str | _Tree"]


def _tuple(way: str, proto: str, identifier: str, more: _Tree) -> _Tree:
    """The attributes of one direction (enum ctattr_tuple, ctattr_ip, ctattr_l4proto)."""
    addresses: _Tree = {1: f"{way}src/4", 2: f"{way}dst/4", 3: f"{way}src/6", 4: f"{way}dst/6"}
    return {
        1: addresses,
        2: {1: proto, 2: f"{way}sport", 3: f"{way}dport", 4: f"{way}{identifier}", 7: f"{way}{identifier}", **more},
    }


_ICMP: _Tree = {5: "icmp_type", 6: "icmp_code", 8: "icmp_type", 9: "icmp_code"}

_TREE: _Tree = {
    1: {**_tuple("", "proto", "sport", _ICMP), 3: "zone"},
    2: _tuple("reply_", "", "dport", {}),
    3: "status",
    4: {1: {1: "tcp_state"}, 2: {1: "dccp_state"}, 3: {1: "sctp_state"}},
    7: "timeout",
    8: "mark",
    9: {1: "orig_packets", 2: "orig_bytes"},
    10: {1: "reply_packets", 2: "reply_bytes"},
    12: "id",
    18: "zone",
    20: {1: "start", 2: "stop"},
}
"""enum ctattr_type of include/uapi/linux/netfilter/nfnetlink_conntrack.h and those nested in it."""

_ATTRIBUTE = struct.Struct("=HH")  # length, type
_TYPE_MASK = 0x3FFF
_FIRST = 20  # struct nlmsghdr, struct nfgenmsg
_MAPPED = (0, 0, int.from_bytes(b"\0\0\xff\xff", "little" if np.little_endian else "big"), 0)
_VERSION_BYTES = {"4": 4, "6": 16}
_FAMILY = {"4": AF_INET, "6": AF_INET6}


@dataclass(frozen=True, slots=True)
class Shape:
    """Where to look and what to copy.

    Args:
        headers: places of attribute headers in the message, in words.
        expected: what stands there.
        sources: places of values in the message, in words.
        targets: places in the record that they go to.
        blank: the record before anything is copied to it: family, ``has`` and the fixed part of IPv4 addresses.
    """

    headers: NDArray[np.int64]
    expected: NDArray[np.uint32]
    sources: NDArray[np.int64]
    targets: NDArray[np.int64]
    blank: NDArray[np.uint32]


@dataclass(slots=True)
class _Survey:
    """What one walk found: headers by place, values by field."""

    message: bytes
    headers: list[int] = field(default_factory=list)
    values: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def walk(self, start: int, end: int, tree: _Tree) -> None:
        """Every attribute from here to there, and those inside the ones that are known to hold others."""
        while end - start >= _ATTRIBUTE.size:
            length, kind = _ATTRIBUTE.unpack_from(self.message, start)
            if length < _ATTRIBUTE.size or length > end - start:
                raise FormatError(f"conntrack: attribute {kind & _TYPE_MASK} of {length} bytes in {end - start}")
            self.headers.append(start // 4)
            below = tree.get(kind & _TYPE_MASK)
            value = start + _ATTRIBUTE.size
            if isinstance(below, dict):
                self.walk(value, start + length, below)
            elif below:
                self.note(below, value, length - _ATTRIBUTE.size)
            start += (length + 3) & ~3

    def note(self, name: str, start: int, size: int) -> None:
        """One value; of two with the same name the last counts, as in the kernel's nla_parse."""
        name, _, version = name.partition("/")
        wanted = _VERSION_BYTES[version] if version else _SIZE[name]
        if size != wanted:
            raise FormatError(f"conntrack: {name} of {size} bytes, not {wanted}")
        if version and self.versions.setdefault(name, version) != version:
            raise FormatError(f"conntrack: {name} is both IPv4 and IPv6")
        self.values[name] = start // 4


def survey(message: bytes) -> Shape:
    """Find the shape of a message, attribute by attribute.

    Args:
        message: one whole message, header included.

    Raises:
        FormatError: an attribute is truncated or of the wrong size, or an address or the protocol is missing.
    """
    found = _Survey(message)
    found.walk(_FIRST, len(message), _TREE)
    missing = [name for name in (*_ADDRESSES, "proto") if name not in found.values]
    if missing:
        raise FormatError(f"conntrack: an entry without {', '.join(missing)}")
    versions = set(found.versions.values())
    if len(versions) != 1:
        raise FormatError("conntrack: an entry with addresses of both IPv4 and IPv6")
    (version,) = versions
    blank = np.zeros(WORDS, np.uint32)
    record = blank.view(RECORD)
    record["family"] = _FAMILY[version]
    record["has"] = sum(HAS[name] for name in found.values if name in HAS)
    sources: list[int] = []
    targets: list[int] = []
    for name, value in found.values.items():
        place, count = (_PLACE[f"{name}_hi"], 4) if name in _ADDRESSES else (_PLACE[name], _WORDS[name])
        if name in _ADDRESSES and version == "4":
            blank[place : place + 4] = _MAPPED
            place, count = place + 3, 1
        sources += range(value, value + count)
        targets += range(place, place + count)
    # A message that ends in the middle of a word is read up to the word's end.
    words = np.frombuffer(message + bytes(-len(message) % 4), np.uint32)
    headers = np.array(found.headers, np.int64)
    return Shape(headers, words[headers], np.array(sources, np.int64), np.array(targets, np.int64), blank)
