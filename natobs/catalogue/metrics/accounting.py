"""Metrics of accounting: what the kernel counts about flows that private hosts open through this NAT.

All of them need the table that ``natobs accounting install`` loads.
"""

from natobs.catalogue.types import Kind, Label, Metric

PROTOCOLS = ("tcp", "udp", "icmp", "other")
DIRECTIONS = ("out", "in")
SETS = ("attempts", "answers", "hosts")

_TABLE = "counters of natobs' own nftables table, NFT_MSG_GETOBJ"
_SETS = f"sets of natobs' own nftables table, NFT_MSG_GETSETELEM; {_TABLE}"
_TOP = "accounting.top of the configuration, and `other`"

_PROTOCOL = Label("proto", "protocol of the flow; icmp is ICMPv6 too", domain=PROTOCOLS)
_DIRECTION = Label("direction", "out from private hosts, in towards them", domain=DIRECTIONS)
_DESTINATION = (
    Label(
        "destination",
        "name of the service by accounting.names, else the address, else other",
        bound=f"for each protocol {_TOP}",
    ),
    Label("port", "destination port; empty for other", bound=f"for each protocol {_TOP}"),
    _PROTOCOL,
)


def _outbound(name: str, text: str) -> Metric:
    return Metric(f"natobs_outbound_{name}_total", Kind.COUNTER, text, _TABLE, labels=(_PROTOCOL,))


INSTALLED = Metric(
    "natobs_accounting_installed",
    Kind.GAUGE,
    "Whether the kernel counts attempts and answers; 0 until natobs accounting install",
    "comment of the nftables table inet natobs",
)
CURRENT = Metric(
    "natobs_accounting_current",
    Kind.GAUGE,
    "Whether the table is the one that this configuration makes, with each of its rules once; 0 asks for natobs "
    "accounting install",
    "comment and rules of the nftables table inet natobs",
)
ATTEMPTS = _outbound(
    "attempts",
    "First packets of flows from private hosts. One that is lost in this machine behind conntrack leaves no flow: sent "
    "again it is an attempt again, as is each packet that conntrack refused",
)
UNTRACKED = _outbound(
    "untracked_attempts",
    "Those of the attempts that conntrack refused, as when its table is full, or that a rule before it dropped",
)
ANSWERED = _outbound(
    "answered",
    "Attempts whose answer left this machine towards the private host: SYN and ACK, or the first packet back",
)
REFUSED = _outbound(
    "refused", "Attempts that the destination refused by a TCP reset, or somebody on the way by an ICMP error"
)
RETRANSMITTED = _outbound(
    "retransmitted_attempts",
    "First packets of flows sent again: SYNs, and datagrams as long as nobody has answered",
)
DESTINATION_ATTEMPTS = Metric(
    "natobs_destination_attempts_total",
    Kind.COUNTER,
    "Attempts by destination: the busiest of TCP and UDP, everything else as other; all series of a protocol add up to "
    "natobs_outbound_attempts_total",
    _SETS,
    labels=_DESTINATION,
)
DESTINATION_ANSWERED = Metric(
    "natobs_destination_answered_total",
    Kind.COUNTER,
    "Answered attempts by destination, of the same destinations as natobs_destination_attempts_total",
    _SETS,
    labels=_DESTINATION,
)
HOST_ATTEMPTS = Metric(
    "natobs_host_attempts_total",
    Kind.COUNTER,
    "Attempts by private host: the busiest, everything else as other; all series add up to "
    "natobs_outbound_attempts_total",
    _SETS,
    labels=(Label("host", "address of the private host, or other", bound=_TOP),),
)
MIDSTREAM = Metric(
    "natobs_midstream_pickups_total",
    Kind.COUNTER,
    "TCP packets from private hosts inside a connection that conntrack did not know, and began to follow: the sign of "
    "lost state",
    _TABLE,
)
QUARANTINED = Metric(
    "natobs_quarantined_packets_total",
    Kind.COUNTER,
    "First packets of flows that were dropped because their host is in the table's quarantine set",
    _TABLE,
)
RESETS = Metric("natobs_tcp_resets_total", Kind.COUNTER, "TCP resets that were forwarded", _TABLE, labels=(_DIRECTION,))
FRAGMENTATION = Metric(
    "natobs_icmp_fragmentation_needed_total",
    Kind.COUNTER,
    "ICMP fragmentation needed and ICMPv6 packet too big, forwarded or sent by this machine",
    _TABLE,
)
FORWARDED_PACKETS = Metric(
    "natobs_forwarded_packets_total",
    Kind.COUNTER,
    "Packets forwarded between private hosts and elsewhere; those of flows in a flowtable are not seen",
    _TABLE,
    labels=(_DIRECTION,),
)
FORWARDED_BYTES = Metric(
    "natobs_forwarded_bytes_total",
    Kind.COUNTER,
    "Bytes forwarded between private hosts and elsewhere, IP headers included; those of flows in a flowtable are not "
    "seen",
    _TABLE,
    labels=(_DIRECTION,),
)
ELEMENTS = Metric(
    "natobs_accounting_elements",
    Kind.GAUGE,
    "Destinations that were attempted and answered, and hosts, that the kernel tells apart now, of the IP version that "
    "has more",
    _SETS,
    labels=(Label("set", "what is told apart", domain=SETS),),
)
ELEMENTS_LIMIT = Metric(
    "natobs_accounting_elements_limit",
    Kind.GAUGE,
    "How many there can be of each IP version; what is beyond is counted as other",
    "the configuration",
    labels=(Label("set", "what is told apart", domain=SETS),),
)
