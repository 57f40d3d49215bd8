"""The census in a NAT that works: saturation of ports, ranges from each backend's rules, and the agent that has it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from natobs.lab import entries, topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab import people
from tests.lab.agents import AgentInLab, Scrape, agent_in
from tests.lab.conftest import LabFactory
from tests.loopback import eventually

pytestmark = pytest.mark.lab

SILENT, ECHO = 9, 7
RANGE = (1024, 1123)
SIZE = 100
BACKENDS = ("nftables", "iptables-nft", "iptables-legacy")


def census(nat: Host, *options: str, status: int = 0) -> dict[str, Any]:
    """What ``natobs census --json`` says."""
    done = nat.run([*nat.python("natobs", "census", "--json"), *options], check=False, timeout=60)
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def saturation(nat: Host, proto: str = "udp") -> dict[str, float]:
    """Share of the ports by destination address."""
    return {row["address"]: row["saturation"] for row in census(nat)["tuples"] if row["proto"] == proto}


@contextmanager
def agent(
    lab: Lab, directory: Path, settings: str = "interval_seconds = 3\nmax_cpu_share = 1.0"
) -> Iterator[AgentInLab]:
    file = directory / "natobs.toml"
    file.write_text(f"[census]\n{settings}\n", "utf-8")
    with agent_in(lab.host("nat"), "--config", str(file)) as running:
        yield running


def after_next_census(running: AgentInLab) -> Scrape:
    """A scrape with the figures of a census that began after this call."""
    called = time.time()
    return running.await_value(
        lambda scrape: max(scrape.of("natobs_census_timestamp_seconds").values(), default=0.0) > called, 60
    )


def drops(scrape: Scrape) -> float:
    return scrape.value("natobs_new_flow_drops_total", reason="tuple_clash")


def test_ports_run_out_destination_by_destination(lab_factory: LabFactory, tmp_path: Path) -> None:
    lab = lab_factory(topology.two_armed("satudp", ports=RANGE))
    nat, client = lab.host("nat"), lab.host("client1")
    full, quiet = lab.topology.server_addresses(4)[:2]
    (snat,) = lab.topology.snat_addresses(4)
    nat.run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=600"])  # however long this takes
    with agent(lab, tmp_path) as running:
        traffic.udp_flows(client, quiet, SILENT, count=40, first_port=20000)
        before = drops(running.scrape())
        sent = 0
        for count, ratio, refused in ((60, 0.60, 0), (95, 0.95, 0), (150, 1.00, 50)):
            traffic.udp_flows(client, full, SILENT, count=count - sent, first_port=30000 + sent)
            sent = count
            assert saturation(nat) == {full: ratio, quiet: 0.40}
            scrape = after_next_census(running)
            assert scrape.value("natobs_snat_destination_saturation_ratio", snat_ip=snat, proto="udp") == ratio
            assert scrape.value("natobs_snat_port_range_size", snat_ip=snat, proto="udp", source="ruleset") == SIZE
            assert {
                dict(labels)["destination"]: ports
                for labels, ports in scrape.of("natobs_snat_destination_ports_in_use").items()
            } == {full: min(count, SIZE), quiet: 40}
            assert scrape.value("natobs_snat_ports_in_use", snat_ip=snat, proto="udp") >= min(count, SIZE)
            assert drops(scrape) - before == refused
        page = traffic.fetch(nat, "http://127.0.0.1:9650/")
    for words in ("snat destination saturation ratio", "100.0 %", "destination flows", full, "nat host flows"):
        assert words in page, words
    assert lab.topology.client_address("client1", 4) in page


def test_ports_in_time_wait_are_no_saturation(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("sattcp", ports=RANGE))
    nat, client = lab.host("nat"), lab.host("client1")
    server = lab.topology.server_addresses(4)[0]
    with traffic.tcp_flows(client, server, ECHO, count=98, first_port=20000) as opened:
        assert opened == 98
        assert saturation(nat, "tcp") == {server: 0.98}

    def row() -> dict[str, Any]:
        (found,) = census(nat)["tuples"]
        assert isinstance(found, dict)
        return found

    assert eventually(lambda: (row()["held"], row()["reclaimable"]) == (0, 98))
    assert row()["saturation"] == 0
    with traffic.tcp_flows(client, server, ECHO, count=80, first_port=30000) as opened:
        assert opened >= 79  # the kernel took the ports away from those in TIME_WAIT
        assert row()["saturation"] == pytest.approx(opened / SIZE)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("addresses", [1, 3])
def test_the_range_is_read_from_the_rules_of_each_backend(
    lab_factory: LabFactory, backend: topology.Backend, addresses: int
) -> None:
    name = f"r{addresses}-{backend.removeprefix('iptables-')}"
    lab = lab_factory(topology.two_armed(name, backend=backend, addresses=addresses, ports=(2000, 2999)))
    nat, client = lab.host("nat"), lab.host("client1")
    nat.run(
        ["sysctl", "-qw", *(f"net.netfilter.nf_conntrack_{name}_timeout=600" for name in ("udp", "icmp", "icmpv6"))]
    )
    for family in (4, 6):
        server = lab.topology.server_addresses(family)[0]
        traffic.udp_flows(client, server, SILENT, count=20, first_port=20000)
        client.run([*client.python("tests.lab.ping"), server])
        with traffic.tcp_flows(client, server, ECHO, count=5):
            pass
    pools = census(nat)["pools"]
    by_proto = {pool["proto"]: pool["range"] for pool in pools}
    assert by_proto == {
        "udp": {"size": 1000, "source": "ruleset"},
        "tcp": {"size": 1000, "source": "ruleset"},
        # their rule names no range
        "icmp": {"size": 65536, "source": "default"},
        "icmpv6": {"size": 65536, "source": "default"},
    }
    assert {pool["address"] for pool in pools} <= {*lab.topology.snat_addresses(4), *lab.topology.snat_addresses(6)}


@pytest.mark.parametrize("backend", BACKENDS)
def test_rules_that_differ_are_not_guessed_at(
    lab_factory: LabFactory, backend: topology.Backend, tmp_path: Path
) -> None:
    lab = lab_factory(topology.two_armed(f"d-{backend.removeprefix('iptables-')}", backend=backend, ports=RANGE))
    nat = lab.host("nat")
    other = "10.0.2.0/24"
    rule = f"{backend} -t nat -I POSTROUTING -s {other} -p udp -j MASQUERADE --to-ports 5000-5999"
    if backend == "nftables":
        rule = f"nft insert rule ip nat postrouting ip saddr {other} udp dport 1-65535 masquerade to :5000-5999"
    nat.run(rule.split())
    traffic.udp_flows(lab.host("client1"), lab.topology.server_addresses(4)[0], SILENT, count=5)
    (pool,) = census(nat)["pools"]
    assert pool["range"] == {"size": 64512, "source": "default"}
    file = tmp_path / "natobs.toml"
    file.write_text(f'[census.snat_ports]\n"{pool["address"]}" = 100\n')
    (pool,) = census(nat, "--config", str(file))["pools"]
    assert pool["range"] == {"size": 100, "source": "config"}


def test_the_table_for_a_person_and_its_exit_status(two_armed_lab: Lab) -> None:
    nat, client = two_armed_lab.host("nat"), two_armed_lab.host("client1")
    server = two_armed_lab.topology.server_addresses(4)[0]
    traffic.udp_flows(client, server, SILENT, count=30, first_port=20000)
    shown = nat.run(nat.python("natobs", "census")).stdout
    for words in ("Private hosts", "Destinations", "SNAT ports by destination", server, "\x1b"):
        assert (words in shown) == (words != "\x1b")
    assert "Destinations" not in nat.run(nat.python("natobs", "census", "--by", "host")).stdout
    drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--ambient-caps", "-all"]
    refused = nat.run([*drop, *nat.python("natobs", "census")], check=False)
    assert refused.returncode == 1
    assert refused.stderr.strip() == "natobs: conntrack table: Operation not permitted (needs CAP_NET_ADMIN)"


def test_an_agent_without_the_capability_says_which(two_armed_lab: Lab) -> None:
    drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--ambient-caps", "-all"]
    with agent_in(two_armed_lab.host("nat"), prefix=drop) as running:
        scrape = running.await_value(
            lambda now: (
                ("natobs_collector_unavailable", frozenset({("collector", "flows"), ("reason", "permission")}))
                in now.series
            ),
            20,
        )
    assert scrape.value("natobs_collector_success", collector="flows") == 0
    assert scrape.of("natobs_censuses_total") == {}


def children(running: AgentInLab) -> list[psutil.Process]:
    return people.living(psutil.Process(running.process.pid).children())


def begun(running: AgentInLab) -> psutil.Process:
    """The process of a census that has begun to work: it has made itself modest."""
    found: list[psutil.Process] = []

    def look() -> bool:
        with suppress(psutil.NoSuchProcess):  # it has just ended
            found[:] = [one for one in children(running) if one.nice() == 10]
        return bool(found)

    assert eventually(look, 60)
    return found[0]


def test_a_census_in_a_full_table_leaves_scrapes_alone_and_dies_with_the_agent(
    lab_factory: LabFactory, tmp_path: Path
) -> None:
    lab = lab_factory(topology.two_armed("large"))
    entries.load(lab.host("nat"), 200_000)
    # Figures are shown for three intervals, which must be longer than a census and the scrapes that follow it.
    with agent(lab, tmp_path, "interval_seconds = 10\nmax_cpu_share = 1.0\nlimit_seconds = 60") as running:
        agent_process = psutil.Process(running.process.pid)
        scrape = after_next_census(running)
        assert sum(scrape.of("natobs_nat_flows").values()) >= 200_000
        assert scrape.value("natobs_census_complete") == 1
        assert scrape.value("natobs_nat_host_flows", host=lab.topology.client_address("client1", 4)) == 200_000
        child = begun(running)
        # a census that stands still: every scrape answers, and nothing grows
        child.suspend()
        memory = agent_process.memory_info().rss
        for _scrape in range(40):  # one that waited for it would not be answered, or not with success
            assert running.scrape().value("natobs_collector_success", collector="flows") == 1
        assert child.status() == psutil.STATUS_STOPPED
        assert agent_process.memory_info().rss - memory < 4 << 20
        maps = Path(f"/proc/{agent_process.pid}/maps").read_text("utf-8")
        assert "numpy" not in maps
        child.kill()
        after_next_census(running)
        assert running.scrape().value("natobs_censuses_total", result="failed") == 1
        # the agent dies as badly as it can, in the middle of a census
        last = begun(running)
        os.kill(agent_process.pid, signal.SIGKILL)
        assert eventually(lambda: people.living([last]) == [])


def test_reloading_keeps_the_census_and_changes_it(two_armed_lab: Lab, tmp_path: Path) -> None:
    with agent(two_armed_lab, tmp_path) as running:
        after_next_census(running)
        file = tmp_path / "natobs.toml"
        file.write_text("[census]\nenabled = false\n", "utf-8")
        running.process.send_signal(signal.SIGHUP)
        running.await_value(lambda scrape: not scrape.of("natobs_nat_flows"), 30)
        assert eventually(lambda: children(running) == [])
        file.write_text("[census]\ninterval_seconds = 3\nmax_cpu_share = 1.0\n[census.tenants.one]\nmarks = [1]\n")
        running.process.send_signal(signal.SIGHUP)
        scrape = running.await_value(lambda now: bool(now.of("natobs_tenant_flows")), 60)
        assert set(scrape.by("natobs_tenant_flows", "tenant")) == {"one", "other"}
