"""Conntrack counters against conntrack-tools, and every reason for dropped new flows produced for real."""

from collections.abc import Callable
from itertools import count

import pytest

from natobs.kernel.conntrack import FIELDS
from natobs.lab import entries, topology, traffic
from natobs.lab.faults import facts
from natobs.lab.lab import Host, Lab
from tests.lab.agents import AgentInLab, Scrape, agent_in
from tests.lab.conftest import LabFactory
from tests.loopback import eventually

pytestmark = pytest.mark.lab

SILENT = 9
"""The port that takes datagrams and never answers."""


def counters(nat: Host) -> dict[str, int]:
    """``conntrack -S``, summed over CPUs."""
    counted = facts.conntrack(nat)
    return {field: counted.get(field, 0) for field in FIELDS}


def reasons(scrape: Scrape) -> dict[str, float]:
    return scrape.by("natobs_new_flow_drops_total", "reason")


def settled(nat: Host, agent: AgentInLab) -> tuple[Scrape, dict[str, int]]:
    """A scrape, and the counters of the kernel, which were the same before it and after it."""
    found: list[Scrape] = []
    kernel: dict[str, int] = {}

    def stood_still() -> bool:
        kernel.update(counters(nat))
        found[:] = [agent.scrape()]
        return counters(nat) == kernel

    assert eventually(stood_still)
    return found[0], kernel


class Watch:
    """What agent and kernel counted since the last look."""

    def __init__(self, nat: Host, agent: AgentInLab) -> None:
        self._nat = nat
        self._agent = agent
        scrape, self._counters = settled(nat, agent)
        self._reasons = reasons(scrape)

    def look(self, drops: int = 0) -> tuple[dict[str, float], dict[str, int]]:
        """Look as soon as so many packets were dropped: under load they are on their way for a while."""
        assert eventually(lambda: counters(self._nat)["drop"] - self._counters["drop"] >= drops)
        scrape, kernel = settled(self._nat, self._agent)
        now = reasons(scrape)
        seen = {reason: value - self._reasons[reason] for reason, value in now.items()}
        counted = {field: value - self._counters[field] for field, value in kernel.items()}
        self._reasons, self._counters = now, kernel
        return seen, counted


def test_everything_agrees_with_conntrack_tools(two_armed_lab: Lab) -> None:
    nat, client = two_armed_lab.host("nat"), two_armed_lab.host("client1")
    with agent_in(nat) as agent:
        server = two_armed_lab.topology.server_addresses(4)[0]
        traffic.udp_flows(client, server, SILENT, count=40, first_port=20000)
        with traffic.tcp_flows(client, server, 7, count=25) as opened:
            assert opened == 25
            scrape, kernel = settled(nat, agent)
            assert scrape.value("natobs_conntrack_entries") == int(nat.run(["conntrack", "-C"]).stdout)
            assert scrape.value("natobs_conntrack_entries") >= 65
    scrape_limit = scrape.value("natobs_conntrack_entries_limit")
    assert scrape_limit == int(nat.run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]).stdout)
    exported = {field: scrape.value(f"natobs_conntrack_{field}_total") for field in FIELDS}
    assert exported == kernel
    assert scrape.by("natobs_conntrack_source_info", "source") == {"ctnetlink": 1}


def test_ports_exhausted(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("ports", ports=(1024, 1123)))
    with agent_in(lab.host("nat")) as agent:
        watch = Watch(lab.host("nat"), agent)
        traffic.udp_flows(lab.host("client1"), lab.topology.server_addresses(4)[0], SILENT, count=300, first_port=20000)
        seen, counted = watch.look(200)
    assert counted["drop"] == counted["insert_failed"] == 200
    assert seen == {"table_full": 0, "tuple_clash": 200, "chain_too_long": 0}


def test_tuple_clashes_without_exhaustion(two_armed_lab: Lab) -> None:
    server = two_armed_lab.topology.server_addresses(4)[1]
    with agent_in(two_armed_lab.host("nat")) as agent:
        watch = Watch(two_armed_lab.host("nat"), agent)
        # Both clients use the same source ports. For the second, the kernel looks at 248 ports in five runs
        # (nf_nat_l4proto_unique_tuple); with 39 % of all taken in one block, one flow in a hundred finds none.
        for name in ("client1", "client3"):
            traffic.udp_flows(two_armed_lab.host(name), server, SILENT, count=25_000, first_port=20000)
        seen, counted = watch.look(100)
    assert counted["drop"] > 100
    assert seen == {"table_full": 0, "tuple_clash": counted["drop"], "chain_too_long": 0}


def check_kernel_log(nat: Host, agent: AgentInLab, drop: Callable[[], object]) -> None:
    """Either the log tells of the full table, or it is forbidden, as in a user namespace, and nothing is said of it.

    In five seconds Linux writes ten lines about any network of this machine, so flows are dropped until it has told.
    """
    if nat.run(["sh", "-c", ": < /dev/kmsg"], check=False).returncode == 0:

        def told() -> bool:
            drop()
            return events_of(agent.scrape()).get("conntrack_table_full", 0) > 0

        assert eventually(told)
    else:
        scrape = agent.scrape()
        assert events_of(scrape) == {}
        assert scrape.value("natobs_collector_unavailable", collector="kernel_log", reason="permission") == 1


def events_of(scrape: Scrape) -> dict[str, float]:
    return scrape.by("natobs_kernel_log_events_total", "event")


def test_a_table_full_of_assured_entries_drops(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("full"))
    nat, server = lab.host("nat"), lab.topology.server_addresses(4)[0]
    with agent_in(nat) as agent:
        watch = Watch(nat, agent)
        limit = int(agent.scrape().value("natobs_conntrack_entries_limit"))
        entries.load(nat, limit, "assured", check=False)
        watch.look()

        def drop() -> None:
            traffic.udp_flows(lab.host("client1"), server, SILENT, count=50, first_port=20000)

        drop()
        seen, counted = watch.look(50)
        assert agent.scrape().value("natobs_conntrack_entries") >= limit
        check_kernel_log(nat, agent, drop)
    assert counted["drop"] == 50
    assert seen == {"table_full": 50, "tuple_clash": 0, "chain_too_long": 0}


def test_a_table_full_of_one_way_entries_evicts(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("oneway"))
    nat, server = lab.host("nat"), lab.topology.server_addresses(4)[0]
    with agent_in(nat) as agent:
        watch = Watch(nat, agent)
        limit = int(agent.scrape().value("natobs_conntrack_entries_limit"))
        ports = count(20_000, 50)  # those of flows that are there already would be no new ones
        seen: dict[str, float] = {}
        counted: dict[str, int] = {}

        def evicted() -> bool:
            """Where a full table anywhere on this machine dropped flows, Linux also evicts by itself, now and then."""
            entries.load(nat, limit, "one-way", check=False)
            watch.look()
            traffic.udp_flows(lab.host("client1"), server, SILENT, count=50, first_port=next(ports))
            now, kernel = watch.look()
            seen.update(now)
            counted.update(kernel)
            return counted["early_drop"] >= 48

        assert eventually(evicted, 60)
    # The kernel looks for a victim in 8 buckets (NF_CT_EVICTION_RANGE): with one entry a bucket, 3 in 10,000 find none.
    assert counted["drop"] <= 2
    assert seen == {"table_full": counted["drop"], "tuple_clash": 0, "chain_too_long": 0}
