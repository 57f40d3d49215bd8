"""Metrics of network devices: traffic, errors, drops, state, capacity, peaks, and the queues in front of them."""

from natobs.catalogue.types import Kind, Label, Metric

_LINK = "rtnetlink RTM_GETLINK, IFLA_STATS64 (struct rtnl_link_stats64)"
_QDISC = "rtnetlink RTM_GETQDISC, TCA_STATS2"
_SAMPLER = "sampled increments of rtnetlink RTM_GETSTATS over a monotonic clock"

DEVICE = Label("device", "name of the network device; never loopback", bound="64 devices, hardware first")
DIRECTION = Label("direction", "as seen from this machine", domain=("receive", "transmit"))
QDISC = Label(
    "qdisc", "kind of the queueing discipline, for example fq_codel", bound="the kinds in use, one or two a device"
)


def _counter(name: str, text: str, unit: str = "") -> Metric:
    return Metric(f"natobs_network_{name}_total", Kind.COUNTER, text, _LINK, unit=unit, labels=(DEVICE,))


RECEIVE_BYTES = _counter("receive_bytes", "Bytes received, with Ethernet headers, without checksum", "bytes")
TRANSMIT_BYTES = _counter("transmit_bytes", "Bytes sent, with Ethernet headers, without checksum", "bytes")
RECEIVE_PACKETS = _counter("receive_packets", "Packets received")
TRANSMIT_PACKETS = _counter("transmit_packets", "Packets sent")
RECEIVE_ERRORS = _counter("receive_errors", "Packets received damaged")
TRANSMIT_ERRORS = _counter("transmit_errors", "Packets that could not be sent: aborted, no carrier, late collision")
RECEIVE_DROPS = _counter(
    "receive_drops",
    "Packets received, then dropped by driver or kernel (rx_dropped); those that the device missed are not among them",
)
TRANSMIT_DROPS = _counter(
    "transmit_drops",
    "Packets that driver or kernel dropped on their way out (tx_dropped); drops of queues are not among them",
)
RECEIVE_MISSED = _counter(
    "receive_missed", "Packets that the device dropped for lack of a receive buffer (rx_missed_errors)"
)
CARRIER_CHANGES = Metric(
    "natobs_network_carrier_changes_total",
    Kind.COUNTER,
    "How often the carrier came or went since the device appeared",
    "rtnetlink RTM_GETLINK, IFLA_CARRIER_CHANGES (Linux 3.15)",
    labels=(DEVICE,),
)
UP = Metric(
    "natobs_network_up",
    Kind.GAUGE,
    "Whether the device is up and, as far as its driver knows, able to pass packets",
    "rtnetlink RTM_GETLINK, IFF_UP and IFF_RUNNING",
    labels=(DEVICE,),
)
MTU = Metric(
    "natobs_network_mtu_bytes",
    Kind.GAUGE,
    "Largest packet that the device sends, without link-layer header",
    "rtnetlink RTM_GETLINK, IFLA_MTU",
    unit="bytes",
    labels=(DEVICE,),
)
SPEED = Metric(
    "natobs_network_speed_bytes",
    Kind.GAUGE,
    "Speed that the network card reports, in bytes per second; absent for virtual devices, whose speed is made up",
    "ethtool ETHTOOL_GSET",
    unit="bytes",
    labels=(DEVICE,),
)
CAPACITY = Metric(
    "natobs_network_capacity_bytes_per_second",
    Kind.GAUGE,
    "What the device can carry in one direction: as configured, else the speed of the network card, else absent",
    "configuration, links.DEVICE.capacity_bits_per_second; else ethtool ETHTOOL_GSET",
    unit="bytes_per_second",
    labels=(DEVICE,),
)
LEFT_OUT = Metric(
    "natobs_network_devices_left_out",
    Kind.GAUGE,
    "Network devices beyond the 64 that are exported; virtual ones are left out first",
    "rtnetlink RTM_GETLINK",
)
QDISC_DROPS = Metric(
    "natobs_qdisc_drops_total",
    Kind.COUNTER,
    "Packets that the device's queueing discipline and its children dropped, each counted once",
    _QDISC,
    labels=(DEVICE, QDISC),
)
QDISC_BACKLOG = Metric(
    "natobs_qdisc_backlog_bytes",
    Kind.GAUGE,
    "Bytes waiting in the device's queueing discipline and its children",
    _QDISC,
    unit="bytes",
    labels=(DEVICE, QDISC),
)
PEAK_BYTES = Metric(
    "natobs_network_peak_bytes_per_second",
    Kind.GAUGE,
    "Highest rate of bytes between two samples in the last 60 seconds",
    _SAMPLER,
    unit="bytes_per_second",
    labels=(DEVICE, DIRECTION),
)
PEAK_PACKETS = Metric(
    "natobs_network_peak_packets_per_second",
    Kind.GAUGE,
    "Highest rate of packets between two samples in the last 60 seconds",
    _SAMPLER,
    unit="packets_per_second",
    labels=(DEVICE, DIRECTION),
)
