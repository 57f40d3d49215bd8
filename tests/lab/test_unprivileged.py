"""The agent in a NAT without CAP_NET_ADMIN, and without any firewall program to be found."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from natobs.collectors.flows import FlowsCollector
from natobs.lab import topology, traffic
from natobs.lab.lab import Host
from tests.lab.agents import AgentInLab, Scrape, agent_in
from tests.lab.conftest import LabFactory
from tests.lab.test_conntrack import SILENT, counters, reasons

pytestmark = pytest.mark.lab

WITHOUT_NET_ADMIN = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
WITHOUT_PROGRAMS = ("env", "PATH=/nonexistent")
POOR_PORT = 9651
CENSUS = {metric.name for metric in FlowsCollector.metrics}
"""What an agent has once its first census is there, and what was in the table then."""
PRIVILEGED = ("accounting", "firewall", "flows", "taps")
"""Collectors that have nothing without CAP_NET_ADMIN, the taps all but their flowtables."""
Series = tuple[str, frozenset[tuple[str, str]]]


@pytest.fixture(scope="module")
def nat(lab_factory: LabFactory) -> Host:
    """Give a NAT of 100 ports, so that drops can be produced while agents watch."""
    return lab_factory(topology.two_armed("poor", ports=(1024, 1123))).host("nat")


@pytest.fixture(scope="module")
def agents(nat: Host) -> Iterator[tuple[AgentInLab, AgentInLab]]:
    """Give an agent with all rights and one without CAP_NET_ADMIN, that have both seen 200 flows find no port."""
    client, server = nat.lab.host("client1"), nat.lab.topology.server_addresses(4)[0]
    with ExitStack() as stack:
        full = stack.enter_context(agent_in(nat))
        poor = stack.enter_context(agent_in(nat, prefix=WITHOUT_NET_ADMIN, port=POOR_PORT))
        full.scrape()
        poor.scrape()
        traffic.udp_flows(client, server, SILENT, count=300, first_port=20000)
        yield full, poor


def about_outcomes(series: Series) -> bool:
    return series[0].startswith("natobs_collector_") or series[0] == "natobs_conntrack_source_info"


def has_peaks(scrape: Scrape) -> bool:
    """Peak rates take two samples, a second apart."""
    return any(series[0] == "natobs_network_peak_bytes_per_second" for series in scrape.series)


def test_conntrack_counters_come_from_procfs_and_agree_with_conntrack_tools(
    nat: Host, agents: tuple[AgentInLab, AgentInLab]
) -> None:
    scrape = agents[1].scrape()
    assert scrape.by("natobs_conntrack_source_info", "source") == {"procfs": 1}
    told = counters(nat)
    assert {field: scrape.value(f"natobs_conntrack_{field}_total") for field in told} == told
    assert told["drop"] == 200
    assert reasons(scrape) == {"table_full": 0, "tuple_clash": 200, "chain_too_long": 0}
    assert scrape.value("natobs_conntrack_entries") == int(nat.run(["conntrack", "-C"]).stdout)
    limit = nat.run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]).stdout
    assert scrape.value("natobs_conntrack_entries_limit") == int(limit)


def test_only_what_needs_a_privilege_is_missing_and_it_says_why(
    nat: Host, agents: tuple[AgentInLab, AgentInLab]
) -> None:
    for agent in agents:
        agent.await_value(has_peaks, 20)
    full = agents[0].await_value(lambda scrape: "natobs_nat_hosts" in {name for name, _ in scrape.series}, 20)
    poor = agents[1].await_value(lambda scrape: scrape.value("natobs_collector_success", collector="flows") == 0, 20)
    expected = full.by("natobs_collector_success", "collector")
    assert {expected[collector] for collector in PRIVILEGED} == {1}
    assert poor.by("natobs_collector_success", "collector") == expected | dict.fromkeys(PRIVILEGED, 0)
    for collector in PRIVILEGED:
        assert poor.value("natobs_collector_unavailable", collector=collector, reason="permission") == 1
    assert poor.value("natobs_tap_listening") == 1
    lost = {series[0] for series in full.series.keys() - poor.series.keys() if not about_outcomes(series)}
    assert "natobs_firewall_rule_packets_total" in lost
    assert "natobs_nat_hosts" in lost
    rest = {name for name in lost - CENSUS if not name.startswith("natobs_firewall_")}
    assert rest == {"natobs_accounting_installed", "natobs_nat_flowtables"}
    assert "CAP_NET_ADMIN" in traffic.fetch(nat, f"http://127.0.0.1:{POOR_PORT}/")


def test_nothing_is_zero_that_was_not_read(agents: tuple[AgentInLab, AgentInLab]) -> None:
    # In this order: a counter that is still 0 for the second agent was 0 when the first one read it.
    full, poor = (agent.scrape() for agent in agents)
    assert not [series for series in poor.series.keys() - full.series.keys() if not about_outcomes(series)]
    zeros = [series for series, value in poor.series.items() if value == 0 and series[0].endswith("_total")]
    assert len(zeros) > 10
    # What the kernel says goes to all who listen, also of what others do, and the first agent has listened for longer.
    zeros = [series for series in zeros if not series[0].startswith("natobs_kernel_log_")]
    assert [series for series in zeros if full.series[series] != 0] == []


def test_without_firewall_programs_nothing_changes(nat: Host, agents: tuple[AgentInLab, AgentInLab]) -> None:
    full = agents[0]
    with agent_in(nat, prefix=WITHOUT_PROGRAMS, port=9652) as bare:
        bare.scrape()
        for _attempt in range(20):  # IPv6 is never quite silent
            before, found, after = full.scrape(), bare.scrape(), full.scrape()
            if firewall(before) == firewall(after):
                break
        else:
            pytest.fail("the counters of the firewall never stood still")
        # A peak takes a second sample, which an agent that has just started may not have.
        missing = [name for name, _labels in before.series.keys() ^ found.series.keys() if "_peak_" not in name]
        missing = [name for name in missing if name not in CENSUS]
        assert [name for name in missing if name != "natobs_collector_unavailable"] == []
    assert firewall(found) == firewall(before) != {}


def firewall(scrape: Scrape) -> dict[Series, float]:
    return {series: value for series, value in scrape.series.items() if series[0].startswith("natobs_firewall_")}
