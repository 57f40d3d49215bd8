"""Events that were recorded on this machine, and its planned maintenance.

Reads the file that ``natobs event`` and ``natobs maintenance`` write; refuses to
know how it came about.
"""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from natobs.catalogue.metrics import operations as metric
from natobs.collectors.base import Gap, Reading
from natobs.errors import FormatError, OperationsError, UnavailableError
from natobs.kernel.machine import File, Machine
from natobs.operations.journal import Event, Journal, decode

_SHOWN_EVENTS = 20


class OperationsCollector:
    """The journal as metrics; it is decoded only when it has changed.

    Args:
        path: of the journal.
        clock: seconds since the epoch; tests bring their own.
    """

    name = "operations"
    metrics = (
        metric.SCALING_EVENTS,
        metric.SCALING_EVENT_TIME,
        metric.MAINTENANCE_UNTIL,
        metric.CLUSTER_MAINTENANCE_UNTIL,
    )
    title = "Recorded events"

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._clock = clock
        self._content = b""
        self._journal = Journal()
        self._begun: set[tuple[str, str]] = set()

    def collect(self, machine: Machine) -> Reading:
        """What the journal holds now."""
        journal = self._read(machine)
        reading, now = Reading(), self._clock()
        for total in journal.totals:
            key = total.kind, total.reason
            # Once it was shown it never falls again, whatever the clock does.
            if key not in self._begun and 0 <= now - total.since < metric.HELD_SECONDS:
                reading.add(metric.SCALING_EVENTS, 0, *key)
            else:
                self._begun.add(key)
                reading.add(metric.SCALING_EVENTS, total.count, *key)
        for kind, moment in journal.latest().items():
            reading.add(metric.SCALING_EVENT_TIME, moment, kind)
        if not journal.totals:
            reading.gaps.append(Gap("absent", "no event was ever recorded: natobs event record"))
        windows = {metric.MAINTENANCE_UNTIL: journal.nat, metric.CLUSTER_MAINTENANCE_UNTIL: journal.cluster}
        for row, window in windows.items():
            if window is not None:
                reading.add(row, window.until)
        if not any(windows.values()):
            reading.gaps.append(Gap("absent", "no maintenance was ever declared: natobs maintenance start"))
        return reading

    def tail(self) -> Sequence[str]:
        """The latest events by the time at which they happened."""
        latest = sorted(self._journal.events, key=lambda event: event.time)[-_SHOWN_EVENTS:]
        return [_line(event) for event in latest]

    def _read(self, machine: Machine) -> Journal:
        try:
            content = machine.ask(File(str(self._path)))
        except UnavailableError as error:
            self._content, self._journal = b"", Journal()
            if error.reason != "absent":
                raise
            raise UnavailableError("absent", f"nothing has been recorded yet: {error}") from error
        if content != self._content:
            self._content, self._journal = b"", Journal()
            try:
                self._journal = decode(content)
            except (FormatError, OperationsError) as error:
                raise FormatError(f"{self._path} is damaged or newer than this agent: {error}") from error
            self._content = content
        return self._journal


def _line(event: Event) -> str:
    moment = datetime.fromtimestamp(event.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    by = f" ({event.by})" if event.by else ""
    note = f": {event.note}" if event.note else ""
    return f"{moment} {event.kind} {event.reason}{note}{by}"
