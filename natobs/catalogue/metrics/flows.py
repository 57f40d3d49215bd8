"""Metrics of the flow census: who fills the connection tracking table, towards whom, and which ports run out."""

from natobs.catalogue.types import Kind, Label, Metric, Start

_DUMP = "ctnetlink IPCTNL_MSG_CT_GET, a dump of the whole table in a process of its own"
_CENSUS = "the process that takes the census"
_TOP = "census.top, the largest; all others are other"

PROTOCOLS = ("tcp", "udp", "icmp", "icmpv6", "sctp", "dccp", "gre", "esp", "ah", "udplite", "other")
STATES = (
    *("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT"),
    *("CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"),
    *("unreplied", "replied", "assured", "unknown"),
)
RESULTS = ("complete", "interrupted", "overrun", "timeout", "changed", "malformed", "failed")
SOURCES = ("ruleset", "config", "default")
MOST_POOLS = 128

PROTO = Label("proto", "protocol of the flow", domain=PROTOCOLS)
HOST = Label("host", "address of the private host, or other", bound=_TOP)
SNAT_IP = Label(
    "snat_ip", "address that sources are translated to", bound=f"{MOST_POOLS} pairs of address and protocol"
)
_FULLEST = "census.top, the fullest"
DESTINATION = Label("destination", "address of the destination", bound=_FULLEST)
PORT = Label("port", "port of the destination, 0 for protocols without", bound=_FULLEST)


def _gauge(name: str, text: str, *labels: Label, unit: str = "", source: str = _DUMP) -> Metric:
    return Metric(f"natobs_{name}", Kind.GAUGE, text, source, unit=unit, labels=labels)


FLOWS = _gauge(
    "nat_flows",
    "Flows in the connection tracking table; states of TCP are the kernel's, others say whether anybody has answered",
    PROTO,
    Label("state", "state of the flow", domain=STATES),
)
TRANSLATED = _gauge("nat_translated_flows", "Flows whose source or destination is translated")
UNANSWERED = _gauge("nat_unanswered_flows", "Flows that no packet has come back for")
UNANSWERED_RATIO = _gauge(
    "nat_unanswered_flows_ratio", "Share of all flows that no packet has come back for", unit="ratio"
)
HOSTS = _gauge("nat_hosts", "Private hosts that have flows; beyond 65,536 only those that are kept")
DESTINATIONS = _gauge(
    "nat_destinations", "Destinations (address, protocol, port) of flows; beyond 32,768 only those that are kept"
)
HOST_FLOWS = _gauge("nat_host_flows", "Flows of the private hosts that have the most", HOST)
HOST_UNANSWERED = _gauge(
    "nat_host_unanswered_flows", "Flows that nobody answered, of the private hosts that have the most of them", HOST
)
HOST_CHANGE = _gauge(
    "nat_host_flows_change",
    "Flows more than in the census before, of the private hosts that grew the most; negative where they are fewer",
    HOST,
)
DESTINATION_FLOWS = _gauge(
    "destination_flows",
    "Flows to the destinations that have the most, as the clients asked for them",
    Label("destination", "address of the destination, or other", bound=_TOP),
    Label("port", "port of the destination, 0 for protocols without, or other", bound=_TOP),
    Label("proto", "protocol, or other", domain=PROTOCOLS),
)
TENANT_FLOWS = _gauge(
    "tenant_flows",
    "Flows of each tenant, by source prefix or mark",
    Label("tenant", "its name in the configuration, or other", bound="the tenants of the configuration"),
)
PORTS_IN_USE = _gauge(
    "snat_ports_in_use", "Distinct ports of a SNAT address in use, for whatever destinations", SNAT_IP, PROTO
)
RANGE_SIZE = _gauge(
    "snat_port_range_size",
    "Ports that a SNAT address has towards one destination",
    SNAT_IP,
    PROTO,
    Label("source", "who says so", domain=SOURCES),
    source="nftables and iptables rules where they are unambiguous, else the configuration, else the kernel's default",
)
DESTINATION_PORTS = _gauge(
    "snat_destination_ports_in_use",
    "Ports of a SNAT address that one destination takes and that a new flow cannot have",
    SNAT_IP,
    PROTO,
    DESTINATION,
    PORT,
)
DESTINATION_RECLAIMABLE = _gauge(
    "snat_destination_ports_reclaimable",
    "Ports of a SNAT address that one destination takes and that the kernel takes away for a new flow: TCP in "
    "TIME_WAIT or later (kernels before the change of 2023 that docs/census.md names take none)",
    SNAT_IP,
    PROTO,
    DESTINATION,
    PORT,
)
SATURATION = _gauge(
    "snat_destination_saturation_ratio",
    "Share of a SNAT address' ports that its fullest destination takes, reclaimable ones not counted",
    SNAT_IP,
    PROTO,
    unit="ratio",
)
DURATION = _gauge(
    "census_duration_seconds", "Time that the latest census took, all attempts", unit="seconds", source=_CENSUS
)
CPU = Metric(
    "natobs_census_cpu_seconds_total",
    Kind.COUNTER,
    "CPU time of all censuses since the agent started, the kernel's work and the start of the process included",
    _CENSUS,
    unit="seconds",
    start=Start.PROCESS,
)
MEMORY = _gauge("census_memory_bytes", "Memory of the latest census at most, resident", unit="bytes", source=_CENSUS)
TIMESTAMP = _gauge(
    "census_timestamp_seconds", "When the census was taken that the figures are from", unit="seconds", source=_CENSUS
)
AGE = _gauge(
    "census_age_seconds",
    "Since the beginning of the census that the figures are from; at three intervals the figures disappear",
    unit="seconds",
    source=_CENSUS,
)
PERIOD = _gauge(
    "census_interval_seconds",
    "From one census to the next: the configured interval, or longer where the share of CPU demands it",
    unit="seconds",
    source=_CENSUS,
)
COMPLETE = _gauge(
    "census_complete", "Whether the latest census saw the whole table as one thing, 1 or 0", source=_CENSUS
)
ATTEMPTS = _gauge("census_attempts", "Dumps that the latest census began", source=_CENSUS)
CENSUSES = Metric(
    "natobs_censuses_total",
    Kind.COUNTER,
    "Censuses since the agent started, by how they ended",
    _CENSUS,
    labels=(Label("result", "complete, or what was wrong", domain=RESULTS),),
    start=Start.PROCESS,
)
