"""Network devices: traffic, errors, drops, state and capacity, and the queues in front of them.

Reads the devices once and the queues once for a scrape. Qdiscs are here too,
because the kernel names their devices by index only. What drivers alone know is
the business of ``allowances``, rates that of ``peaks``.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from natobs.catalogue.metrics import network as metric
from natobs.catalogue.types import Sample
from natobs.collectors.base import NOTHING_HERE, Gap, Reading
from natobs.config import Link as LinkConfig
from natobs.errors import KernelError
from natobs.kernel import ethtool, link, qdisc
from natobs.kernel.machine import Machine
from natobs.kernel.wrapping import WideTotals

_COUNTERS = (
    (metric.RECEIVE_BYTES, "rx_bytes"),
    (metric.TRANSMIT_BYTES, "tx_bytes"),
    (metric.RECEIVE_PACKETS, "rx_packets"),
    (metric.TRANSMIT_PACKETS, "tx_packets"),
    (metric.RECEIVE_ERRORS, "rx_errors"),
    (metric.TRANSMIT_ERRORS, "tx_errors"),
    (metric.RECEIVE_DROPS, "rx_dropped"),
    (metric.TRANSMIT_DROPS, "tx_dropped"),
    (metric.RECEIVE_MISSED, "rx_missed"),
)
_SPEED_SECONDS = 60.0
"""How long a speed is believed while the carrier does not change: some drivers ask the hardware (``ena`` by an admin
command) while they hold the lock of all network configuration."""
_BOND = "bond"
"""The one virtual device whose speed is no invention: it sums up that of its active ports."""
_BITS = 8


@dataclass(frozen=True, slots=True)
class _Speed:
    bits_per_second: int | None
    gap: Gap | None
    carrier_changes: int | None
    until: float


class NetworkCollector:
    """Devices and queues; remembers speeds, and the 32-bit counters of the queues.

    Args:
        links: table ``links`` of the configuration, by device name.
        clock: seconds, monotonic.
    """

    name = "network"
    metrics = (
        *(row for row, _field in _COUNTERS),
        metric.CARRIER_CHANGES,
        metric.UP,
        metric.MTU,
        metric.SPEED,
        metric.CAPACITY,
        metric.LEFT_OUT,
        metric.QDISC_DROPS,
        metric.QDISC_BACKLOG,
    )

    def __init__(self, links: Mapping[str, LinkConfig], clock: Callable[[], float] = time.monotonic) -> None:
        self._links = links
        self._clock = clock
        self._speeds: dict[tuple[int, str], _Speed] = {}
        self._drops: WideTotals[tuple[str, str], tuple[int, int, str]] = WideTotals()

    def collect(self, machine: Machine) -> Reading:
        """Two netlink dumps, and now and then an ioctl for each network card."""
        reading = Reading()
        devices, left_out = link.foremost(link.read_links(machine))
        reading.add(metric.LEFT_OUT, left_out)
        for device in devices:
            _add_device(reading, device)
        self._add_speeds(reading, machine, devices)
        with reading.part():
            self._add_queues(reading, machine, devices)
        return reading

    def _add_speeds(self, reading: Reading, machine: Machine, devices: Sequence[link.Link]) -> None:
        now = self._clock()
        speeds: dict[tuple[int, str], _Speed] = {}
        for device in devices:
            speed = None
            if device.running and (device.hardware or device.kind == _BOND):
                key = device.index, device.name
                known = self._speeds.get(key)
                if known is None or known.carrier_changes != device.carrier_changes or now >= known.until:
                    known = _Speed(*_ask_speed(machine, device), device.carrier_changes, now + _SPEED_SECONDS)
                speeds[key] = known
                speed = known.bits_per_second
                if known.gap is not None:
                    reading.gaps.append(known.gap)
            if speed is not None:
                reading.add(metric.SPEED, speed / _BITS, device.name)
            granted = self._links.get(device.name)
            capacity = speed if granted is None else granted.capacity_bits_per_second
            if capacity is not None:
                reading.add(metric.CAPACITY, capacity / _BITS, device.name)
        self._speeds = speeds

    def _add_queues(self, reading: Reading, machine: Machine, devices: Sequence[link.Link]) -> None:
        names = {device.index: device.name for device in devices}
        queues = [queue for queue in qdisc.topmost(qdisc.read_qdiscs(machine)) if queue.device in names]
        backlogs: dict[tuple[str, str], int] = {}
        for queue in queues:
            series = names[queue.device], queue.kind
            backlogs[series] = backlogs.get(series, 0) + queue.backlog
        drops = self._drops.update(
            ((names[queue.device], queue.kind), (queue.device, queue.parent, queue.kind), queue.drops)
            for queue in queues
        )
        for series, total in drops.items():
            reading.add(metric.QDISC_DROPS, total, *series)
            reading.add(metric.QDISC_BACKLOG, backlogs[series], *series)


def _add_device(reading: Reading, device: link.Link) -> None:
    # Not through Metric.sample: the label has no domain, and there are a dozen series a device.
    labels = (device.name,)
    if device.traffic is not None:
        reading.samples += [Sample(row, labels, getattr(device.traffic, field)) for row, field in _COUNTERS]
    if device.carrier_changes is not None:
        reading.samples.append(Sample(metric.CARRIER_CHANGES, labels, device.carrier_changes))
    reading.samples.append(Sample(metric.UP, labels, int(device.running)))
    if device.mtu is not None:
        reading.samples.append(Sample(metric.MTU, labels, device.mtu))


def _ask_speed(machine: Machine, device: link.Link) -> tuple[int | None, Gap | None]:
    """The speed, and why there is none; a driver without a notion of speed is no gap, nor is a device just gone."""
    try:
        return ethtool.read_speed(machine, device.name), None
    except KernelError as error:
        return None, None if error.reason in NOTHING_HERE else Gap(error.reason, str(error))
