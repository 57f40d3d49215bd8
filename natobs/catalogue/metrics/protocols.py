"""Counters of IPv4, ICMP, TCP and UDP that matter to a NAT; IPv6 has a file of its own.

Chosen: what explains a packet that was not forwarded, and what shows that the
path behind the NAT is sick. Left out: sizes of traffic (interfaces count them),
and states of the machine's own sockets, of which forwarded flows have none.
All are counted per network namespace and are 64 bits wide on 64-bit machines.
"""

from natobs.catalogue.types import Kind, Metric

OF_FIELD: dict[str, Metric] = {}
"""Field as ``nstat`` names it to its metric: the only place where the two meet."""


def _counter(field: str, name: str, text: str) -> Metric:
    file = "/proc/net/netstat" if field.startswith(("TcpExt", "IpExt")) else "/proc/net/snmp"
    made = Metric(f"natobs_{name}_total", Kind.COUNTER, text, f"{file}, field {field}")
    OF_FIELD[field] = made
    return made


IP_FORWARDED = _counter("IpForwDatagrams", "ip_forwarded_datagrams", "IPv4 packets forwarded")
IP_HEADER_ERRORS = _counter(
    "IpInHdrErrors",
    "ip_header_errors",
    "IPv4 packets dropped for their header: bad version or options, or a TTL that ran out while forwarding",
)
IP_ADDRESS_ERRORS = _counter(
    "IpInAddrErrors",
    "ip_address_errors",
    "IPv4 packets dropped because the address was not ours and could not be forwarded to (an unreachable route, "
    "or forwarding switched off)",
)
IP_INPUT_DISCARDS = _counter(
    "IpInDiscards",
    "ip_input_discards",
    "Sound IPv4 packets dropped on input or while forwarding for want of a resource, such as memory",
)
IP_OUTPUT_DISCARDS = _counter(
    "IpOutDiscards",
    "ip_output_discards",
    "Sound IPv4 packets dropped on output, by a filter, a queue or lack of memory",
)
IP_FORWARD_NO_ROUTE = _counter(
    "IpExtInNoRoutes",
    "ip_input_no_route",
    "IPv4 packets dropped because no route led to their destination: rises when a NAT loses its default route",
)
IP_OUTPUT_NO_ROUTE = _counter(
    "IpOutNoRoutes", "ip_output_no_route", "IPv4 packets of this machine itself that found no route"
)
IP_TRUNCATED = _counter(
    "IpExtInTruncatedPkts",
    "ip_truncated_packets",
    "IPv4 packets dropped because they were shorter than their header says",
)
IP_CHECKSUM_ERRORS = _counter(
    "IpExtInCsumErrors", "ip_checksum_errors", "IPv4 packets dropped because the checksum of their header was wrong"
)
IP_REVERSE_PATH_DROPS = _counter(
    "TcpExtIPReversePathFilter",
    "ip_reverse_path_filter_drops",
    "IPv4 packets dropped by rp_filter, because replies to their source would leave by another interface",
)
IP_REASSEMBLY_FAILURES = _counter(
    "IpReasmFails",
    "ip_reassembly_failures",
    "Failures to put IPv4 fragments together; connection tracking reassembles whatever it tracks",
)
IP_REASSEMBLY_TIMEOUTS = _counter(
    "IpReasmTimeout", "ip_reassembly_timeouts", "IPv4 packets given up because a fragment did not arrive in time"
)
IP_FRAGMENTED = _counter("IpFragOKs", "ip_fragmented_datagrams", "IPv4 packets that were cut into fragments")
IP_FRAGMENTATION_FAILURES = _counter(
    "IpFragFails",
    "ip_fragmentation_failures",
    "IPv4 packets dropped because they exceeded the outgoing MTU and must not be fragmented; "
    "their senders are told by ICMP, if it reaches them",
)
IP_FRAGMENTS_CREATED = _counter("IpFragCreates", "ip_fragments_created", "IPv4 fragments made from larger packets")

ICMP_INPUT_ERRORS = _counter(
    "IcmpInErrors",
    "icmp_input_errors",
    "ICMP messages to this machine that were malformed or concerned nothing known here",
)
ICMP_CHECKSUM_ERRORS = _counter(
    "IcmpInCsumErrors", "icmp_checksum_errors", "ICMP messages to this machine with a wrong checksum"
)
ICMP_IN_UNREACHABLE = _counter(
    "IcmpInDestUnreachs",
    "icmp_received_destination_unreachable",
    "ICMP destination unreachable, fragmentation needed included, that ended on this machine; "
    "those translated and passed on to private hosts are not among them",
)
ICMP_OUT_UNREACHABLE = _counter(
    "IcmpOutDestUnreachs",
    "icmp_sent_destination_unreachable",
    "ICMP destination unreachable, fragmentation needed included, that this machine made itself: "
    "no route, rejected by a rule, or too large",
)
ICMP_IN_TIME_EXCEEDED = _counter(
    "IcmpInTimeExcds", "icmp_received_time_exceeded", "ICMP time exceeded that ended on this machine"
)
ICMP_OUT_TIME_EXCEEDED = _counter(
    "IcmpOutTimeExcds",
    "icmp_sent_time_exceeded",
    "ICMP time exceeded that this machine made itself; many in a short time mean a routing loop",
)
ICMP_IN_REDIRECTS = _counter(
    "IcmpInRedirects", "icmp_received_redirects", "ICMP redirects that told this machine of a better gateway"
)
ICMP_OUT_REDIRECTS = _counter(
    "IcmpOutRedirects",
    "icmp_sent_redirects",
    "ICMP redirects that this machine sent; a one-armed NAT that sends any makes its clients go round it",
)
ICMP_OUT_RATE_LIMITED = _counter(
    "IcmpOutRateLimitGlobal",
    "icmp_rate_limited_global",
    "ICMP errors not sent because of icmp_msgs_per_sec; fragmentation needed may be among them, which breaks path MTU",
)
ICMP_OUT_RATE_LIMITED_HOST = _counter(
    "IcmpOutRateLimitHost",
    "icmp_rate_limited_host",
    "ICMP errors not sent because one receiver had been sent enough of them (icmp_ratelimit)",
)

TCP_RETRANSMITTED = _counter(
    "TcpRetransSegs",
    "tcp_retransmitted_segments",
    "TCP segments sent again by this machine's own sockets, not by forwarded flows",
)
TCP_RESETS_SENT = _counter(
    "TcpOutRsts",
    "tcp_resets_sent",
    "TCP resets that this machine made itself, for its own sockets and for packets that belong to none, "
    "as after translations were lost; forwarded resets are not among them",
)
TCP_INPUT_ERRORS = _counter(
    "TcpInErrs", "tcp_input_errors", "TCP segments to this machine's own sockets that were damaged"
)
TCP_SYN_RETRANSMITS = _counter(
    "TcpExtTCPSynRetrans", "tcp_syn_retransmits", "SYN and SYN/ACK sent again by this machine's own sockets"
)
TCP_TIMEOUTS = _counter(
    "TcpExtTCPTimeouts",
    "tcp_retransmission_timeouts",
    "Retransmission timers that ran out on this machine's own sockets",
)
TCP_LISTEN_OVERFLOWS = _counter(
    "TcpExtListenOverflows", "tcp_listen_overflows", "Connections to this machine's own sockets refused by a full queue"
)
TCP_LISTEN_DROPS = _counter(
    "TcpExtListenDrops", "tcp_listen_drops", "Connections to this machine's own sockets dropped for any reason"
)

UDP_INPUT_ERRORS = _counter(
    "UdpInErrors", "udp_input_errors", "UDP datagrams over IPv4 that this machine's own sockets could not take"
)
UDP_NO_PORT = _counter(
    "UdpNoPorts",
    "udp_no_port",
    "UDP datagrams over IPv4 to this machine for which no socket waited, such as late replies to lost translations",
)
UDP_RECEIVE_BUFFER_ERRORS = _counter(
    "UdpRcvbufErrors", "udp_receive_buffer_errors", "UDP datagrams over IPv4 lost to a full buffer of an own socket"
)
UDP_SEND_BUFFER_ERRORS = _counter(
    "UdpSndbufErrors", "udp_send_buffer_errors", "UDP datagrams over IPv4 that an own socket could not send at once"
)
