"""Which side of a NAT a device is on, told by prefixes and the default route. Pure.

Outside is the device of a default route. Inside is a device that leads to the
private prefixes: by an address in one, or by a route to (a part of) one. Behind a 1:1
cloud NAT the outside address is itself private, so an address or a connected
route says little about a device that also has the default route:

* it is *both* when a gateway on it leads to a private prefix, or when no other
  device leads to one (the usual one-armed NAT, where all private hosts are
  behind the router that the default route points to);
* it is *outside* when another device leads to a private prefix.

A bridge of containers with private addresses beside a one-armed NAT therefore
makes its only NIC *outside*, as long as ``nat.inside`` holds all of RFC 1918;
set to the prefixes of the private hosts, the answer is exact.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from natobs.kernel.address import Address, Prefixes
from natobs.kernel.device import Device
from natobs.kernel.route import Nexthop, Table


def outside_of(tables: Iterable[Table]) -> frozenset[int]:
    """The devices that default routes lead to."""
    return frozenset(way.device for table in tables for route in table.defaults for way in route.nexthops)


def roles(
    inside: Prefixes,
    devices: dict[int, Device],
    addresses: Iterable[Address],
    towards: AbstractSet[Nexthop],
    outside: AbstractSet[int],
) -> dict[int, str]:
    """Role by number of the device: ``outside``, ``inside`` or ``both``; a device of neither side is missing.

    Args:
        inside: the private prefixes.
        devices: by number; loopback is on no side.
        addresses: all there are.
        towards: ways of routes into the private prefixes.
        outside: devices of default routes.
    """
    leads = {way.device for way in towards}
    leads |= {
        address.device
        for address in addresses
        if address.beyond_link and inside.contain(address.family, address.address)
    }
    leads = {index for index in leads if index in devices and not devices[index].loopback}
    by_gateway = {way.device for way in towards if way.gateway}
    only = not leads - outside
    found = dict.fromkeys(leads - outside, "inside")
    for index in outside & devices.keys():
        found[index] = "both" if index in by_gateway or only else "outside"
    return found
