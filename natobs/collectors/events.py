"""Idle timeouts and lost state, from conntrack's destroy events, and how much of the table they cover.

Takes totals once a second; the kernel counts. Which flows died is not known,
and neither is what was lost before the agent listened, for example by a restart
of the machine.
"""

import threading
from dataclasses import dataclass

from natobs.catalogue.metrics import events as metric
from natobs.collectors.base import Gap, Reading
from natobs.errors import KernelError
from natobs.kernel import conntrack, conntrack_events
from natobs.kernel.conntrack_filter import Death
from natobs.kernel.machine import FROM_NOW_ON, Machine, StreamName

_IDLE = {"tcp": Death.IDLE_TCP, "udp": Death.IDLE_UDP}
_LOST = {"request": Death.LOST_BY_REQUEST, "kernel": Death.LOST_BY_KERNEL}
_ANY = {"tcp": Death.ANY_TCP, "udp": Death.ANY_UDP, "other": Death.ANY_OTHER}
_OFF = Gap(
    "error",
    "net.netfilter.nf_conntrack_events is 0: Linux sends no events; set it to 2 (while somebody listens) or 1 (always)",
)
_COARSE = Gap(
    "unsupported", "conntrack events of this kernel do not say how an entry died; Linux 5.11 and later say it"
)


@dataclass(slots=True)
class _Cover:
    """What is known about the table: its entries, and how many of them, at most, will die unheard."""

    mode: int
    entries: int
    unheard: int


class EventsCollector:
    """Listens to conntrack deaths; totals go on when the stream is opened again."""

    name = "events"
    metrics = (metric.IDLE_TIMEOUTS, metric.LOST_FLOWS, metric.DESTROYED, metric.COMPLETENESS)
    stream = StreamName.CONNTRACK_DEATHS
    tick_seconds = 1.0

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before = dict.fromkeys(Death, 0)
        self._deaths: conntrack_events.Deaths | None = None
        self._live = False
        self._trouble: Gap | None = Gap("absent", "conntrack events: nobody listens yet")
        self._cover: _Cover | None = None
        self._uncovered: Gap | None = None

    def hear(self, message: bytes) -> None:
        """Take the totals; see :meth:`natobs.collectors.base.Listening.hear`."""
        deaths = None if message == FROM_NOW_ON else conntrack_events.parse(message)
        with self._lock:
            if deaths is None:
                self._before = self._totals()
                self._deaths, self._live, self._trouble = None, True, None
            else:
                self._deaths = deaths

    def miss(self, error: KernelError) -> None:
        """Take note of a stream that is not to be had; after a message that was lost the next one says the same."""
        if error.reason not in ("busy", "format"):
            with self._lock:
                self._live, self._trouble = False, Gap(error.reason, str(error))

    def tick(self, machine: Machine) -> None:
        """Look how many entries there are: the fewest that there ever were bound those that die unheard."""
        try:
            mode = conntrack_events.read_mode(machine)
            entries = conntrack.read_usage(machine).entries
        except KernelError as error:
            with self._lock:
                self._cover, self._uncovered = None, Gap(error.reason, str(error))
            return
        with self._lock:
            if conntrack_events.OFF in (mode, mode if self._cover is None else self._cover.mode):
                unheard = entries
            elif self._cover is None:
                unheard = 0 if mode == conntrack_events.ALWAYS else entries
            else:
                unheard = min(self._cover.unheard, entries)
            self._cover, self._uncovered = _Cover(mode, entries, unheard), None

    def collect(self, machine: Machine) -> Reading:
        """What has been counted; nothing is read here."""
        reading = Reading()
        with self._lock:
            reading.gaps += [gap for gap in (self._trouble, self._uncovered) if gap is not None]
            if not self._live:
                return reading
            if self._cover is not None and self._cover.mode == conntrack_events.OFF:
                reading.gaps.append(_OFF)
                return reading
            self._counts(reading)
            if self._cover is not None:
                entries, unheard = self._cover.entries, self._cover.unheard
                reading.add(metric.COMPLETENESS, (entries - unheard) / entries if entries else 1.0)
        return reading

    def _counts(self, reading: Reading) -> None:
        totals = self._totals()
        if self._deaths is not None and self._deaths.detailed is False:
            reading.gaps.append(_COARSE)
        else:
            for proto, death in _IDLE.items():
                reading.add(metric.IDLE_TIMEOUTS, totals[death], proto)
            for cause, death in _LOST.items():
                reading.add(metric.LOST_FLOWS, totals[death], cause)
        for proto, death in _ANY.items():
            reading.add(metric.DESTROYED, totals[death], proto)

    def _totals(self) -> dict[Death, int]:
        now = self._deaths.counts if self._deaths is not None else {}
        return {death: count + now.get(death, 0) for death, count in self._before.items()}
