"""Packet reception per CPU: what was processed, what the backlog had no room for, how often time ran out."""

from natobs.catalogue.metrics import softnet as metric
from natobs.collectors.base import Reading
from natobs.kernel import softnet
from natobs.kernel.machine import Machine
from natobs.kernel.wrapping import WideTotals

_COUNTERS = (
    (metric.PROCESSED, "processed"),
    (metric.DROPPED, "dropped"),
    (metric.TIMES_SQUEEZED, "times_squeezed"),
)


class SoftnetCollector:
    """The counters of /proc/net/softnet_stat, widened: at a million packets a second they wrap every 72 minutes."""

    name = "softnet"
    metrics = (*(row for row, _field in _COUNTERS), metric.BACKLOG)

    def __init__(self) -> None:
        self._totals: WideTotals[tuple[int, int], tuple[int, int]] = WideTotals()

    def collect(self, machine: Machine) -> Reading:
        """One file."""
        reading = Reading()
        cpus = softnet.read_softnet(machine)
        keys = [(cpu, place) for cpu in cpus for place in range(len(_COUNTERS))]
        totals = self._totals.update((key, key, getattr(cpus[key[0]], _COUNTERS[key[1]][1])) for key in keys)
        for (cpu, place), total in totals.items():
            reading.add(_COUNTERS[place][0], total, str(cpu))
        for cpu, row in cpus.items():
            if row.backlog is not None:
                reading.add(metric.BACKLOG, row.backlog, str(cpu))
        return reading
