"""What the drivers of cloud network cards count: allowances of the instance exceeded, and drops by reason.

A device is asked for its driver's name first; only drivers whose statistics are
known are asked for those. What was found out holds for a minute, so that other
devices cost next to nothing; a card that is plugged in shows up within that.
"""

import time
from collections.abc import Callable

from natobs.catalogue.metrics import nic as metric
from natobs.collectors.base import NOTHING_HERE, Reading
from natobs.errors import KernelError, UnavailableError
from natobs.kernel import ethtool, link, nic
from natobs.kernel.machine import Machine

_KNOWN_SECONDS = 60.0


class AllowancesCollector:
    """Statistics of known drivers; remembers which devices have them, and where, and the sums over their queues.

    Args:
        clock: seconds, monotonic.
    """

    name = "allowances"
    metrics = (metric.ALLOWANCE_EXCEEDED, metric.CONNTRACK_AVAILABLE, metric.DRIVER_DROPS)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._devices: dict[str, nic.Places] = {}
        self._until: float | None = None
        self._packets: dict[tuple[str, str, str], tuple[int, int]] = {}

    def collect(self, machine: Machine) -> Reading:
        """Two ioctls for each device with a known driver; once a minute a netlink dump and a look at all devices.

        Raises:
            KernelError: the devices could not be listed, or none has a driver that is known here.
        """
        reading = Reading()
        now = self._clock()
        if self._until is None or now >= self._until:
            self._find_devices(reading, machine, now)
        for device in tuple(self._devices):
            with reading.part():
                counters = self._read(machine, device)
                if counters is not None:
                    self._add(reading, device, counters)
        if not self._devices and not reading.gaps:
            known = ", ".join(nic.DRIVERS)
            raise UnavailableError("absent", f"no network device has a driver whose drops are known here ({known})")
        return reading

    def _read(self, machine: Machine, device: str) -> nic.Counters | None:
        """A device's counters, None when it is gone. After any surprise the next run looks at all devices again."""
        places = self._devices[device]
        try:
            values = ethtool.read_values(machine, device)
            if len(values) == places.count:
                return nic.decode(places, values)
            # Queues came or went since the names were read.
            self._until = None
            found = nic.find(ethtool.read_driver(machine, device), ethtool.read_names(machine, device))
            return None if found is None else nic.decode(found, values)
        except KernelError as error:
            self._until = None
            if error.reason in NOTHING_HERE:
                return None
            raise

    def _find_devices(self, reading: Reading, machine: Machine, now: float) -> None:
        self._devices = {}
        self._until = None
        for device in link.foremost(link.read_links(machine))[0]:
            with reading.part():
                places = _look(machine, device.name)
                if places is not None:
                    self._devices[device.name] = places
        if not reading.gaps:
            self._until = now + _KNOWN_SECONDS
            self._packets = {key: known for key, known in self._packets.items() if key[0] in self._devices}

    def _add(self, reading: Reading, device: str, counters: nic.Counters) -> None:
        for row, sums in ((metric.ALLOWANCE_EXCEEDED, counters.exceeded), (metric.DRIVER_DROPS, counters.drops)):
            for word, packets in sums.items():
                key = device, row.name, word
                before, total = self._packets.get(key, (0, 0))
                # A sum over queues falls when a queue goes away or the driver starts again; nothing is added then.
                total += max(0, packets - before)
                self._packets[key] = packets, total
                reading.add(row, total, device, word)
        if "conntrack" in counters.available:
            reading.add(metric.CONNTRACK_AVAILABLE, counters.available["conntrack"], device)


def _look(machine: Machine, device: str) -> nic.Places | None:
    """Where a device's statistics are; None when it has none of interest, or is gone.

    Raises:
        KernelError: it could not be found out.
    """
    try:
        driver = ethtool.read_driver(machine, device)
        return nic.find(driver, ethtool.read_names(machine, device)) if driver in nic.DRIVERS else None
    except UnavailableError as error:
        if error.reason in NOTHING_HERE:
            return None
        raise
