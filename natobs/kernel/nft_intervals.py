"""Elements of nftables sets of addresses with the flag ``interval``, as ranges: ``NFT_MSG_GETSETELEM``.

The kernel keeps the first address of each range, and the first behind it with
NFT_SET_ELEM_INTERVAL_END; a range that reaches the last address has no end
(net/netfilter/nft_set_rbtree.c). They come in no particular order. nft adds an
end without a range at the address zero. Source:
include/uapi/linux/netfilter/nf_tables.h (enum nft_set_elem_attributes). Needs
CAP_NET_ADMIN.
"""

import ipaddress
from dataclasses import dataclass
from itertools import zip_longest

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink
from natobs.kernel.nft_rules import NFGENMSG, NFTABLES, parse_comment

_NEWSETELEM = NFTABLES | 12
_LIST_ELEMENTS = 3
_ELEM_KEY, _ELEM_FLAGS, _ELEM_USERDATA = 1, 3, 6
_DATA_VALUE = 1
_INTERVAL_END = 1
_BYTES = {4, 16}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Interval:
    """A range of addresses, and the comment of its element or nothing."""

    first: Address
    last: Address
    comment: str

    def __str__(self) -> str:
        """As nft takes it in a list of elements."""
        addresses = str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
        # What nft cannot have written, because a string ends with a quotation mark, is left out.
        kept = self.comment.isprintable() and '"' not in self.comment and self.comment
        return f'{addresses} comment "{self.comment}"' if kept else addresses


def read(machine: Machine, wanted: Netlink) -> list[Interval]:
    """The ranges of a set, in ascending order.

    Args:
        machine: the machine to ask.
        wanted: what :func:`natobs.kernel.nft_sets.query` gave.

    Raises:
        UnavailableError: no such set, or no privilege.
        FormatError: the answer is not what the kernel documents.
    """
    return parse(machine.ask(wanted))


def parse(data: bytes) -> list[Interval]:
    """Decode ``NFT_MSG_NEWSETELEM`` of one set.

    Raises:
        FormatError: an element is truncated or has no address, or a range has no place.
    """
    starts: dict[bytes, str] = {}
    ends: set[bytes] = set()
    for body in netlink.messages(data, _NEWSETELEM):
        elements = netlink.attributes(body, NFGENMSG.size).get(_LIST_ELEMENTS, memoryview(b""))
        for _kind, element in netlink.attribute_list(elements):
            found = netlink.attributes(element)
            key = bytes(netlink.attributes(found.get(_ELEM_KEY, memoryview(b""))).get(_DATA_VALUE, b""))
            if len(key) not in _BYTES:
                raise FormatError(f"nftables: an address of {len(key)} bytes in an interval")
            if _ELEM_FLAGS in found and netlink.number(found[_ELEM_FLAGS], ">") & _INTERVAL_END:
                ends.add(key)
            else:
                starts[key] = parse_comment(found[_ELEM_USERDATA]) if _ELEM_USERDATA in found else ""
    if len({len(key) for key in {*starts, *ends}}) > 1:
        raise FormatError("nftables: addresses of both IP versions in one set")
    return _ranges(starts, ends)


def _ranges(starts: dict[bytes, str], ends: set[bytes]) -> list[Interval]:
    ranges = []
    edges = sorted({*starts, *ends})
    for edge, following in zip_longest(edges, edges[1:]):
        if edge in starts:
            first = ipaddress.ip_address(edge)
            last = type(first)(b"\xff" * len(edge)) if following is None else ipaddress.ip_address(following) - 1
            ranges.append(Interval(first, last, starts[edge]))
    return ranges
