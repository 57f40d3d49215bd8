"""What rtnetlink tells by itself: links, addresses and routes that came, went or changed.

Source: net/core/rtnetlink.c (rtmsg_ifinfo), net/ipv4/fib_semantics.c
(rtmsg_fib), net/ipv6/route.c (inet6_rt_notify), net/ipv4/devinet.c and
net/ipv6/addrconf.c. Many messages repeat what is known already; telling those
apart takes a memory, which is not here. Linux does not tell of IPv4 routes that
it flushes because a link or an address went away (fib_flush).
"""

from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel import address, device, netlink, route

_NLM_F_REPLACE = 0x100


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """The present state of a device, or its last one when it was removed."""

    device: device.Device
    removed: bool


@dataclass(frozen=True, slots=True)
class AddressEvent:
    """An address that is there, or was removed."""

    address: address.Address
    removed: bool


@dataclass(frozen=True, slots=True)
class RouteEvent:
    """A route that was added (in place of another, if ``replaced``), or removed."""

    route: route.Route
    removed: bool
    replaced: bool


Event = LinkEvent | AddressEvent | RouteEvent


def parse(data: bytes) -> list[Event]:
    """Decode a datagram; messages of other types, and of families other than IPv4 and IPv6, are passed over.

    Raises:
        FormatError: a message is truncated; none of the datagram is returned.
    """
    events: list[Event] = []
    for kind, flags, _sequence, body in netlink.headers(data):
        if kind == netlink.NLMSG_OVERRUN:
            raise FormatError("rtnetlink: the kernel reports an overrun")
        found = _event(kind, flags, body)
        if found is not None:
            events.append(found)
    return events


def _event(kind: int, flags: int, body: memoryview) -> Event | None:
    match kind:
        case device.RTM_NEWLINK | device.RTM_DELLINK:
            link = device.parse_message(body)
            return None if link is None else LinkEvent(link, kind == device.RTM_DELLINK)
        case address.RTM_NEWADDR | address.RTM_DELADDR:
            found = address.parse_message(body)
            return None if found is None else AddressEvent(found, kind == address.RTM_DELADDR)
        case route.RTM_NEWROUTE | route.RTM_DELROUTE:
            way = route.parse_message(body)
            removed = kind == route.RTM_DELROUTE
            return None if way is None else RouteEvent(way, removed, not removed and bool(flags & _NLM_F_REPLACE))
        case _:
            return None
