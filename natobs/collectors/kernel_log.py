"""What the kernel log says about a NAT: events counted, and the last hundred lines kept.

Counts what is written after the log was opened; what it held before is only
kept. Lines are believed only when the kernel itself wrote them. Link changes
are left to rtnetlink, which tells them without guessing at each driver's words.
"""

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from natobs.catalogue.metrics import kernel_log as metric
from natobs.collectors.base import Gap, Reading
from natobs.errors import KernelError
from natobs.kernel import kmsg
from natobs.kernel.machine import FROM_NOW_ON, Machine, StreamName

_EVENTS = tuple(
    (event, re.compile(pattern))
    for event, pattern in (
        # nf_conntrack_core.c: __nf_conntrack_alloc; pr_fmt repeats the module, newer kernels add "in netns N".
        ("conntrack_table_full", r"^(?:nf_conntrack: )+table full\b"),
        # mm/oom_kill.c: __oom_kill_process; before 5.1 the victim has a line of its own, without the cause.
        ("oom_kill", r"^(?:(?:Memory cgroup out of memory|Out of memory)[^:]*: )?Killed process \d"),
        # net/sched/sch_generic.c: dev_watchdog, before any driver's own words on a stuck queue; resets that begin
        # elsewhere: ena (ena_restore_device), gve (gve_reset), hv_netvsc (the host took the accelerated path away).
        ("nic_reset", r"\bNETDEV WATCHDOG: "),
        ("nic_reset", r"^ena .*\bDevice reset completed|^(?:gve|gvnic) .*\bPerforming reset"),
        ("nic_reset", r"^hv_netvsc .*\bData path switched from VF"),
        # net/ipv4/route.c: ip_handle_martian_source, ip_route_input_slow.
        ("martian_source", r"^(?:IPv4: )?martian (?:source|destination) "),
        # net/core/neighbour.c: neigh_alloc.
        ("neighbour_table_overflow", r"^(?:neighbour: )?(?:arp_cache|ndisc_cache): neighbor table overflow"),
    )
)
_FIREWALL = re.compile(r"\bIN=\S* OUT=\S* .*\bSRC=")
"""What every packet logged by an nftables or iptables LOG rule has in it (net/netfilter/nf_log_syslog.c)."""

FIREWALL = "firewall"
"""Stands for the event of a line that a LOG rule wrote; such lines are kept and not counted here."""
SUPPRESSED = "suppressed"
"""Stands for the event of a line of the rate limiter."""
KEPT_LINES = 100


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that was kept.

    Args:
        sequence: its number in the kernel log.
        time: when it was written, in seconds since the epoch; off by as much as the scheduler's clock has drifted.
        event: a value of the label ``event``, or :data:`FIREWALL` or :data:`SUPPRESSED`.
        text: at most 500 printable characters.
    """

    sequence: int
    time: float
    event: str
    text: str


class KernelLogCollector:
    """Listens to the kernel log.

    Args:
        boot_clock: tells when the machine's clock of the log stood at 0, in seconds since the epoch.
    """

    name = "kernel_log"
    metrics = (metric.EVENTS, metric.LOST, metric.SUPPRESSED)
    stream = StreamName.KERNEL_LOG
    title = "Kernel log"

    def __init__(self, boot_clock: Callable[[], float] = lambda: time.time() - time.monotonic()) -> None:
        self._boot_clock = boot_clock
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(metric.EVENTS.labels[0].domain, 0)
        self._lost = 0
        self._suppressed = 0
        self._live = False
        self._last: int | None = None
        self._trouble: Gap | None = Gap("absent", "/dev/kmsg: nobody listens yet")
        # Half for each, so that a flood of denied packets cannot push out what explains it.
        self._events: deque[LogLine] = deque(maxlen=KEPT_LINES // 2)
        self._denies: deque[LogLine] = deque(maxlen=KEPT_LINES // 2)

    def hear(self, message: bytes) -> None:
        """Take one record; see :meth:`natobs.collectors.base.Listening.hear`."""
        if message == FROM_NOW_ON:
            with self._lock:
                self._live, self._trouble = True, None
            return
        record = kmsg.parse(message)
        with self._lock:
            self._take(record)

    def miss(self, error: KernelError) -> None:
        """Take note of a log that cannot be read; lost and misunderstood records show as gaps in the sequence."""
        if error.reason not in ("busy", "format"):
            with self._lock:
                self._trouble = Gap(error.reason, str(error))

    def tail(self) -> tuple[str, ...]:
        """The kept lines as text with the time of day; see :meth:`natobs.collectors.base.Telling.tail`."""
        return tuple(
            f"{time.strftime('%d %b %H:%M:%S', time.localtime(line.time))}  {line.text}" for line in self.lines()
        )

    def lines(self) -> tuple[LogLine, ...]:
        """The last lines that matter, oldest first: at most 50 of events and 50 of LOG rules."""
        with self._lock:
            return tuple(sorted((*self._events, *self._denies), key=lambda line: line.sequence))

    def collect(self, machine: Machine) -> Reading:
        """What has been counted, once the log was really heard; nothing is read here."""
        reading = Reading()
        with self._lock:
            if self._trouble is not None:
                reading.gaps.append(self._trouble)
            if self._live:
                for event, count in self._counts.items():
                    reading.add(metric.EVENTS, count, event)
                reading.add(metric.LOST, self._lost)
                reading.add(metric.SUPPRESSED, self._suppressed)
        return reading

    def _take(self, record: kmsg.Record) -> None:
        if self._last is not None:
            if record.sequence <= self._last:
                return  # the log was opened again, and begins with what it still holds
            self._lost += record.sequence - self._last - 1
        self._last = record.sequence
        if record.facility != 0:
            return
        event = _event(record.text)
        if event is None:
            return
        lines = self._denies if event == FIREWALL else self._events
        lines.append(LogLine(record.sequence, self._boot_clock() + record.seconds, event, record.text))
        if self._live and event in self._counts:
            self._counts[event] += 1
        elif self._live and event == SUPPRESSED:
            self._suppressed += kmsg.suppressed(record.text)


def _event(text: str) -> str | None:
    for event, pattern in _EVENTS:
        if pattern.search(text):
            return event
    if _FIREWALL.search(text):
        return FIREWALL
    return SUPPRESSED if kmsg.suppressed(text) else None
