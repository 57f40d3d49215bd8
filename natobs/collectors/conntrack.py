"""Connection tracking: table usage, per-CPU counters widened to 64 bits, and why new flows were dropped.

Reads two small messages and never walks the table; which flows fill it is not
its business.
"""

from natobs.catalogue.metrics import conntrack as metric
from natobs.collectors.base import Reading
from natobs.kernel import conntrack
from natobs.kernel.machine import Machine

_WRAP = 1 << 32
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
        self._totals = Totals()
        self._drops = {"table_full": 0, "tuple_clash": 0, "chain_too_long": 0}

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
            before = dict(self._totals.totals)
            self._totals.update(counters)
            for field, total in self._totals.totals.items():
                reading.add(_COUNTER_OF[field], total)
            if before:
                increments = {field: total - before.get(field, 0) for field, total in self._totals.totals.items()}
                for reason, packets in attribute_drops(increments).items():
                    self._drops[reason] += packets
            for reason, packets in self._drops.items():
                reading.add(metric.NEW_FLOW_DROPS, packets, reason)
        return reading


class Totals:
    """Sums per-CPU 32-bit counters into totals that neither wrap nor fall."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self._source = ""
        self._last: dict[int, conntrack.CpuCounters] = {}

    def update(self, counters: conntrack.Counters) -> None:
        """Add what was counted since the last update.

        The first reading is taken as it is. A counter that went back by less
        than half its range was reset (a CPU came back, the namespace is a new
        one) and counts from zero; by more, it wrapped. When the source changes,
        CPUs may be numbered differently: the new reading only becomes the base.
        """
        changed = bool(self._source) and counters.source != self._source
        for cpu, fields in counters.cpus.items():
            last = self._last.get(cpu, {})
            for field, value in fields.items():
                increment = 0 if changed else _increment(last.get(field, 0), value)
                self.totals[field] = self.totals.get(field, 0) + increment
        self._source = counters.source
        self._last = counters.cpus if changed else self._last | counters.cpus


def _increment(before: int, now: int) -> int:
    forward = (now - before) % _WRAP
    return forward if forward < _WRAP // 2 or now >= before else now


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
