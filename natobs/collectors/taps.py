"""Packets of probes at the four points of this NAT, and how long they stayed inside: the exact part of added latency.

Listens on the background thread to the stream of probe packets, has them joined
(:mod:`natobs.kernel.residence`), and counts. The number of private hosts with
series of their own is bounded.
"""

import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_ntop

from natobs.catalogue.metrics import taps as metric
from natobs.catalogue.types import HistogramValue
from natobs.collectors.base import Gap, Reading
from natobs.config import Nat
from natobs.errors import KernelError
from natobs.kernel import flowtables, tap
from natobs.kernel.address import Prefixes
from natobs.kernel.machine import FROM_NOW_ON, Machine, StreamName
from natobs.kernel.residence import Passage, Passages

MOST_SOURCES = 64
IDLE_SECONDS = 600.0
"""A private host that was silent for so long makes room for another."""
OTHER = "other"

_POINTS = {"out": ("inside_in", "outside_out"), "back": ("outside_in", "inside_out")}
_BOUNDS = [round(bound * 1e9) for bound in metric.RESIDENCE.buckets]
_IPV4_BYTES = 4


class _Residence:
    """The histogram of one direction, in nanoseconds."""

    def __init__(self) -> None:
        self.counts = [0] * (len(_BOUNDS) + 1)
        self.sum = 0

    def add(self, nanoseconds: int) -> None:
        self.counts[bisect_left(_BOUNDS, nanoseconds)] += 1
        self.sum += nanoseconds

    def value(self) -> HistogramValue:
        return HistogramValue(tuple(self.counts), self.sum / 1e9)


class Sources:
    """Sightings by private host and point; hosts beyond the bound share one row.

    Args:
        most: hosts with a row of their own.
    """

    def __init__(self, most: int = MOST_SOURCES) -> None:
        self._most = most
        self._rows: dict[str, dict[str, int]] = {}
        self._latest: dict[str, float] = {}
        self._other = dict.fromkeys(metric.POINTS, 0)

    def add(self, passage: Passage, now: float) -> None:
        """Count one packet at a time on a monotonic clock."""
        address = passage.source
        row = self._row(inet_ntop(AF_INET if len(address) == _IPV4_BYTES else AF_INET6, address), now)
        arrival, departure = _POINTS[passage.direction]
        row[arrival] += passage.arrivals
        row[departure] += passage.departures

    def rows(self) -> list[tuple[str, dict[str, int]]]:
        """Every row, that of all others last if it counted anything."""
        others = [(OTHER, self._other)] if any(self._other.values()) else []
        return [*sorted(self._rows.items()), *others]

    def _row(self, name: str, now: float) -> dict[str, int]:
        if name not in self._rows:
            if len(self._rows) >= self._most:
                idle = min(self._latest, key=self._latest.__getitem__)
                if now - self._latest[idle] < IDLE_SECONDS:
                    return self._other
                del self._rows[idle], self._latest[idle]
            self._rows[name] = dict.fromkeys(metric.POINTS, 0)
        self._latest[name] = now
        return self._rows[name]


class TapsCollector:
    """Listens to probe packets.

    Args:
        nat: whose prefixes tell inside from outside, and who is a private host.
        clock: monotonic, in seconds.
    """

    name = "taps"
    metrics = (metric.RESIDENCE, metric.MISSED, metric.SEEN, metric.LOST, metric.LISTENING, metric.FLOWTABLES)
    stream = StreamName.PROBE_PACKETS
    tick_seconds = 0.1
    """Also how often the stream is looked at, which nobody waits for."""

    def __init__(self, nat: Nat, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._passages = Passages(Prefixes(tuple(prefix.network for prefix in nat.inside)))
        self._residence = {direction: _Residence() for direction in _POINTS}
        self._missed = dict.fromkeys(_POINTS, 0)
        self._sources = Sources()
        self._lost = 0
        self._lost_before = 0
        self._live = False
        self._listening = False
        self._trouble: Gap | None = Gap("absent", "probe packets: nobody listens yet")

    def hear(self, message: bytes) -> None:
        """Take one packet; see :meth:`natobs.collectors.base.Listening.hear`."""
        if message in (FROM_NOW_ON, tap.RESTING):
            with self._lock:
                self._opened(listening=message == FROM_NOW_ON)
            return
        seen = tap.parse(message)
        now = self._clock()
        with self._lock:
            self._lost += (seen.lost - self._lost_before) % (1 << 32)
            self._lost_before = seen.lost
            self._count(self._passages.see(seen, now), now)

    def miss(self, error: KernelError) -> None:
        """Take note that packets cannot be heard; what the kernel dropped comes with the next packet."""
        with self._lock:
            if error.reason in ("busy", "format"):
                self._lost += 1
            else:
                self._live, self._trouble = False, Gap(error.reason, str(error))

    def tick(self, machine: Machine) -> None:
        """Settle what has waited long enough."""
        self._settle()

    def collect(self, machine: Machine) -> Reading:
        """What has been counted, and one netlink dump."""
        reading = Reading()
        self._settle()
        with self._lock:
            if self._trouble is not None:
                reading.gaps.append(self._trouble)
            if self._live:
                self._counted(reading)
        with reading.part():
            found = flowtables.read(machine)
            reading.add(metric.FLOWTABLES, found.software, "software")
            reading.add(metric.FLOWTABLES, found.hardware, "hardware")
        return reading

    def _opened(self, *, listening: bool) -> None:
        self._live, self._trouble, self._listening = True, None, listening
        self._lost_before = 0

    def _counted(self, reading: Reading) -> None:
        for direction, residence in self._residence.items():
            reading.add_distribution(metric.RESIDENCE, residence.value(), direction)
            reading.add(metric.MISSED, self._missed[direction], direction)
        for source, row in self._sources.rows():
            for point, count in row.items():
                reading.add(metric.SEEN, count, source, point)
        reading.add(metric.LOST, self._lost)
        reading.add(metric.LISTENING, self._listening)

    def _settle(self) -> None:
        now = self._clock()
        with self._lock:
            self._count(self._passages.settle(now), now)

    def _count(self, passages: Iterable[Passage], now: float) -> None:
        for passage in passages:
            self._sources.add(passage, now)
            if passage.nanoseconds is None:
                self._missed[passage.direction] += 1
            else:
                self._residence[passage.direction].add(passage.nanoseconds)
