"""Default routes, the sides of the NAT, and changes of routes, addresses and links as they happen.

Events count what happens between two scrapes; a dump at every scrape, and half
a second after a link or an address changed, finds what Linux did not tell.
"""

import threading
from dataclasses import dataclass, field

from natobs.catalogue.metrics import routing as metric
from natobs.collectors.base import Gap, Reading
from natobs.config import Nat
from natobs.errors import KernelError
from natobs.kernel import address, device, route, route_events
from natobs.kernel.machine import FROM_NOW_ON, Machine, StreamName
from natobs.kernel.roles import outside_of, roles
from natobs.kernel.route_changes import RouteChanges

_FAMILIES = {"ipv4": address.AF_INET, "ipv6": address.AF_INET6}


@dataclass(slots=True)
class _Dump:
    """What could be read; None is what could not."""

    devices: dict[int, device.Device] | None = None
    addresses: frozenset[address.Address] | None = None
    tables: dict[int, route.Table] = field(default_factory=dict)


class RoutingCollector:
    """Listens to rtnetlink, and compares what it heard with dumps.

    Args:
        nat: whose prefixes tell inside from outside.
    """

    name = "routing"
    metrics = (
        metric.DEFAULT_ROUTE_PRESENT,
        metric.ROUTE_CHANGES,
        metric.ADDRESS_CHANGES,
        metric.LINK_CHANGES,
        metric.EVENTS_LOST,
        metric.DEVICE_ROLE,
    )
    stream = StreamName.ROUTE_EVENTS
    tick_seconds = 0.5

    def __init__(self, nat: Nat) -> None:
        self._inside = address.Prefixes(tuple(prefix.network for prefix in nat.inside))
        self._dumping = threading.Lock()
        self._lock = threading.Lock()
        self._state = RouteChanges()
        self._expected: set[int] = set()
        self._outside: frozenset[int] = frozenset()
        self._leads_inside: frozenset[int] = frozenset()
        self._lost = 0
        self._live = False
        self._trouble: Gap | None = Gap("absent", "rtnetlink events: nobody listens yet")

    def hear(self, message: bytes) -> None:
        """Take one datagram; see :meth:`natobs.collectors.base.Listening.hear`."""
        events = [] if message == FROM_NOW_ON else route_events.parse(message)
        with self._lock:
            if message == FROM_NOW_ON:
                self._live, self._trouble = True, None
                self._state.doubt()
            for event in events:
                self._state.apply(event)

    def miss(self, error: KernelError) -> None:
        """Count lost events; a dump will tell what they changed."""
        with self._lock:
            self._state.doubt()
            if error.reason in ("busy", "format"):
                self._lost += 1
            else:
                self._live, self._trouble = False, Gap(error.reason, str(error))

    def tick(self, machine: Machine) -> None:
        """Take a dump if one is due, which costs nothing as long as nothing changes."""
        if self._state.stale and self._live:
            self._dump(machine, Reading())

    def collect(self, machine: Machine) -> Reading:
        """A dump of addresses and of both main tables, and what has been counted."""
        reading = Reading()
        dump = self._dump(machine, reading)
        for name, family in _FAMILIES.items():
            table = dump.tables.get(family)
            if table is not None and (table.defaults or self._expects(family, dump)):
                self._expected.add(family)
                present = any(found.usable for found in table.defaults)
                reading.add(metric.DEFAULT_ROUTE_PRESENT, int(present), name)
        self._roles(dump, reading)
        with self._lock:
            if self._trouble is not None:
                reading.gaps.append(self._trouble)
            if self._live:
                self._changes(reading)
        return reading

    def _roles(self, dump: _Dump, reading: Reading) -> None:
        """An interface stays on its side while a fault takes away what tells it.

        Without any default route that is the outside of the last one; and an inside without carrier, whose addresses a
        network manager may remove.
        """
        if dump.devices is None or dump.addresses is None or address.AF_INET not in dump.tables:
            return  # without its default route the outside would pass for an inside
        self._outside = outside_of(dump.tables.values()) or self._outside
        towards = {way for table in dump.tables.values() for way in table.towards}
        for index in self._leads_inside & dump.devices.keys():
            if dump.devices[index].up and not dump.devices[index].usable:
                towards.add(route.Nexthop(index, b""))
        found = roles(self._inside, dump.devices, dump.addresses, towards, self._outside)
        self._leads_inside = frozenset(index for index, role in found.items() if role == "inside")
        for index, role in sorted(found.items())[: device.MOST_DEVICES]:
            reading.add(metric.DEVICE_ROLE, 1, dump.devices[index].name, role)

    def _changes(self, reading: Reading) -> None:
        for kind, count in self._state.route_changes.items():
            reading.add(metric.ROUTE_CHANGES, count, kind)
        for name, count in sorted(self._state.address_changes.items()):
            reading.add(metric.ADDRESS_CHANGES, count, name)
        for name, count in sorted(self._state.link_changes.items()):
            reading.add(metric.LINK_CHANGES, count, name)
        reading.add(metric.EVENTS_LOST, self._lost)

    def _expects(self, family: int, dump: _Dump) -> bool:
        """Once a family had a routable address it is expected for good: losing the address is no excuse."""
        return family in self._expected or any(
            found.family == family and found.expects_default for found in dump.addresses or ()
        )

    def _dump(self, machine: Machine, reading: Reading) -> _Dump:
        """Read everything, and compare it with what events told, unless one came in between."""
        with self._dumping:
            with self._lock:
                generation = self._state.generation
                known = None if self._state.stale or not self._live else dict(self._state.devices)
            dump = _Dump(devices=known)
            if known is None:
                with reading.part():
                    dump.devices = device.read(machine)
            with reading.part():
                dump.addresses = address.read(machine)
            for family in _FAMILIES.values():
                with reading.part():
                    dump.tables[family] = route.read(machine, family, self._inside)
            with self._lock:
                if self._state.generation != generation:
                    self._state.stale = True
                elif dump.devices is not None and dump.addresses is not None:
                    defaults = {family: table.defaults for family, table in dump.tables.items()}
                    self._state.compare(dump.devices, dump.addresses, defaults)
        return dump
