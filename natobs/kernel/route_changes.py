"""What links, addresses and default routes there are, and what changed: the memory behind rtnetlink's events.

Pure: takes events and dumps, counts differences. An event that says what is
known already counts nothing, so it does not matter whether an event or a dump
tells first. Refuses to know where they come from. Not safe for threads.
"""

from collections.abc import Mapping
from dataclasses import replace

from natobs.kernel.address import AF_INET, AF_INET6, Address
from natobs.kernel.device import MOST_DEVICES, Device
from natobs.kernel.route import RT_TABLE_LOCAL, Route
from natobs.kernel.route_events import AddressEvent, Event, LinkEvent, RouteEvent

OTHER = "other"
_MOST_REPLACED = 1024
"""Replaced routes whose present content is remembered, so that a repetition is told from a change."""


class RouteChanges:
    """Counts changes.

    Attributes:
        route_changes: by kind.
        address_changes: by name of the device.
        link_changes: by name of the device.
        devices: every device that was seen, by number.
        stale: a dump should be taken, because Linux may have changed something without an event.
        generation: rises whenever an event changes what a dump is compared with.
    """

    def __init__(self) -> None:
        kinds = ("default_added", "default_removed", "default_changed", "added", "removed", "changed")
        self.route_changes = dict.fromkeys(kinds, 0)
        self.address_changes: dict[str, int] = {}
        self.link_changes: dict[str, int] = {}
        self.devices: dict[int, Device] = {}
        self.stale = True
        self.generation = 0
        self._addresses: frozenset[Address] = frozenset()
        self._defaults: frozenset[Route] = frozenset()
        self._replaced: dict[tuple[object, ...], Route] = {}
        self._known = False

    def apply(self, event: Event) -> None:
        """Take an event; before the first dump there is nothing to compare it with, and it counts nothing."""
        if not self._known:
            return
        match event:
            case LinkEvent():
                self._link(event)
            case AddressEvent():
                self._address(event)
            case RouteEvent() if event.route.is_default:
                self._default(event)
            case RouteEvent():
                self._route(event)

    def doubt(self) -> None:
        """Something may have changed without an event: ask for a dump that begins after now."""
        self.stale = True
        self.generation += 1

    def compare(
        self, devices: dict[int, Device], addresses: frozenset[Address], tables: Mapping[int, frozenset[Route]]
    ) -> None:
        """Take a dump: the first is the base, later ones count what no event told.

        Args:
            devices: by number.
            addresses: of any scope.
            tables: family to its default routes; a family that could not be read stays as it was.
        """
        addresses = frozenset(address for address in addresses if address.beyond_link)
        unread = frozenset(route for route in self._defaults if route.family not in tables)
        defaults = unread.union(*tables.values())
        if self._known:
            self._compare_defaults(defaults)
            for index, before in self.devices.items():
                if before.usable != (index in devices and devices[index].usable):
                    self._count_link(before)
            for address in self._addresses ^ addresses:
                self._count_address(address, (devices | self.devices).get(address.device))
        self.devices, self._addresses, self._defaults = dict(devices), addresses, defaults
        for address in addresses:
            if address.device in devices:
                self._introduce(devices[address.device].name)
        self._known, self.stale = True, False

    def _link(self, event: LinkEvent) -> None:
        device = event.device
        before = self.devices.get(device.index)
        usable = device.usable and not event.removed
        if event.removed:
            self.devices.pop(device.index, None)
        else:
            self.devices[device.index] = device
        if (before is not None and before.usable) != usable:
            self._count_link(device)
        if before is None or (before.up, before.usable) != (device.up, usable) or event.removed:
            self.doubt()
        if event.removed or not device.up:
            self._flush(device.index)

    def _flush(self, index: int) -> None:
        """Linux forgets the IPv4 routes of a device that is switched off, and does not say so."""
        gone = frozenset(
            route
            for route in self._defaults
            if route.family == AF_INET and all(way.device == index for way in route.nexthops)
        )
        self._become(self._defaults - gone, "default_removed", len(gone))

    def _address(self, event: AddressEvent) -> None:
        address = event.address
        if not address.beyond_link or (address in self._addresses) != event.removed:
            return
        self._addresses = self._addresses ^ {address}
        self._count_address(address, self.devices.get(address.device))
        self.doubt()

    def _default(self, event: RouteEvent) -> None:
        route = event.route
        rivals = [old for old in self._defaults if _key(old) == _key(route)]
        if event.removed:
            if route in self._defaults:
                self._become(self._defaults - {route}, "default_removed")
                return
            for old in rivals:  # IPv6 tells of one way of several
                if route.nexthops < old.nexthops:
                    left = replace(old, nexthops=old.nexthops - route.nexthops)
                    self._become(self._defaults - {old} | {left}, "default_changed")
                    return
        elif route not in self._defaults:
            if event.replaced:
                superseded = rivals[:1]
            else:  # IPv6 tells of all ways when one is added
                superseded = [old for old in rivals if route.family == AF_INET6 and old.nexthops < route.nexthops]
            kind = "default_changed" if superseded else "default_added"
            self._become(self._defaults.difference(superseded) | {route}, kind)

    def _route(self, event: RouteEvent) -> None:
        route = event.route
        if route.cloned or route.table == RT_TABLE_LOCAL:
            return
        if route.prefix_length == 0:
            self.doubt()  # a blackhole, perhaps in place of a default route
        key = (route.table, route.destination, route.prefix_length, *_key(route))
        remembered = self._replaced.pop(key, None)
        if event.replaced:
            self._replaced[key] = route
            if len(self._replaced) > _MOST_REPLACED:
                del self._replaced[next(iter(self._replaced))]
            self.route_changes["changed"] += remembered != route
        else:
            self.route_changes["removed" if event.removed else "added"] += 1

    def _compare_defaults(self, defaults: frozenset[Route]) -> None:
        gone, come = list(self._defaults - defaults), list(defaults - self._defaults)
        for route in come:
            old = next((old for old in gone if _key(old) == _key(route)), None)
            if old is not None:
                gone.remove(old)
            self.route_changes["default_added" if old is None else "default_changed"] += 1
        self.route_changes["default_removed"] += len(gone)

    def _become(self, defaults: frozenset[Route], kind: str, times: int = 1) -> None:
        if times:
            self._defaults = defaults
            self.route_changes[kind] += times
            self.generation += 1

    def _count_address(self, address: Address, device: Device | None) -> None:
        name = OTHER if device is None else device.name
        self._introduce(name)
        self.address_changes[name if name in self.address_changes else OTHER] += 1

    def _introduce(self, name: str) -> None:
        """Give a device that has an address its series."""
        if name not in self.address_changes and len(self.address_changes) >= MOST_DEVICES:
            name = OTHER
        self.address_changes.setdefault(name, 0)
        self.link_changes.setdefault(name, 0)

    def _count_link(self, device: Device) -> None:
        """Count for a device that has, or had, an address; the ends of virtual links of containers have none."""
        if device.name in self.link_changes:
            self.link_changes[device.name] += 1
        elif OTHER in self.link_changes and any(address.device == device.index for address in self._addresses):
            self.link_changes[OTHER] += 1


def _key(route: Route) -> tuple[int, int, int]:
    """What two default routes may not share in IPv4, and what makes them one route with several ways in IPv6."""
    return route.family, route.metric, route.tos
