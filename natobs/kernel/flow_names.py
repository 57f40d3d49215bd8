"""Numbers of the connection tracking table and what they are called.

Sources: include/uapi/linux/netfilter/nf_conntrack_common.h (enum
ip_conntrack_status), net/netfilter/nf_conntrack_proto_tcp.c
(tcp_conntrack_names), RFC 5237 (protocol numbers). Knows names only.
"""

SEEN_REPLY, ASSURED, SRC_NAT, DST_NAT = 1 << 1, 1 << 2, 1 << 4, 1 << 5
DYING, FIXED_TIMEOUT, OFFLOAD, HW_OFFLOAD = 1 << 9, 1 << 10, 1 << 14, 1 << 15

TCP = 6
TCP_STATES = (
    *("NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT"),
    *("CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2"),
)
TIME_WAIT = TCP_STATES.index("TIME_WAIT")

PROTOCOLS = {
    1: "icmp",
    TCP: "tcp",
    17: "udp",
    33: "dccp",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    132: "sctp",
    136: "udplite",
}


def protocol(number: int) -> str:
    """The name of an IP protocol that conntrack knows, else its number."""
    return PROTOCOLS.get(number, str(number))


def state_name(tcp_state: int | None, status: int | None) -> str:
    """The name of a state: of TCP the kernel's, else what the status says.

    Args:
        tcp_state: None for other protocols.
        status: bits of enum ip_conntrack_status, or None where they were not sent.
    """
    if tcp_state is not None and tcp_state < len(TCP_STATES):
        return TCP_STATES[tcp_state]
    if status is None:
        return "unknown"
    if status & ASSURED:
        return "assured"
    return "replied" if status & SEEN_REPLY else "unreplied"
