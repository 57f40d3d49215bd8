"""Metrics of conntrack events: flows that ended because nobody spoke, and flows whose state was lost.

Off by default (``[events] enabled``); see docs/events.md.
"""

from natobs.catalogue.types import Kind, Label, Metric, Start

_EVENTS = "destroy events of ctnetlink, counted by the kernel in sockets with filters"
_SINCE = "since the agent began to listen"

IDLE_TIMEOUTS = Metric(
    "natobs_conntrack_idle_timeouts_total",
    Kind.COUNTER,
    "Flows with traffic both ways that expired: TCP connections without FIN or RST (idle too long, or a peer that "
    f"fell silent), and UDP flows, which have no other end; {_SINCE}, and counted when the kernel finds them expired, "
    "up to some minutes later",
    f"{_EVENTS}: assured, no CTA_TIMEOUT, TCP in state ESTABLISHED (Linux 5.11 and later)",
    labels=(Label("proto", "transport protocol", domain=("tcp", "udp")),),
    start=Start.PROCESS,
)
LOST_FLOWS = Metric(
    "natobs_conntrack_lost_flows_total",
    Kind.COUNTER,
    f"Flows with traffic both ways, TCP connections only if established, whose entry was removed before it expired; "
    f"{_SINCE}",
    f"{_EVENTS}: assured, nlmsg_pid for the cause, CTA_TIMEOUT (Linux 5.11 and later)",
    labels=(
        Label(
            "cause",
            "`request`: a process asked for it through ctnetlink (conntrack -F or -D, conntrackd); `kernel`: Linux did "
            "it by itself, as a rule because masquerade lost its address or device",
            domain=("request", "kernel"),
        ),
    ),
    start=Start.PROCESS,
)
DESTROYED = Metric(
    "natobs_conntrack_destroyed_total",
    Kind.COUNTER,
    f"Entries that ended, for whatever reason; {_SINCE}",
    _EVENTS,
    labels=(Label("proto", "transport protocol", domain=("tcp", "udp", "other")),),
    start=Start.PROCESS,
)
COMPLETENESS = Metric(
    "natobs_conntrack_events_completeness_ratio",
    Kind.GAUGE,
    "Share, at least, of the entries now in the table whose end will be told: with nf_conntrack_events = 2 (auto, the "
    "default) Linux does not tell of entries that were made before the agent listened; with 1 of all",
    "entries in the table against the fewest that there were since the agent began to listen",
    unit="ratio",
)
