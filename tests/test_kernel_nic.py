import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.catalogue.metrics import nic as catalogue
from natobs.errors import FormatError
from natobs.kernel import nic
from tests import nic_fixtures


def counters(driver: str, names: tuple[str, ...], **known: int) -> nic.Counters:
    """Every known statistic has its place in the list as its value, but those given."""
    places = nic.find(driver, names)
    assert places is not None
    return nic.decode(places, [known.get(name, place) for place, name in enumerate(names)])


def total(names: tuple[str, ...], *wanted: str) -> int:
    assert set(wanted) <= set(names)
    return sum(names.index(name) for name in wanted)


def test_words_are_the_domains_of_the_catalogue() -> None:
    assert nic.words(nic.EXCEEDED) == catalogue.ALLOWANCES
    assert nic.words(nic.DROPS) == catalogue.DROP_REASONS
    assert nic.words(nic.AVAILABLE) == ("conntrack",)


def test_ena_before_and_after_the_allowances() -> None:
    old = counters("ena", nic_fixtures.ENA_OLD)
    assert (old.exceeded, old.available) == ({}, {})
    names = nic_fixtures.ENA
    middle = counters("ena", names)
    assert middle.exceeded == {
        word: names.index(f"{word}_allowance_exceeded") for word in ("bw_in", "bw_out", "pps", "conntrack", "linklocal")
    }
    assert middle.available == {}
    assert middle.drops == {
        "rx_no_memory": total(names, "queue_0_rx_skb_alloc_fail", "queue_1_rx_skb_alloc_fail"),
        "tx_dma_mapping": total(names, "queue_0_tx_dma_mapping_err", "queue_1_tx_dma_mapping_err"),
        "tx_no_memory": total(names, "queue_0_tx_linearize_failed", "queue_1_tx_linearize_failed"),
        "tx_descriptor": total(names, "queue_0_tx_prepare_ctx_err", "queue_1_tx_prepare_ctx_err"),
    }
    assert counters("ena", nic_fixtures.ENA_NEW, conntrack_allowance_available=76952).available == {"conntrack": 76952}


def test_gve_says_nothing_for_its_card_until_the_card_reported() -> None:
    names = nic_fixtures.GVE
    own = {
        "rx_no_memory": total(names, "rx_skb_alloc_fail", "rx_buf_alloc_fail"),
        "rx_descriptor": total(names, "rx_desc_err_dropped_pkt"),
        "tx_dma_mapping": total(names, "tx_dma_mapping_error[0]", "tx_dma_mapping_error[1]"),
    }
    reported = {
        "rx_queue": total(names, "rx_queue_drop_cnt[0]", "rx_queue_drop_cnt[1]"),
        "rx_no_buffer": total(names, "rx_no_buffers_posted[0]", "rx_no_buffers_posted[1]"),
        "rx_too_long": total(names, "rx_drops_packet_over_mru[0]", "rx_drops_packet_over_mru[1]"),
        "rx_checksum": total(names, "rx_drops_invalid_checksum[0]", "rx_drops_invalid_checksum[1]"),
    }
    assert counters("gve", names, stats_report_trigger_cnt=0).drops == own
    assert counters("gve", names, stats_report_trigger_cnt=1).drops == own | reported


def test_hv_netvsc() -> None:
    names = nic_fixtures.NETVSC
    assert counters("hv_netvsc", names).drops == {
        "rx_no_memory": total(names, "rx_no_memory"),
        "tx_no_memory": total(names, "tx_no_memory"),
        "tx_no_space": total(names, "tx_no_space"),
        "tx_too_long": total(names, "tx_too_big"),
        "tx_vf": total(names, "vf_tx_dropped"),
    }


def test_mana() -> None:
    names = nic_fixtures.MANA
    drops = counters("mana", names).drops
    assert drops["rx_no_buffer"] == total(names, "hc_rx_discards_no_wqe")
    assert drops["tx_disabled"] == total(names, "hc_tx_err_gf_disabled", "hc_tx_err_vport_disabled")
    assert drops["tx_policy"] == total(
        names, *(f"hc_tx_err_{what}_enforcement" for what in ("vlan", "eth_type", "sa", "sqpdid", "cqpdid"))
    )
    assert drops["tx_dma_mapping"] == total(names, "tx_0_mana_map_err", "tx_1_mana_map_err")
    assert len(drops) == 9


@pytest.mark.parametrize(
    ("names", "form"), [(nic_fixtures.VIRTIO_OLD, "rx_queue_{}_drops"), (nic_fixtures.VIRTIO, "rx{}_drops")]
)
def test_virtio_counts_each_drop_once(names: tuple[str, ...], form: str) -> None:
    assert counters("virtio_net", names).drops == {"rx_driver": total(names, form.format(0), form.format(1))}


def test_the_rate_limit_of_a_virtio_device_is_an_allowance() -> None:
    names = nic_fixtures.VIRTIO
    assert counters("virtio_net", names).exceeded == {
        "rate_in": total(names, "rx0_hw_ratelimit_packets", "rx1_hw_ratelimit_packets"),
        "rate_out": total(names, "tx0_hw_ratelimit_packets", "tx1_hw_ratelimit_packets"),
    }


def test_names_mean_something_only_to_their_driver() -> None:
    assert nic.find("veth", nic_fixtures.ENA) is None
    assert nic.find("gve", nic_fixtures.NETVSC[:3]) is None
    assert nic.find("ena", ()) is None


def test_another_number_of_statistics_is_a_format_error() -> None:
    places = nic.find("ena", nic_fixtures.ENA)
    assert places is not None
    for count in (0, len(nic_fixtures.ENA) - 1, len(nic_fixtures.ENA) + 1):
        with pytest.raises(FormatError):
            nic.decode(places, [0] * count)


NAMES = st.one_of(st.text(max_size=32), st.sampled_from(nic_fixtures.GVE + nic_fixtures.ENA_NEW))


@given(st.sampled_from([*nic.DRIVERS, "veth"]), st.lists(NAMES, max_size=30))
def test_any_names_are_decoded_within_the_domains(driver: str, names: list[str]) -> None:
    places = nic.find(driver, names)
    if places is not None:
        found = nic.decode(places, range(len(names)))
        assert set(found.exceeded) <= set(catalogue.ALLOWANCES)
        assert set(found.drops) <= set(catalogue.DROP_REASONS)
