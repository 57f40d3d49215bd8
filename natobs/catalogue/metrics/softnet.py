"""Metrics of the kernel's packet reception, per CPU; they are about the machine, not one network namespace."""

from natobs.catalogue.types import Kind, Label, Metric

_SOURCE = "/proc/net/softnet_stat"
_CPU = Label("cpu", "number of the CPU", bound="the CPUs of the machine")

PROCESSED = Metric(
    "natobs_softnet_processed_total",
    Kind.COUNTER,
    "Packets that the CPU took from devices and from its backlog",
    _SOURCE,
    labels=(_CPU,),
)
DROPPED = Metric(
    "natobs_softnet_dropped_total",
    Kind.COUNTER,
    "Packets dropped because the CPU's backlog was full (net.core.netdev_max_backlog)",
    _SOURCE,
    labels=(_CPU,),
)
TIMES_SQUEEZED = Metric(
    "natobs_softnet_times_squeezed_total",
    Kind.COUNTER,
    "How often the CPU stopped receiving with packets left, out of net.core.netdev_budget or of time",
    _SOURCE,
    labels=(_CPU,),
)
BACKLOG = Metric(
    "natobs_softnet_backlog_packets",
    Kind.GAUGE,
    "Packets waiting in the CPU's backlog (Linux 5.10)",
    _SOURCE,
    labels=(_CPU,),
)
