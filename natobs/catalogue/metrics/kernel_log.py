"""Metrics of what the kernel log says about a NAT."""

from natobs.catalogue.types import Kind, Label, Metric, Start

EVENTS = Metric(
    "natobs_kernel_log_events_total",
    Kind.COUNTER,
    "Lines of the kernel log that report trouble of a NAT, written since the agent started; "
    "the kernel limits how often it repeats a line, so this tells that something happened, not how often",
    "/dev/kmsg",
    labels=(
        Label(
            "event",
            "what the line reports",
            domain=("conntrack_table_full", "oom_kill", "nic_reset", "martian_source", "neighbour_table_overflow"),
        ),
    ),
    start=Start.PROCESS,
)
LOST = Metric(
    "natobs_kernel_log_lost_total",
    Kind.COUNTER,
    "Records of the kernel log that were overwritten before the agent read them, or could not be understood",
    "gaps in the sequence numbers of /dev/kmsg",
    start=Start.PROCESS,
)
SUPPRESSED = Metric(
    "natobs_kernel_log_suppressed_total",
    Kind.COUNTER,
    "Messages that the kernel's rate limiter withheld from its log, by its own account; what they said is unknown",
    "lines 'callbacks suppressed' of /dev/kmsg",
    start=Start.PROCESS,
)
