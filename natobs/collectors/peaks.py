"""Peaks of traffic inside the scrape interval: the highest rate in a trailing minute, per device and direction.

A sampler reads the kernel's counters once a second and keeps the rate of each
interval for 60 seconds; what a scrape sees is the largest of them, whoever
scrapes and however often. Knows nothing of capacities.
"""

import threading
import time
from collections import deque
from collections.abc import Callable

from natobs.catalogue.metrics import network as metric
from natobs.collectors.base import NOTHING_HERE, Gap, Reading
from natobs.errors import KernelError, UnavailableError
from natobs.kernel import link
from natobs.kernel.machine import Machine

WINDOW_SECONDS = 60.0
_SHORTEST_SECONDS = 0.5
"""A sample that comes sooner after another is passed over: few packets over no time make a high rate of nothing."""
_NAMES_SECONDS = 10.0
"""How often the sampler looks which devices there are, unless it sees that one is gone."""

Rates = tuple[float, float, float, float]
_SERIES = (
    (metric.PEAK_BYTES, "receive"),
    (metric.PEAK_BYTES, "transmit"),
    (metric.PEAK_PACKETS, "receive"),
    (metric.PEAK_PACKETS, "transmit"),
)
"""What the places of :data:`Rates` are; :func:`_counters` gives the counters in the same order."""


class Peak:
    """The largest rates of one device in a trailing window: a ring of at most one entry for each half second.

    Args:
        window: seconds after which an interval no longer counts.
    """

    def __init__(self, window: float = WINDOW_SECONDS) -> None:
        self._window = window
        self._last: tuple[float, tuple[int, ...]] | None = None
        self._ends: deque[float] = deque()
        self._rates: tuple[deque[float], ...] = ()

    def add(self, when: float, counters: tuple[int, ...]) -> None:
        """Take a sample of counters at a time on a monotonic clock.

        A counter that fell was reset: what was counted in that interval is not
        known, and the next interval begins here.
        """
        if self._last is not None:
            then, before = self._last
            seconds = when - then
            if seconds < _SHORTEST_SECONDS:
                return
            if all(now >= old for now, old in zip(counters, before, strict=True)):
                self._rates = self._rates or tuple(deque() for _counter in counters)
                self._ends.append(when)
                for rates, now, old in zip(self._rates, counters, before, strict=True):
                    rates.append((now - old) / seconds)
        self._last = when, counters
        self._forget(when)

    def largest(self, when: float) -> tuple[float, ...] | None:
        """The largest rate of each counter in the intervals that ended within the window; None when there is none."""
        self._forget(when)
        return tuple(max(rates) for rates in self._rates) if self._ends else None

    def _forget(self, when: float) -> None:
        while self._ends and self._ends[0] <= when - self._window:
            self._ends.popleft()
            for rates in self._rates:
                rates.popleft()


class PeaksCollector:
    """Samples on the background thread, and tells the peaks on any other.

    Args:
        tick_seconds: how often counters are sampled; at least 1.
        clock: seconds, monotonic.
    """

    name = "peaks"
    metrics = (metric.PEAK_BYTES, metric.PEAK_PACKETS)

    def __init__(self, tick_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._tick_seconds = max(1.0, tick_seconds)
        self._clock = clock
        self._lock = threading.Lock()
        self._peaks: dict[tuple[int, str], Peak] = {}
        self._trouble: KernelError | None = None
        self._names: dict[int, str] = {}
        self._names_until = 0.0
        self._cheap = True  # until the kernel says that it has no RTM_GETSTATS

    @property
    def tick_seconds(self) -> float:
        """How often counters are sampled."""
        return self._tick_seconds

    def tick(self, machine: Machine) -> None:
        """One netlink dump; see :meth:`natobs.collectors.base.Ticking.tick`."""
        try:
            when, counters = self._sample(machine)
        except KernelError as error:
            with self._lock:
                self._trouble = error
            raise
        with self._lock:
            self._trouble = None
            peaks: dict[tuple[int, str], Peak] = {}
            for index, traffic in counters.items():
                key = index, self._names[index]
                peaks[key] = self._peaks.get(key) or Peak()
                peaks[key].add(when, _counters(traffic))
            self._peaks = peaks

    def collect(self, machine: Machine) -> Reading:
        """Asks nothing: what the sampler has seen so far.

        Raises:
            UnavailableError: there are no two samples yet.
        """
        reading = Reading()
        when = self._clock()
        with self._lock:
            found = [(name, peak.largest(when)) for (_index, name), peak in self._peaks.items()]
            trouble = self._trouble
        for device, rates in found:
            for (row, direction), rate in zip(_SERIES, rates or (), strict=bool(rates)):
                reading.add(row, rate, device, direction)
        if trouble is not None:
            reading.gaps.append(Gap(trouble.reason, str(trouble)))
        elif not reading.samples:
            raise UnavailableError("absent", "a rate takes two samples of the counters; there are none yet")
        return reading

    def _sample(self, machine: Machine) -> tuple[float, dict[int, link.Traffic]]:
        """The time and the counters of the devices to watch; now and then looks which devices there are."""
        when = self._clock()
        if self._names and when < self._names_until:
            try:
                counters = link.read_counters(machine, self._names)
            except UnavailableError as error:
                if error.reason not in NOTHING_HERE:
                    raise
                self._cheap = False
            else:
                if counters.keys() == self._names.keys():
                    return when, counters
            when = self._clock()
        devices = [device for device in link.foremost(link.read_links(machine))[0] if device.traffic is not None]
        self._names = {device.index: device.name for device in devices}
        self._names_until = when + (_NAMES_SECONDS if self._cheap else 0)
        return when, {device.index: device.traffic for device in devices if device.traffic is not None}


def _counters(traffic: link.Traffic) -> tuple[int, int, int, int]:
    return traffic.rx_bytes, traffic.tx_bytes, traffic.rx_packets, traffic.tx_packets
