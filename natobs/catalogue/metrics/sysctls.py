"""Kernel parameters that bound what a NAT can do."""

from natobs.catalogue.types import Kind, Label, Metric

_CONNTRACK = (
    "max",
    "buckets",
    "expect_max",
    "tcp_timeout_established",
    "tcp_timeout_syn_sent",
    "tcp_timeout_syn_recv",
    "tcp_timeout_fin_wait",
    "tcp_timeout_close_wait",
    "tcp_timeout_last_ack",
    "tcp_timeout_time_wait",
    "tcp_timeout_close",
    "tcp_timeout_unacknowledged",
    "udp_timeout",
    "udp_timeout_stream",
    "icmp_timeout",
    "generic_timeout",
    "tcp_loose",
    "tcp_be_liberal",
    "acct",
    "timestamp",
    "checksum",
)

SYSCTL = Metric(
    "natobs_sysctl",
    Kind.GAUGE,
    "Kernel parameter that bounds what this NAT can do, in the kernel's own unit (timeouts in seconds); "
    "read at most every 15 s, absent where this kernel or network namespace has none",
    "/proc/sys",
    labels=(
        Label(
            "name",
            "the parameter as sysctl(8) names it; ip_local_port_range bounds the machine's own sockets, not its SNAT",
            domain=(
                "net.ipv4.ip_forward",
                "net.ipv6.conf.all.forwarding",
                "net.ipv4.conf.all.rp_filter",
                "net.ipv4.conf.default.rp_filter",
                "net.ipv4.conf.all.send_redirects",
                "net.ipv4.ip_local_port_range.min",
                "net.ipv4.ip_local_port_range.max",
                "net.ipv4.icmp_msgs_per_sec",
                "net.ipv4.icmp_ratelimit",
                *(f"net.netfilter.nf_conntrack_{name}" for name in _CONNTRACK),
                "net.core.netdev_max_backlog",
                "net.core.netdev_budget",
                "net.core.netdev_budget_usecs",
                "net.core.rps_sock_flow_entries",
                "net.ipv4.neigh.default.gc_thresh1",
                "net.ipv4.neigh.default.gc_thresh2",
                "net.ipv4.neigh.default.gc_thresh3",
                "net.ipv6.neigh.default.gc_thresh3",
            ),
        ),
    ),
)
