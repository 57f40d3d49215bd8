from natobs.catalogue.metrics import protocols, protocols6
from natobs.catalogue.types import metrics_of
from natobs.collectors.base import run
from natobs.collectors.protocols import ProtocolsCollector
from natobs.errors import UnavailableError
from natobs.kernel import snmp
from natobs.kernel.live import LiveMachine
from tests.fakes import FakeMachine
from tests.test_kernel_snmp import NETSTAT, SNMP6, SNMP_4_9


def machine() -> FakeMachine:
    return FakeMachine({snmp.SNMP_FILE.key: SNMP_4_9, snmp.NETSTAT_FILE.key: NETSTAT, snmp.SNMP6_FILE.key: SNMP6})


def test_every_field_that_is_there_and_no_other() -> None:
    reading = ProtocolsCollector().collect(machine())
    assert not reading.gaps
    assert {sample.metric.name: sample.value for sample in reading.samples} == {
        "natobs_ip_forwarded_datagrams_total": 3000000000000,
        "natobs_ip_header_errors_total": 1,
        "natobs_ip_address_errors_total": 2,
        "natobs_ip_output_no_route_total": 4,
        "natobs_ip_fragmentation_failures_total": 5,
        "natobs_icmp_input_errors_total": 8,
        "natobs_icmp_checksum_errors_total": 7,
        "natobs_icmp_received_destination_unreachable_total": 6,
        "natobs_icmp_sent_destination_unreachable_total": 5,
        "natobs_tcp_retransmitted_segments_total": 11,
        "natobs_tcp_resets_sent_total": 12,
        "natobs_udp_no_port_total": 1,
        "natobs_udp_input_errors_total": 2,
        "natobs_tcp_listen_overflows_total": 3,
        "natobs_ip_reverse_path_filter_drops_total": 2**64 - 1,
        "natobs_ip_input_no_route_total": 17,
        "natobs_ip_truncated_packets_total": 0,
        "natobs_ip6_input_no_route_total": 42,
        "natobs_udp6_no_port_total": 3,
    }


def test_a_machine_without_ipv6_has_the_rest() -> None:
    lame = machine()
    del lame.answers[snmp.SNMP6_FILE.key]
    lame.answers[snmp.NETSTAT_FILE.key] = UnavailableError("permission", "not this one")
    outcome = run(ProtocolsCollector(), lame)
    assert {gap.reason for gap in outcome.gaps} == {"absent", "permission"}
    assert {sample.metric.name.split("_")[1] for sample in outcome.samples} == {"ip", "icmp", "tcp", "udp"}


def test_the_table_of_fields_is_all_there_is() -> None:
    for module in protocols, protocols6:
        assert list(module.OF_FIELD.values()) == list(metrics_of(module))
        assert all(metric.source.endswith(f" {field}") for field, metric in module.OF_FIELD.items())


def test_every_field_of_the_table_exists_on_this_kernel_or_is_newer() -> None:
    outcome = run(ProtocolsCollector(), LiveMachine())
    missing = set(ProtocolsCollector.metrics) - {sample.metric for sample in outcome.samples}
    assert {metric.name for metric in missing} <= {
        "natobs_icmp_rate_limited_global_total",
        "natobs_icmp_rate_limited_host_total",
        "natobs_icmp6_rate_limited_host_total",
    }
