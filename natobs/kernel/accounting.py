"""What natobs' own nftables table has counted, and whether it is there.

Knows the names in :mod:`natobs.kernel.accounting_table` and how the kernel tells
their values: ``NFT_MSG_GETTABLE``, ``NFT_MSG_GETOBJ`` of one table and type
(net/netfilter/nf_tables_api.c, nf_tables_dump_obj), and the elements of sets.
Needs CAP_NET_ADMIN.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import accounting_table, netlink, nft_sets
from natobs.kernel.accounting_table import FAMILY, NAME, Settings
from natobs.kernel.machine import Machine, Netlink
from natobs.kernel.nft_rules import NFGENMSG, NFTABLES, parse_counter
from natobs.kernel.nftables import TABLES, parse_tables

_NEWRULE, _GETRULE, _NEWSET, _GETSET, _NEWOBJ, _GETOBJ = (NFTABLES | kind for kind in (6, 7, 9, 10, 18, 19))
_SET_NAME, _SET_DESCRIPTION = 2, 9
_DESCRIPTION_SIZE = 1
_OBJ_TABLE, _OBJ_NAME, _OBJ_TYPE, _OBJ_DATA = 1, 2, 3, 4
_OBJECT_COUNTER = 1

# Tables of rules, sets and objects alike have attribute 1 for the name of the table.
_OF_TABLE = NFGENMSG.pack(FAMILY, 0, 0) + netlink.attribute(_OBJ_TABLE, NAME.encode() + b"\0")
COUNTERS = Netlink(
    "nft-accounting",
    netlink.NETLINK_NETFILTER,
    _GETOBJ,
    _OF_TABLE + netlink.attribute(_OBJ_TYPE, _OBJECT_COUNTER.to_bytes(4, "big")),
)
RULES = Netlink("nft-accounting-rules", netlink.NETLINK_NETFILTER, _GETRULE, _OF_TABLE)
SETS = Netlink("nft-accounting-sets", netlink.NETLINK_NETFILTER, _GETSET, _OF_TABLE)
_SETS = {
    name: tuple(nft_sets.query(FAMILY, NAME, f"{name}{version}") for version in (4, 6))
    for name in ("attempts", "answers", "hosts")
}
"""Sets whose elements count, and the dumps of those of both IP versions."""
_IPV4_BYTES, _IPV6_BYTES = 4, 16
_PROTOCOL_AND_PORT_BYTES = 8
"""Each in four bytes, the number first."""


@dataclass(frozen=True, slots=True)
class TableMark:
    """A table that has the name of ours.

    Args:
        comment: by which it is known as ours, see :func:`natobs.kernel.accounting_table.mark`; empty without one.
        handle: which no other table ever had; 0 before Linux 4.16.
    """

    comment: str
    handle: int


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a flow goes: numeric address, protocol number, port."""

    address: str
    protocol: int
    port: int


Counter = tuple[int, int]
"""Packets and bytes."""


def read_table(machine: Machine) -> TableMark | None:
    """The table, if there is one of its name and family.

    Raises:
        UnavailableError: no nf_tables, or no privilege.
        FormatError: the answer is not what the kernel documents.
    """
    return parse_table(machine.ask(TABLES))


def parse_table(data: bytes) -> TableMark | None:
    """Decode ``NFT_MSG_NEWTABLE``; raises FormatError."""
    found = parse_tables(data).get((FAMILY, NAME))
    return None if found is None else TableMark(found.comment, found.handle or 0)


def read_counters(machine: Machine) -> dict[str, Counter]:
    """Every counter of the table by its name.

    Raises:
        UnavailableError: no such table, or no privilege.
        FormatError: the answer is not what the kernel documents.
    """
    return parse_counters(machine.ask(COUNTERS))


def parse_counters(data: bytes) -> dict[str, Counter]:
    """Decode ``NFT_MSG_NEWOBJ``; what is no counter of the table is passed over. Raises FormatError."""
    counters: dict[str, Counter] = {}
    for body in netlink.messages(data, _NEWOBJ):
        found = netlink.attributes(body, NFGENMSG.size)
        if not {_OBJ_TABLE, _OBJ_NAME, _OBJ_TYPE, _OBJ_DATA} <= found.keys():
            raise FormatError("nftables: an object without table, name, type or data")
        ours = netlink.text(found[_OBJ_TABLE]) == NAME and body[0] == FAMILY
        if ours and netlink.number(found[_OBJ_TYPE], ">") == _OBJECT_COUNTER:
            counters[netlink.text(found[_OBJ_NAME])] = parse_counter(found[_OBJ_DATA])
    return counters


def count_rules(machine: Machine) -> int:
    """How many rules the table has; raises as :func:`read_counters`."""
    return sum(1 for _rule in _of_table(machine.ask(RULES), _NEWRULE))


def is_whole(machine: Machine, settings: Settings) -> bool:
    """Whether all rules of our table are there, and once: it may have been flushed, or its text loaded a second time.

    Args:
        machine: where it is.
        settings: that it was made for.

    Raises:
        UnavailableError: no such table, or no privilege.
    """
    return count_rules(machine) == accounting_table.count_rules(settings)


def read_sizes(machine: Machine) -> dict[str, int]:
    """How many elements each set of the table may have, where it is bounded; raises as :func:`read_counters`."""
    return parse_sizes(machine.ask(SETS))


def parse_sizes(data: bytes) -> dict[str, int]:
    """Decode ``NFT_MSG_NEWSET``; raises FormatError."""
    sizes: dict[str, int] = {}
    for found in _of_table(data, _NEWSET):
        if not {_SET_NAME, _SET_DESCRIPTION} <= found.keys():
            continue
        size = netlink.attributes(found[_SET_DESCRIPTION]).get(_DESCRIPTION_SIZE)
        if size is not None:
            sizes[netlink.text(found[_SET_NAME])] = netlink.number(size, ">")
    return sizes


def _of_table(data: bytes, wanted: int) -> Iterator[netlink.Attributes]:
    for body in netlink.messages(data, wanted):
        found = netlink.attributes(body, NFGENMSG.size)
        if body[0] == FAMILY and _OBJ_TABLE in found and netlink.text(found[_OBJ_TABLE]) == NAME:
            yield found


def read_elements(machine: Machine, name: str) -> list[nft_sets.Element]:
    """The elements of the IPv4 and the IPv6 set of a name: ``attempts``, ``answers`` or ``hosts``.

    Raises:
        UnavailableError: no such table, or no privilege.
        FormatError: the answer is not what the kernel documents.
    """
    return [element for query in _SETS[name] for element in nft_sets.read(machine, query)]


def host_of(key: bytes) -> str:
    """The address that is the key of an element of ``hosts``, 4 or 16 bytes."""
    return socket.inet_ntop(socket.AF_INET if len(key) == _IPV4_BYTES else socket.AF_INET6, key)


def destination_of(key: bytes) -> Destination:
    """The destination that is the key of an element of ``attempts`` or ``answers``.

    Raises:
        FormatError: it has another length.
    """
    size = len(key) - _PROTOCOL_AND_PORT_BYTES
    if size not in {_IPV4_BYTES, _IPV6_BYTES}:
        raise FormatError(f"nftables: a destination of {len(key)} bytes")
    return Destination(host_of(key[:size]), key[size], int.from_bytes(key[size + 4 : size + 6], "big"))
