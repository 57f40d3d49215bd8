"""What node_exporter's own alerts say of a NAT: the conditions that its mixin publishes, at their defaults.

The peer of a game day: whoever runs a NAT without natobs has these. Knows those
of its alerts that the failure of a NAT could move; those on disks, file systems,
clocks and systemd are left out.

Source: https://github.com/prometheus/node_exporter, docs/node-mixin, as of
version 1.8: names, thresholds and durations are its own, the expressions are
written anew.
"""

from typing import NamedTuple

from natobs.catalogue.naming import HOUR, MINUTE
from natobs.catalogue.promql import Query, Recorded, aggregate, rate, series
from natobs.generate.rules.model import Alerting, Group

JOB = "node"
"""The job that the mixin expects node_exporter to be scraped by."""
_TWO, _QUARTER = 2 * MINUTE, 15 * MINUTE


def _node(name: str, mode: str = "") -> Query:
    counter = name.endswith(("_total", "_pgmajfault"))
    source = Recorded(f"node_{name}", ("mode",), counter=counter)
    return series(source, job=JOB, mode=mode) if mode else series(source, job=JOB)


def _errors(direction: str) -> Query:
    errors, packets = (rate(_node(f"network_{direction}_{what}_total"), _TWO) for what in ("errs", "packets"))
    return errors / packets


_CPU = "cpu_seconds_total"
_HOST = ("instance", "job", "nat", "nat_cluster")
_BUSY = aggregate("sum", (*_HOST, "cpu"), rate(_node(_CPU, "!~idle|iowait"), _TWO))
_CPUS = aggregate("count", _HOST, _node(_CPU, "idle"))


class _Published(NamedTuple):
    """An alert: it fires when the value is above the threshold for so many seconds."""

    name: str
    value: Query
    threshold: float
    hold: int
    severity: str


_ALERTS = (
    _Published("NodeNetworkReceiveErrs", _errors("receive"), 0.01, HOUR, "warning"),
    _Published("NodeNetworkTransmitErrs", _errors("transmit"), 0.01, HOUR, "warning"),
    _Published(
        "NodeHighNumberConntrackEntriesUsed",
        _node("nf_conntrack_entries") / _node("nf_conntrack_entries_limit"),
        0.75,
        0,
        "warning",
    ),
    _Published("NodeCPUHighUsage", aggregate("avg", _HOST, _BUSY), 0.90, _QUARTER, "info"),
    _Published("NodeSystemSaturation", _node("load1").against("/", _CPUS, _HOST), 2, _QUARTER, "warning"),
    _Published("NodeMemoryMajorPagesFaults", rate(_node("vmstat_pgmajfault"), 5 * MINUTE), 500, _QUARTER, "warning"),
    _Published(
        "NodeMemoryHighUtilization",
        Query("1") - _node("memory_MemAvailable_bytes") / _node("memory_MemTotal_bytes"),
        0.90,
        _QUARTER,
        "warning",
    ),
)


def group() -> Group:
    """The alerts as a group of rules; durations are scaled with all others when it is written."""
    rules = tuple(
        Alerting(one.name, one.value > one.threshold, one.hold, 0, {"severity": one.severity}, {}) for one in _ALERTS
    )
    return Group("node-exporter", 30, rules)
