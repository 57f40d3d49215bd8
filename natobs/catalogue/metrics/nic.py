"""Metrics that only the drivers of cloud network cards know: allowances of the instance, and drops by reason."""

from natobs.catalogue.metrics.network import DEVICE
from natobs.catalogue.types import Kind, Label, Metric

_STATISTICS = "ethtool statistics of the drivers ena, gve, hv_netvsc, mana and virtio_net"

ALLOWANCES = ("bw_in", "bw_out", "conntrack", "linklocal", "pps", "rate_in", "rate_out")
"""The words of ena without ``_allowance_exceeded``; ``rate_*`` is the limit that a virtio device reports."""
DROP_REASONS = (
    "rx_checksum",
    "rx_descriptor",
    "rx_disabled",
    "rx_driver",
    "rx_no_buffer",
    "rx_no_memory",
    "rx_port",
    "rx_queue",
    "rx_too_long",
    "tx_descriptor",
    "tx_disabled",
    "tx_dma_mapping",
    "tx_no_memory",
    "tx_no_space",
    "tx_policy",
    "tx_port",
    "tx_too_long",
    "tx_vf",
)

ALLOWANCE_EXCEEDED = Metric(
    "natobs_nic_allowance_exceeded_total",
    Kind.COUNTER,
    "Packets that the cloud queued or dropped because the instance exceeded an allowance",
    _STATISTICS,
    labels=(DEVICE, Label("allowance", "what was exceeded", domain=ALLOWANCES)),
)
CONNTRACK_AVAILABLE = Metric(
    "natobs_nic_conntrack_allowance_available",
    Kind.GAUGE,
    "Connections that the cloud will still track for the instance before it drops new ones",
    "ethtool statistic conntrack_allowance_available of ena (driver 2.8.1)",
    labels=(DEVICE,),
)
DRIVER_DROPS = Metric(
    "natobs_nic_driver_drops_total",
    Kind.COUNTER,
    "Packets dropped by driver or hardware, by reason; many are also among the device's receive and transmit drops",
    _STATISTICS,
    labels=(DEVICE, Label("reason", "direction, and why it was dropped", domain=DROP_REASONS)),
)
