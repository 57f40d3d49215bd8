"""Elements of nftables sets that count: ``NFT_MSG_GETSETELEM``.

Decodes what accounting needs of an element, its key and its counter, and passes
over all else (timeout, expiration, comment). Sources:
include/uapi/linux/netfilter/nf_tables.h (enum nft_set_elem_attributes),
net/netfilter/nf_tables_api.c (nf_tables_fill_setelem), nft_counter.c. Needs
CAP_NET_ADMIN.

A set of 16,384 elements is a megabyte and more at every scrape, and nearly all
of its elements are laid out alike. So the first element is walked attribute by
attribute, and what has the same layout behind it is taken apart as columns: each
byte of the layout is compared over the whole run by one slice, and the values
are unpacked at the stride of an element.
"""

import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink
from natobs.kernel.nft_rules import NFGENMSG, NFTABLES

_NEWSETELEM, _GETSETELEM = NFTABLES | 12, NFTABLES | 13
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEM_KEY, _ELEM_FLAGS, _ELEM_EXPR, _ELEM_EXPRESSIONS = 1, 3, 7, 11
_DATA_VALUE = 1
_EXPR_NAME, _EXPR_DATA = 1, 2
_COUNTER_BYTES, _COUNTER_PACKETS = 1, 2
_HEADER = struct.Struct("=HH")  # length, type
_NUMBER = struct.Struct(">Q")
_TYPE_MASK = 0x3FFF
_EMPTY = memoryview(b"")
_NOWHERE = slice(0, 0)


Element = tuple[bytes, int, int]
"""Key as the kernel keeps it (each part of a concatenation is padded to four bytes), bytes and packets that it counted.

A plain tuple, because a scrape makes thousands of them: a named one takes twice the time of the whole rest.
"""


class _Layout(NamedTuple):
    """Where things are in an element.

    Args:
        stride: from one element to the next, in bytes.
        values: unpacks key, bytes and packets out of a whole element.
        fixed: places and values of the bytes that are the same in every element of this layout.
    """

    stride: int
    values: struct.Struct
    fixed: tuple[tuple[int, bytes], ...]


def query(family: int, table: str, name: str) -> Netlink:
    """The dump of one set.

    Args:
        family: NFPROTO_* of its table.
        table: its table.
        name: its own name.
    """
    payload = (
        NFGENMSG.pack(family, 0, 0)
        + netlink.attribute(_LIST_TABLE, table.encode() + b"\0")
        + netlink.attribute(_LIST_SET, name.encode() + b"\0")
    )
    return Netlink(f"nft-set-{table}-{name}", netlink.NETLINK_NETFILTER, _GETSETELEM, payload)


def read(machine: Machine, wanted: Netlink) -> list[Element]:
    """The elements of a set, in the kernel's order.

    Args:
        machine: the machine to ask.
        wanted: what :func:`query` gave.

    Raises:
        UnavailableError: no such set, or no privilege.
        FormatError: the answer is not what the kernel documents.
    """
    return parse(machine.ask(wanted))


def parse(data: bytes) -> list[Element]:
    """Decode ``NFT_MSG_NEWSETELEM``: elements with a key and exactly one counter; others are left out.

    Raises:
        FormatError: a message or an attribute is truncated.
    """
    found: list[Element] = []
    layout: _Layout | None = None
    for body in netlink.messages(data, _NEWSETELEM):
        block = bytes(netlink.attributes(body, NFGENMSG.size).get(_LIST_ELEMENTS, _EMPTY))
        offset = 0
        while len(block) - offset >= _HEADER.size:
            run = _run(block, offset, layout) if layout is not None else 0
            if layout is not None and run:
                stretch = memoryview(block)[offset : offset + run * layout.stride]
                found += layout.values.iter_unpack(stretch)
                offset += len(stretch)
                continue
            walk = _Walk(block, offset)
            if walk.element is not None:
                found.append(walk.element)
                layout = walk.layout()
            offset += walk.stride
    return found


def _run(block: bytes, offset: int, layout: _Layout) -> int:
    """How many elements from an offset on have a layout."""
    count = (len(block) - offset) // layout.stride
    for place, value in layout.fixed:
        column = block[offset + place : offset + count * layout.stride : layout.stride]
        count -= len(column.lstrip(value))
    return count


class _Walk:
    """One element, attribute by attribute, with the places of its values and of the bytes that make its layout.

    Raises:
        FormatError: an attribute is truncated.
    """

    def __init__(self, block: bytes, offset: int) -> None:
        length = int.from_bytes(block[offset : offset + 2], sys.byteorder)
        if not _HEADER.size <= length <= len(block) - offset:
            raise FormatError(f"nftables: a set element of {length} bytes in {len(block) - offset}")
        self.stride = (length + 3) & ~3
        self._data = block[offset : offset + length]
        self._fixed: list[slice] = []
        self._key: slice | None = None
        self._counters: list[tuple[slice, slice]] = []
        for _kind, whole in self._attributes(slice(0, length)):
            for kind, value in self._attributes(whole):
                self._note(kind, value)

    @property
    def element(self) -> Element | None:
        """Its value; None without a key or with other than one counter."""
        if self._key is None or len(self._counters) != 1:
            return None
        octets, packets = (_NUMBER.unpack(self._data[where])[0] for where in self._counters[0])
        return self._data[self._key], octets, packets

    def layout(self) -> _Layout | None:
        """How it is laid out; None where key, bytes and packets do not follow one another in this order."""
        key, (octets, packets) = self._key, self._counters[0]
        if key is None or not key.stop <= octets.start < packets.start:
            return None
        values = struct.Struct(
            f">{key.start}x{key.stop - key.start}s{octets.start - key.stop}xQ"
            f"{packets.start - octets.stop}xQ{self.stride - packets.stop}x"
        )
        places = sorted({place for part in self._fixed for place in range(part.start, part.stop)})
        return _Layout(self.stride, values, tuple((place, self._data[place : place + 1]) for place in places))

    def _note(self, kind: int, value: slice) -> None:
        if kind == _ELEM_KEY:
            self._key = dict(self._attributes(value)).get(_DATA_VALUE)
        elif kind == _ELEM_EXPR:
            self._expression(value)
        elif kind == _ELEM_EXPRESSIONS:
            for _kind, expression in self._attributes(value):
                self._expression(expression)
        elif kind == _ELEM_FLAGS:
            self._fixed.append(value)

    def _expression(self, where: slice) -> None:
        parts = dict(self._attributes(where))
        name, data = parts.get(_EXPR_NAME), parts.get(_EXPR_DATA)
        if name is None or data is None:
            return
        self._fixed.append(name)
        if self._data[name] != b"counter\0":
            return
        values = dict(self._attributes(data))
        octets, packets = (values.get(kind, _NOWHERE) for kind in (_COUNTER_BYTES, _COUNTER_PACKETS))
        if not octets.stop - octets.start == packets.stop - packets.start == _NUMBER.size:
            raise FormatError("nftables: a counter of a set element without its two numbers")
        self._counters.append((octets, packets))

    def _attributes(self, where: slice) -> Iterator[tuple[int, slice]]:
        """The attributes of a nest: type, and where the value is."""
        offset = where.start
        while where.stop - offset >= _HEADER.size:
            length, kind = _HEADER.unpack_from(self._data, offset)
            if not _HEADER.size <= length <= where.stop - offset:
                raise FormatError(f"nftables: an attribute of {length} bytes in a set element")
            self._fixed.append(slice(offset, offset + _HEADER.size))
            yield kind & _TYPE_MASK, slice(offset + _HEADER.size, offset + length)
            offset += (length + 3) & ~3
