"""What the private statistics of cloud network drivers mean: allowances of the instance, and drops by reason.

The tables below are the whole knowledge, read in the drivers' sources; every
other statistic is ignored (one host had 10,196). Counted are packets that were
lost, not events that may lead to loss: a transmit queue that was stopped, a
packet that is sent again (``tx_busy`` of hv_netvsc) or a timeout is no drop.
Where a driver reports both a total and the same per queue, only one is in the
table, so that nothing counts twice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from natobs.errors import FormatError

EXCEEDED, AVAILABLE, DROPS = "exceeded", "available", "drops"
_QUEUE_NUMBER = re.compile(r"\d+")

_ENA = {
    # drivers/net/ethernet/amazon/ena/ena_ethtool.c; allowances since driver 2.2.10, what is available since 2.8.1:
    # https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/monitoring-network-performance-ena.html
    "bw_in_allowance_exceeded": (EXCEEDED, "bw_in"),
    "bw_out_allowance_exceeded": (EXCEEDED, "bw_out"),
    "pps_allowance_exceeded": (EXCEEDED, "pps"),
    "conntrack_allowance_exceeded": (EXCEEDED, "conntrack"),
    "linklocal_allowance_exceeded": (EXCEEDED, "linklocal"),
    "conntrack_allowance_available": (AVAILABLE, "conntrack"),
    "queue_#_rx_skb_alloc_fail": (DROPS, "rx_no_memory"),
    "queue_#_tx_dma_mapping_err": (DROPS, "tx_dma_mapping"),
    "queue_#_tx_linearize_failed": (DROPS, "tx_no_memory"),
    "queue_#_tx_prepare_ctx_err": (DROPS, "tx_descriptor"),
}
_GVE = {
    # drivers/net/ethernet/google/gve/gve_ethtool.c
    "rx_skb_alloc_fail": (DROPS, "rx_no_memory"),
    "rx_buf_alloc_fail": (DROPS, "rx_no_memory"),
    "rx_desc_err_dropped_pkt": (DROPS, "rx_descriptor"),
    "rx_queue_drop_cnt[#]": (DROPS, "rx_queue"),
    "rx_no_buffers_posted[#]": (DROPS, "rx_no_buffer"),
    "rx_drops_packet_over_mru[#]": (DROPS, "rx_too_long"),
    "rx_drops_invalid_checksum[#]": (DROPS, "rx_checksum"),
    "tx_dma_mapping_error[#]": (DROPS, "tx_dma_mapping"),
}
_GVE_REPORTED = frozenset({"rx_queue", "rx_no_buffer", "rx_too_long", "rx_checksum"})
_GVE_REPORTS = "stats_report_trigger_cnt"
"""These the NIC itself reports, and only after ``ethtool --set-priv-flags DEVICE report-stats on``: while the number of
reports is 0 they are zeros that nobody measured."""
_NETVSC = {
    # drivers/net/hyperv/netvsc_drv.c
    "rx_no_memory": (DROPS, "rx_no_memory"),
    "tx_no_memory": (DROPS, "tx_no_memory"),
    "tx_no_space": (DROPS, "tx_no_space"),
    "tx_too_big": (DROPS, "tx_too_long"),
    "vf_tx_dropped": (DROPS, "tx_vf"),
}
_MANA = {
    # drivers/net/ethernet/microsoft/mana/mana_ethtool.c; hc_ is counted by the hardware, not by the driver
    "hc_rx_discards_no_wqe": (DROPS, "rx_no_buffer"),
    "hc_rx_err_vport_disabled": (DROPS, "rx_disabled"),
    "hc_rx_pkt_drop_phy": (DROPS, "rx_port"),
    "hc_tx_err_gf_disabled": (DROPS, "tx_disabled"),
    "hc_tx_err_vport_disabled": (DROPS, "tx_disabled"),
    "hc_tx_err_vlan_enforcement": (DROPS, "tx_policy"),
    "hc_tx_err_eth_type_enforcement": (DROPS, "tx_policy"),
    "hc_tx_err_sa_enforcement": (DROPS, "tx_policy"),
    "hc_tx_err_sqpdid_enforcement": (DROPS, "tx_policy"),
    "hc_tx_err_cqpdid_enforcement": (DROPS, "tx_policy"),
    "hc_tx_err_mtu_violation": (DROPS, "tx_too_long"),
    "hc_tx_err_inval_vportoffset_pkt": (DROPS, "tx_descriptor"),
    "hc_tx_err_inval_oob": (DROPS, "tx_descriptor"),
    "hc_tx_err_gdma": (DROPS, "tx_descriptor"),
    "hc_tx_pkt_drop_phy": (DROPS, "tx_port"),
    "tx_#_mana_map_err": (DROPS, "tx_dma_mapping"),
}
_VIRTIO = {
    # drivers/net/virtio_net.c; rx_queue_#_ became rx#_ in Linux 6.10, which also added totals without a number and,
    # where the hypervisor counts, what it dropped above the device's rate limit (VIRTIO_NET_F_DEVICE_STATS)
    "rx_queue_#_drops": (DROPS, "rx_driver"),
    "rx#_drops": (DROPS, "rx_driver"),
    "rx#_hw_ratelimit_packets": (EXCEEDED, "rate_in"),
    "tx#_hw_ratelimit_packets": (EXCEEDED, "rate_out"),
}
DRIVERS: dict[str, dict[str, tuple[str, str]]] = {
    "ena": _ENA,
    "gve": _GVE,
    "hv_netvsc": _NETVSC,
    "mana": _MANA,
    "virtio_net": _VIRTIO,
}
"""Driver to its statistics, with ``#`` for the number of a queue, and their meaning: family and word."""


def words(family: str) -> tuple[str, ...]:
    """Every word of a family, over all drivers, sorted."""
    return tuple(sorted({word for table in DRIVERS.values() for kind, word in table.values() if kind == family}))


@dataclass(frozen=True, slots=True)
class Places:
    """Where in a device's statistics the known ones are.

    Args:
        count: how many statistics the device has; when that changes, the places are wrong.
        found: family, word and the places whose sum is wanted.
        reports: the place of the number of reports that the words of ``reported`` depend on, None where none do.
        reported: those words.
    """

    count: int
    found: tuple[tuple[str, str, tuple[int, ...]], ...]
    reports: int | None = None
    reported: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Counters:
    """What is known of one device; a word that its driver does not have is missing.

    Args:
        exceeded: packets that the cloud queued or dropped above an allowance, by allowance.
        available: what is left of an allowance, by allowance.
        drops: packets that the driver or the hardware dropped, by reason.
    """

    exceeded: dict[str, int]
    available: dict[str, int]
    drops: dict[str, int]


def find(driver: str, names: Sequence[str]) -> Places | None:
    """Where the known statistics are among the names of a driver, None when there is none."""
    table = DRIVERS.get(driver, {})
    places: dict[tuple[str, str], list[int]] = {}
    for place, name in enumerate(names):
        meaning = table.get(name) or table.get(_QUEUE_NUMBER.sub("#", name))
        if meaning is not None:
            places.setdefault(meaning, []).append(place)
    if not places:
        return None
    found = tuple((family, word, tuple(where)) for (family, word), where in places.items())
    if table is _GVE and _GVE_REPORTS in names:
        return Places(len(names), found, names.index(_GVE_REPORTS), _GVE_REPORTED)
    return Places(len(names), found)


def decode(places: Places, values: Sequence[int]) -> Counters:
    """Sum up a device's statistics.

    Raises:
        FormatError: there are more or fewer values than there were names.
    """
    if len(values) != places.count:
        raise FormatError(f"ethtool: {len(values)} statistics for {places.count} names")
    unmeasured = places.reported if places.reports is not None and not values[places.reports] else frozenset[str]()
    sums: dict[str, dict[str, int]] = {EXCEEDED: {}, AVAILABLE: {}, DROPS: {}}
    for family, word, where in places.found:
        if word not in unmeasured:
            sums[family][word] = sum(values[place] for place in where)
    return Counters(sums[EXCEEDED], sums[AVAILABLE], sums[DROPS])
