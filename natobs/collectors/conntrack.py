"""Connection tracking: table usage, per-CPU counters widened to 64 bits, and why new flows were dropped.

Reads two small messages and never walks the table; which flows fill it is not
its business.
"""

from natobs.catalogue.metrics import conntrack as metric
from natobs.collectors.base import Reading
from natobs.kernel import conntrack
from natobs.kernel.machine import Machine
from natobs.kernel.wrapping import WideTotals

_COUNTER_OF = {
    "found": metric.FOUND,
    "invalid": metric.INVALID,
    "insert": metric.INSERT,
    "insert_failed": metric.INSERT_FAILED,
    "drop": metric.DROP,
    "early_drop": metric.EARLY_DROP,
    "error": metric.ERROR,
    "search_restart": metric.SEARCH_RESTART,
    "clash_resolve": metric.CLASH_RESOLVE,
    "chain_toolong": metric.CHAIN_TOOLONG,
}


class ConntrackCollector:
    """Usage and counters; remembers the last reading, because the kernel's counters wrap at 2^32."""

    name = "conntrack"
    metrics = (
        metric.ENTRIES,
        metric.LIMIT,
        metric.BUCKETS,
        metric.SOURCE,
        *_COUNTER_OF.values(),
        metric.NEW_FLOW_DROPS,
    )

    def __init__(self) -> None:
        self._counters: WideTotals[str, tuple[int, str]] = WideTotals()
        self._source = ""
        self._totals: dict[str, int] = {}
        self._drops = dict.fromkeys(metric.NEW_FLOW_DROPS.labels[0].domain, 0)

    def collect(self, machine: Machine) -> Reading:
        """Two netlink messages and one sysctl file."""
        reading = Reading()
        with reading.part():
            usage = conntrack.read_usage(machine)
            reading.add(metric.ENTRIES, usage.entries)
            if usage.limit is not None:
                reading.add(metric.LIMIT, usage.limit)
        with reading.part():
            reading.add(metric.BUCKETS, conntrack.read_buckets(machine))
        with reading.part():
            counters = conntrack.read_counters(machine)
            reading.add(metric.SOURCE, 1, counters.source)
            for field, total in self._update(counters).items():
                reading.add(_COUNTER_OF[field], total)
            for reason, packets in self._drops.items():
                reading.add(metric.NEW_FLOW_DROPS, packets, reason)
        return reading

    def _update(self, counters: conntrack.Counters) -> dict[str, int]:
        """The totals over all CPUs; adds what they rose by since the last reading to the drops."""
        before = self._totals
        self._totals = self._counters.update(
            ((field, (cpu, field), value) for cpu, fields in counters.cpus.items() for field, value in fields.items()),
            # The two sources may number the CPUs differently.
            same_sources=self._source in ("", counters.source),
        )
        self._source = counters.source
        increments = {field: total - before[field] for field, total in self._totals.items() if field in before}
        for reason, packets in attribute_drops(increments).items():
            self._drops[reason] += packets
        return self._totals


def attribute_drops(increments: dict[str, int]) -> dict[str, int]:
    """Packets of new flows that were dropped, by reason, from the increments of the kernel's counters.

    In net/netfilter/nf_conntrack_core.c a full table counts ``drop`` alone
    (nf_conntrack_in), a tuple clash counts ``drop`` and ``insert_failed``
    (nf_ct_resolve_clash), and an overlong chain counts ``insert_failed`` and
    ``chaintoolong`` but no ``drop`` (__nf_conntrack_confirm).
    """
    drop = increments.get("drop", 0)
    chain_too_long = increments.get("chain_toolong", 0)
    tuple_clash = min(drop, max(0, increments.get("insert_failed", 0) - chain_too_long))
    return {"table_full": drop - tuple_clash, "tuple_clash": tuple_clash, "chain_too_long": chain_too_long}
