"""Names of driver statistics, as the sources of the drivers make them, for machines that no test can have.

The names are those of drivers/net/ethernet/amazon/ena/ena_ethtool.c,
drivers/net/ethernet/google/gve/gve_ethtool.c, drivers/net/hyperv/netvsc_drv.c,
drivers/net/ethernet/microsoft/mana/mana_ethtool.c (without its counters per traffic class)
and drivers/net/virtio_net.c before and since Linux 6.10, with two queues or CPUs.
"""

QUEUES = range(2)

_ENA_TX = (
    *("cnt", "bytes", "queue_stop", "queue_wakeup", "dma_mapping_err", "linearize", "linearize_failed", "napi_comp"),
    *("tx_poll", "doorbells", "prepare_ctx_err", "bad_req_id", "llq_buffer_copy", "missed_tx", "unmask_interrupt"),
)
_ENA_RX = (
    *("cnt", "bytes", "rx_copybreak_pkt", "csum_good", "refil_partial", "bad_csum", "page_alloc_fail"),
    *("skb_alloc_fail", "dma_mapping_err", "bad_desc_num", "bad_req_id", "empty_rx_ring", "csum_unchecked"),
)
_ENA_ALLOWANCES = tuple(f"{word}_allowance_exceeded" for word in ("bw_in", "bw_out", "pps", "conntrack", "linklocal"))


def _ena(allowances: tuple[str, ...]) -> tuple[str, ...]:
    return (
        *("tx_timeout", "suspend", "resume", "wd_expired", "interface_up", "interface_down", "admin_q_pause"),
        *allowances,
        *(
            name
            for queue in QUEUES
            for name in (
                *(f"queue_{queue}_tx_{stat}" for stat in _ENA_TX),
                *(f"queue_{queue}_rx_{stat}" for stat in _ENA_RX),
            )
        ),
        *(f"ena_admin_q_{stat}" for stat in ("aborted_cmd", "submitted_cmd", "completed_cmd", "out_of_space")),
        "ena_admin_q_no_completion",
    )


ENA_OLD = _ena(())
ENA = _ena(_ENA_ALLOWANCES)
ENA_NEW = _ena((*_ENA_ALLOWANCES, "conntrack_allowance_available"))

GVE = (
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_dropped", "tx_dropped", "tx_timeouts"),
    *("rx_skb_alloc_fail", "rx_buf_alloc_fail", "rx_desc_err_dropped_pkt", "interface_up_cnt", "interface_down_cnt"),
    *("reset_cnt", "page_alloc_fail", "dma_mapping_error", "stats_report_trigger_cnt"),
    *(
        f"rx_{stat}[{queue}]"
        for queue in QUEUES
        for stat in (
            *("posted_desc", "completed_desc", "consumed_desc", "bytes", "cont_packet_cnt", "frag_flip_cnt"),
            *("frag_copy_cnt", "frag_alloc_cnt", "dropped_pkt", "copybreak_pkt", "copied_pkt", "queue_drop_cnt"),
            *("no_buffers_posted", "drops_packet_over_mru", "drops_invalid_checksum"),
        )
    ),
    *(
        f"tx_{stat}[{queue}]"
        for queue in QUEUES
        for stat in (
            *("posted_desc", "completed_desc", "consumed_desc", "bytes", "wake", "stop", "event_counter"),
            "dma_mapping_error",
        )
    ),
    *("adminq_prod_cnt", "adminq_cmd_fail", "adminq_timeouts", "adminq_report_stats_cnt"),
)

NETVSC = (
    *("tx_scattered", "tx_no_memory", "tx_no_space", "tx_too_big", "tx_busy", "tx_send_full", "rx_comp_busy"),
    *("rx_no_memory", "stop_queue", "wake_queue", "vlan_error"),
    *("vf_rx_packets", "vf_rx_bytes", "vf_tx_packets", "vf_tx_bytes", "vf_tx_dropped"),
    *(
        f"{way}_queue_{queue}_{stat}"
        for queue in QUEUES
        for way, stats in (
            ("tx", ("packets", "bytes", "xdp_xmit")),
            ("rx", ("packets", "bytes", "xdp_drop", "xdp_redirect", "xdp_tx")),
        )
        for stat in stats
    ),
    *(
        f"cpu{cpu}_{vf}{way}_{unit}"
        for cpu in QUEUES
        for vf in ("", "vf_")
        for way in ("rx", "tx")
        for unit in ("packets", "bytes")
    ),
)

MANA = (
    *("stop_queue", "wake_queue", "tx_cq_err", "tx_cqe_unknown_type", "tx_linear_pkt_cnt", "rx_coalesced_err"),
    "rx_cqe_unknown_type",
    *("hc_rx_discards_no_wqe", "hc_rx_err_vport_disabled", "hc_rx_bytes", "hc_rx_ucast_pkts", "hc_rx_ucast_bytes"),
    *("hc_tx_err_gf_disabled", "hc_tx_err_vport_disabled", "hc_tx_err_inval_vportoffset_pkt"),
    *("hc_tx_err_vlan_enforcement", "hc_tx_err_eth_type_enforcement", "hc_tx_err_sa_enforcement"),
    *("hc_tx_err_sqpdid_enforcement", "hc_tx_err_cqpdid_enforcement", "hc_tx_err_mtu_violation"),
    *("hc_tx_err_inval_oob", "hc_tx_err_gdma", "hc_tx_bytes", "hc_rx_pkt_drop_phy", "hc_tx_pkt_drop_phy"),
    *(f"rx_{queue}_{stat}" for queue in QUEUES for stat in ("packets", "bytes", "xdp_drop", "xdp_tx", "xdp_redirect")),
    *(f"tx_{queue}_{stat}" for queue in QUEUES for stat in ("packets", "bytes", "tso_packets", "mana_map_err")),
)

VIRTIO_OLD = (
    *(
        f"rx_queue_{queue}_{stat}"
        for queue in QUEUES
        for stat in ("packets", "bytes", "drops", "xdp_packets", "xdp_tx", "xdp_redirects", "xdp_drops", "kicks")
    ),
    *(
        f"tx_queue_{queue}_{stat}"
        for queue in QUEUES
        for stat in ("packets", "bytes", "xdp_tx", "xdp_tx_drops", "kicks", "tx_timeouts")
    ),
)
_VIRTIO_RX = ("drops", "xdp_packets", "xdp_tx", "xdp_redirects", "xdp_drops", "kicks", "hw_ratelimit_packets")
_VIRTIO_TX = ("xdp_tx", "xdp_tx_drops", "kicks", "tx_timeouts", "hw_ratelimit_packets")
VIRTIO = (
    *(f"rx_{stat}" for stat in _VIRTIO_RX),
    *(f"tx_{stat}" for stat in _VIRTIO_TX),
    *(f"rx{queue}_{stat}" for queue in QUEUES for stat in _VIRTIO_RX),
    *(f"tx{queue}_{stat}" for queue in QUEUES for stat in _VIRTIO_TX),
)
