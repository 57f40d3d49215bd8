"""The routes of the main table: default routes in full, and which devices lead to given prefixes.

Source: RTM_GETROUTE (net/ipv4/fib_semantics.c, fib_dump_info; net/ipv6/route.c,
rt6_fill_node), include/uapi/linux/rtnetlink.h. Other tables are not looked at:
what policy routing or a VRF does with packets is beyond this file, and so is a
pair of halves (0.0.0.0/1 and 128.0.0.0/1) that stands in for a default route.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.address import AF_INET, AF_INET6, BYTES_OF, Prefixes
from natobs.kernel.machine import Machine, Netlink

RTM_NEWROUTE = 24
RTM_DELROUTE = 25
_RTM_GETROUTE = 26
_RTMSG = struct.Struct("=BBBBBBBBI")
"""struct rtmsg: family, destination length, source length, TOS, table, protocol, scope, type, flags."""
_RTNEXTHOP = struct.Struct("=HBBi")  # length, flags, hops, device
_RTA_DST = 1
_RTA_OIF = 4
_RTA_GATEWAY = 5
_RTA_PRIORITY = 6
_RTA_MULTIPATH = 9
_RTA_TABLE = 15
_RTA_VIA = 18
_RTN_UNICAST = 1
_RTM_F_CLONED = 0x200
_RTNH_F_DEAD = 1
_RTNH_F_LINKDOWN = 16
_UNUSABLE = _RTNH_F_DEAD | _RTNH_F_LINKDOWN
_BYTE = 8
_SHORTEST = 4
"""Bits of the widest destination that still says something about where private prefixes are."""
RT_TABLE_MAIN = 254
RT_TABLE_LOCAL = 255


def _query(name: str, family: int) -> Netlink:
    # The table is named twice: before 4.20 the kernel ignores both and sends every table, so it is looked at again.
    header = _RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0)
    table = netlink.attribute(_RTA_TABLE, struct.pack("=I", RT_TABLE_MAIN))
    return Netlink(f"route-{name}", netlink.NETLINK_ROUTE, _RTM_GETROUTE, header + table)


ROUTES = {AF_INET: _query("ipv4", AF_INET), AF_INET6: _query("ipv6", AF_INET6)}
"""Family to the query for its main table."""


@dataclass(frozen=True, slots=True)
class Nexthop:
    """One way of a route: number of the device (0 where the kernel names none), and gateway (empty on the link)."""

    device: int
    gateway: bytes


@dataclass(frozen=True, slots=True)
class Route:
    """A route; equal to another when all but ``usable`` is.

    Args:
        family: AF_INET or AF_INET6.
        table: number of the table.
        destination: 4 or 16 bytes, empty for a default route.
        prefix_length: of the destination.
        tos: type of service that it is for, usually 0.
        metric: priority, the smaller the better.
        unicast: whether it forwards (and is no blackhole, unreachable, prohibit, local, ...).
        cloned: whether it is an entry of a cache rather than a route.
        nexthops: its ways.
        usable: whether at least one of them is neither dead nor without a carrier.
    """

    family: int
    table: int
    destination: bytes
    prefix_length: int
    tos: int
    metric: int
    unicast: bool
    cloned: bool
    nexthops: frozenset[Nexthop]
    usable: bool = field(compare=False)

    @property
    def forwards(self) -> bool:
        """Whether it is a route of the main table that leads somewhere."""
        return self.unicast and not self.cloned and self.table == RT_TABLE_MAIN

    @property
    def is_default(self) -> bool:
        """Whether it is such a route for all destinations."""
        return self.prefix_length == 0 and self.forwards


@dataclass(frozen=True, slots=True)
class Table:
    """What is worth knowing of a main table.

    Args:
        defaults: its default routes.
        towards: the ways of routes that lead to a part of the prefixes asked for; halves and quarters of the
            whole address space, which stand in for a default route, are not among them.
    """

    defaults: frozenset[Route]
    towards: frozenset[Nexthop]


def read(machine: Machine, family: int, prefixes: Prefixes) -> Table:
    """The main table of a family.

    Raises:
        UnavailableError: rtnetlink is not there, or the table is not (nothing was ever put into it).
        FormatError: the answer is not what the kernel documents.
    """
    return parse(machine.ask(ROUTES[family]), family, prefixes)


def parse(data: bytes, family: int, prefixes: Prefixes) -> Table:
    """Decode the answer to RTM_GETROUTE.

    A table of 10,000 routes is walked in about 15 ms: where the kernel writes
    its attributes in the usual order, most need not be taken apart.

    Raises:
        FormatError: a message is truncated.
    """
    defaults: set[Route] = set()
    towards: set[Nexthop] = set()
    seen: set[bytes] = set()
    size = BYTES_OF[family]
    # What the kernel writes first: the table, then the header of the destination.
    usual = netlink.attribute(_RTA_TABLE, struct.pack("=I", RT_TABLE_MAIN)) + struct.pack("=HH", 4 + size, _RTA_DST)
    begin = _RTMSG.size + len(usual)
    end = begin + size
    first_bytes = prefixes.first_bytes[family]
    for body in netlink.messages(data, RTM_NEWROUTE):
        tail = b""
        if len(body) >= end and body[1] and body[0] == family and body[_RTMSG.size : begin] == usual:
            if body[1] < _SHORTEST or (body[1] >= _BYTE and body[begin] not in first_bytes):
                continue
            tail = bytes(body[4 : _RTMSG.size]) + body[end:]
            if tail in seen or not prefixes.overlap(family, bytes(body[begin:end]), body[1]):
                continue
        route = parse_message(body)
        if route is None or route.family != family or not route.forwards:
            continue
        if route.is_default:
            defaults.add(route)
        elif route.prefix_length >= _SHORTEST and prefixes.overlap(family, route.destination, route.prefix_length):
            towards |= route.nexthops
            seen.add(tail)
    return Table(frozenset(defaults), frozenset(towards))


def parse_message(body: memoryview) -> Route | None:
    """Decode one RTM_NEWROUTE or RTM_DELROUTE; None for a family other than IPv4 and IPv6.

    Raises:
        FormatError: it is truncated, or its destination is none of its family.
    """
    found = netlink.attributes(body, _RTMSG.size)
    family, prefix_length, _source, tos, table, _protocol, _scope, kind, flags = _RTMSG.unpack_from(body)
    size = BYTES_OF.get(family)
    if size is None:
        return None
    destination = bytes(found.get(_RTA_DST, b""))
    if len(destination) not in (0, size) or prefix_length > 8 * size:
        raise FormatError(f"rtnetlink: a route whose destination is none of family {family}")
    multipath = found.get(_RTA_MULTIPATH)
    ways = [(flags, _nexthop(found))] if multipath is None else list(_multipath(multipath))
    return Route(
        family,
        netlink.number(found[_RTA_TABLE]) if _RTA_TABLE in found else table,
        destination.ljust(size, b"\0") if prefix_length else b"",
        prefix_length,
        tos,
        netlink.number(found[_RTA_PRIORITY]) if _RTA_PRIORITY in found else 0,
        kind == _RTN_UNICAST,
        bool(flags & _RTM_F_CLONED),
        frozenset(way for _flags, way in ways),
        any(not way_flags & _UNUSABLE for way_flags, _way in ways),
    )


def _nexthop(found: netlink.Attributes, device: int = 0) -> Nexthop:
    """A way from its attributes. A nexthop object in net.ipv4.nexthop_compat_mode=0 has neither device nor gateway."""
    if _RTA_OIF in found:
        device = netlink.number(found[_RTA_OIF])
    return Nexthop(device, bytes(found.get(_RTA_GATEWAY, found.get(_RTA_VIA, b""))))


def _multipath(view: memoryview) -> Iterator[tuple[int, Nexthop]]:
    """The ways of RTA_MULTIPATH: each a struct rtnexthop and its attributes, padded to four bytes."""
    offset, end = 0, len(view)
    while end - offset >= _RTNEXTHOP.size:
        length, flags, _hops, device = _RTNEXTHOP.unpack_from(view, offset)
        if length < _RTNEXTHOP.size or length > end - offset:
            raise FormatError(f"rtnetlink: nexthop of {length} bytes in {end - offset}")
        yield flags, _nexthop(netlink.attributes(view[offset : offset + length], _RTNEXTHOP.size), device)
        offset += (length + 3) & ~3
