"""Counters of IPv6, ICMPv6 and UDP over IPv6 that matter to a NAT; chosen as those of IPv4 are.

TCP is counted for both families together, among the counters of IPv4.
"""

from natobs.catalogue.types import Kind, Metric

OF_FIELD: dict[str, Metric] = {}
"""Field of /proc/net/snmp6 to its metric: the only place where the two meet."""


def _counter(field: str, name: str, text: str) -> Metric:
    made = Metric(f"natobs_{name}_total", Kind.COUNTER, text, f"/proc/net/snmp6, field {field}")
    OF_FIELD[field] = made
    return made


IP6_FORWARDED = _counter("Ip6OutForwDatagrams", "ip6_forwarded_datagrams", "IPv6 packets forwarded")
IP6_HEADER_ERRORS = _counter(
    "Ip6InHdrErrors",
    "ip6_header_errors",
    "IPv6 packets dropped for their header: bad version or extension, or a hop limit that ran out while forwarding",
)
IP6_ADDRESS_ERRORS = _counter(
    "Ip6InAddrErrors",
    "ip6_address_errors",
    "IPv6 packets dropped because an address must not be forwarded from or to, such as a link-local source",
)
IP6_INPUT_DISCARDS = _counter(
    "Ip6InDiscards", "ip6_input_discards", "Sound IPv6 packets dropped on input or while forwarding"
)
IP6_OUTPUT_DISCARDS = _counter("Ip6OutDiscards", "ip6_output_discards", "Sound IPv6 packets dropped on output")
IP6_FORWARD_NO_ROUTE = _counter(
    "Ip6InNoRoutes",
    "ip6_input_no_route",
    "IPv6 packets dropped because no route led to their destination: rises when a NAT loses its default route",
)
IP6_OUTPUT_NO_ROUTE = _counter(
    "Ip6OutNoRoutes", "ip6_output_no_route", "IPv6 packets of this machine itself that found no route"
)
IP6_TRUNCATED = _counter(
    "Ip6InTruncatedPkts",
    "ip6_truncated_packets",
    "IPv6 packets dropped because they were shorter than their header says",
)
IP6_TOO_BIG = _counter(
    "Ip6InTooBigErrors",
    "ip6_too_big_errors",
    "IPv6 packets dropped while forwarding because they exceeded the outgoing MTU; their senders are told by ICMPv6",
)
IP6_REASSEMBLY_FAILURES = _counter(
    "Ip6ReasmFails",
    "ip6_reassembly_failures",
    "Failures to put IPv6 fragments together on this machine; connection tracking counts its own nowhere",
)
IP6_REASSEMBLY_TIMEOUTS = _counter(
    "Ip6ReasmTimeout", "ip6_reassembly_timeouts", "IPv6 packets given up because a fragment did not arrive in time"
)
IP6_FRAGMENTATION_FAILURES = _counter(
    "Ip6FragFails",
    "ip6_fragmentation_failures",
    "IPv6 packets dropped because they were too large to be sent or forwarded",
)

ICMP6_IN_UNREACHABLE = _counter(
    "Icmp6InDestUnreachs",
    "icmp6_received_destination_unreachable",
    "ICMPv6 destination unreachable that ended on this machine, not those translated for private hosts",
)
ICMP6_OUT_UNREACHABLE = _counter(
    "Icmp6OutDestUnreachs",
    "icmp6_sent_destination_unreachable",
    "ICMPv6 destination unreachable that this machine made itself: no route, or rejected by a rule",
)
ICMP6_IN_TOO_BIG = _counter(
    "Icmp6InPktTooBigs",
    "icmp6_received_packet_too_big",
    "ICMPv6 packet too big that ended on this machine, not those translated for private hosts",
)
ICMP6_OUT_TOO_BIG = _counter(
    "Icmp6OutPktTooBigs",
    "icmp6_sent_packet_too_big",
    "ICMPv6 packet too big that this machine made itself: the next link is narrower than the one before",
)
ICMP6_IN_TIME_EXCEEDED = _counter(
    "Icmp6InTimeExcds", "icmp6_received_time_exceeded", "ICMPv6 time exceeded that ended on this machine"
)
ICMP6_OUT_TIME_EXCEEDED = _counter(
    "Icmp6OutTimeExcds", "icmp6_sent_time_exceeded", "ICMPv6 time exceeded that this machine made itself"
)
ICMP6_IN_REDIRECTS = _counter(
    "Icmp6InRedirects", "icmp6_received_redirects", "ICMPv6 redirects that told this machine of a better gateway"
)
ICMP6_OUT_REDIRECTS = _counter("Icmp6OutRedirects", "icmp6_sent_redirects", "ICMPv6 redirects that this machine sent")
ICMP6_OUT_RATE_LIMITED_HOST = _counter(
    "Icmp6OutRateLimitHost",
    "icmp6_rate_limited_host",
    "ICMPv6 errors not sent because one receiver had been sent enough of them; packet too big may be among them, "
    "which breaks path MTU",
)

UDP6_INPUT_ERRORS = _counter(
    "Udp6InErrors", "udp6_input_errors", "UDP datagrams over IPv6 that this machine's own sockets could not take"
)
UDP6_NO_PORT = _counter(
    "Udp6NoPorts", "udp6_no_port", "UDP datagrams over IPv6 to this machine for which no socket waited"
)
UDP6_RECEIVE_BUFFER_ERRORS = _counter(
    "Udp6RcvbufErrors", "udp6_receive_buffer_errors", "UDP datagrams over IPv6 lost to a full buffer of an own socket"
)
