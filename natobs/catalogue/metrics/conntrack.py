"""Metrics of connection tracking: how full the table is, and why new flows were dropped."""

from natobs.catalogue.types import Kind, Label, Metric, Start

_STATS = "ctnetlink IPCTNL_MSG_CT_GET_STATS, else /proc/sys/net/netfilter"
_STATS_CPU = "ctnetlink IPCTNL_MSG_CT_GET_STATS_CPU summed over CPUs, else /proc/net/stat/nf_conntrack"


def _per_cpu(field: str, text: str) -> Metric:
    return Metric(f"natobs_conntrack_{field}_total", Kind.COUNTER, text, _STATS_CPU)


ENTRIES = Metric(
    "natobs_conntrack_entries",
    Kind.GAUGE,
    "Entries in the connection tracking table of this network namespace",
    _STATS,
)
LIMIT = Metric(
    "natobs_conntrack_entries_limit",
    Kind.GAUGE,
    "Entries at which the kernel starts to evict, then to drop (nf_conntrack_max); 0 means that there is no limit",
    _STATS,
)
BUCKETS = Metric(
    "natobs_conntrack_buckets",
    Kind.GAUGE,
    "Hash buckets of the connection tracking table, shared by all network namespaces",
    "/proc/sys/net/netfilter/nf_conntrack_buckets",
)
SOURCE = Metric(
    "natobs_conntrack_source_info",
    Kind.INFO,
    "Where the connection tracking counters were read from",
    "which of the two sources answered",
    labels=(Label("source", "the interface that answered", domain=("ctnetlink", "procfs")),),
)
FOUND = _per_cpu(
    "found", "Candidate NAT tuples that were found taken; before Linux 4.9 also packets that belonged to an entry"
)
INVALID = _per_cpu("invalid", "Packets that were not tracked: malformed, or not what the state of their flow allows")
INSERT = _per_cpu("insert", "Entries inserted by user space (entries made by packets are not counted since 4.9)")
INSERT_FAILED = _per_cpu("insert_failed", "Entries that could not be inserted: tuple clashes, overlong chains, races")
DROP = _per_cpu("drop", "Packets dropped because no entry could be allocated or confirmed")
EARLY_DROP = _per_cpu("early_drop", "Entries evicted to make room in a full table")
ERROR = _per_cpu(
    "error",
    "ICMP and ICMPv6 messages that were malformed, or reported trouble of a flow that is not tracked; "
    "before Linux 5.9 also packets of other protocols with a damaged header",
)
SEARCH_RESTART = _per_cpu(
    "search_restart",
    "Lookups restarted because an entry moved to another hash chain meanwhile, or the table was resized",
)
CLASH_RESOLVE = _per_cpu("clash_resolve", "Insertion races that were resolved without loss")
CHAIN_TOOLONG = _per_cpu("chain_toolong", "Entries refused because their hash chain was too long")
NEW_FLOW_DROPS = Metric(
    "natobs_new_flow_drops_total",
    Kind.COUNTER,
    "Packets of new flows dropped by connection tracking since the agent started, by reason",
    "computed from the increments of drop, insert_failed and chain_toolong",
    labels=(Label("reason", "why the flow got no entry", domain=("table_full", "tuple_clash", "chain_too_long")),),
    start=Start.PROCESS,
)
