"""Metrics of the firewall: what rules, policies and named counters have counted."""

from natobs.catalogue.types import Kind, Label, Metric

_NFT = "nf_tables dumps NFT_MSG_GETTABLE, GETCHAIN, GETRULE and GETOBJ"
_XT = "getsockopt IPT_SO_GET_ENTRIES of the tables in /proc/net/ip_tables_names"
_BOTH = f"{_NFT}; {_XT}"
_BOUND = "firewall.max_series of the configuration, and `other`"

_BACKEND = Label(
    "backend",
    "whose rules these are; iptables-nft keeps its own in nftables",
    domain=("nftables", "iptables-nft", "iptables-legacy"),
)
_FAMILY = Label("family", "protocol family of the table", domain=("ip", "ip6", "inet", "arp", "bridge", "netdev"))
_TABLE = Label("table", "name of the table", bound=_BOUND)
_CHAIN = Label("chain", "name of the chain", bound=_BOUND)
_PLACE = (_BACKEND, _FAMILY, _TABLE, _CHAIN)
_RULE = Label(
    "rule",
    "the rule's comment; without one its position in the chain and how it denies, for example `#3 drop`",
    bound=_BOUND,
)
_COUNTER = Label("counter", "name of the counter", bound=_BOUND)

_RULE_HELP = (
    "counted by a firewall rule; rules with the same comment in a chain are summed, rules without a counter absent, "
    "and rules beyond the bound summed as `other`. A rule without a comment changes its name when it changes its place"
)
RULE_PACKETS = Metric(
    "natobs_firewall_rule_packets_total", Kind.COUNTER, f"Packets {_RULE_HELP}", _BOTH, labels=(*_PLACE, _RULE)
)
RULE_BYTES = Metric(
    "natobs_firewall_rule_bytes_total", Kind.COUNTER, f"Bytes {_RULE_HELP}", _BOTH, labels=(*_PLACE, _RULE)
)

_POLICY_HELP = (
    "that reached the end of a chain and fell to its policy; of iptables' built-in chains (iptables-nft: those whose "
    "policy was ever set), because nftables does not count them"
)
POLICY_PACKETS = Metric(
    "natobs_firewall_policy_packets_total", Kind.COUNTER, f"Packets {_POLICY_HELP}", _BOTH, labels=_PLACE
)
POLICY_BYTES = Metric("natobs_firewall_policy_bytes_total", Kind.COUNTER, f"Bytes {_POLICY_HELP}", _BOTH, labels=_PLACE)

_NAMED = (_FAMILY, _TABLE, _COUNTER)
NAMED_PACKETS = Metric(
    "natobs_firewall_named_packets_total",
    Kind.COUNTER,
    "Packets counted by a named counter of nftables, whichever rules refer to it",
    _NFT,
    labels=_NAMED,
)
NAMED_BYTES = Metric(
    "natobs_firewall_named_bytes_total",
    Kind.COUNTER,
    "Bytes counted by a named counter of nftables, whichever rules refer to it",
    _NFT,
    labels=_NAMED,
)

DENIES = Metric(
    "natobs_firewall_denies_total",
    Kind.COUNTER,
    "Packets dropped or rejected by a rule, or dropped by the policy of an iptables chain. Rules with the same comment "
    "are summed, and the count stays with a rule that changes its place. Drops in verdict maps are not seen",
    _BOTH,
    labels=(
        Label(
            "rule",
            "the rule's comment; without one where it stands, for example `nftables inet filter/input#3`; for a policy "
            "`iptables-legacy ip filter/FORWARD policy`",
            bound=_BOUND,
        ),
    ),
)
UNCOUNTED_DENIES = Metric(
    "natobs_firewall_uncounted_denies",
    Kind.GAUGE,
    "Places where packets are denied without being counted: base chains of nftables with policy drop and no last rule "
    "that drops everything (`policy`), and rules that drop or reject and have no counter right before that (`rule`)",
    _NFT,
    labels=(Label("kind", "what denies", domain=("policy", "rule")),),
)
