"""Idle timeouts and lost state of real flows: each way in which an entry of conntrack can end, told apart."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from natobs.lab import entries, topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab.agents import AgentInLab, Scrape, agent_in
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

SECONDS = 20.0
"""Within which what happened must be counted: the agent looks once a second, and may have to wait for a CPU."""
ECHO = 7
UPLINK = "eth0"
STATES = ("established", "time_wait", "close")
CHANGED = ("events", "udp_timeout_stream", *(f"tcp_timeout_{state}" for state in STATES))
CLOSE = """
import socket, struct, sys
for way in ("fin", "rst"):
    for number in range(int(sys.argv[2])):
        with socket.create_connection((sys.argv[1], 7), 5) as opened:
            opened.sendall(b"x")
            opened.recv(1)
            if way == "rst":
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""
"""Connections that speak and are then closed, half of them by a reset."""
TALK = """
import socket, sys, time
opened = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(int(sys.argv[2]))]
for pause in (2.5, 0):
    for one in opened:
        one.settimeout(10)
        one.sendto(b"x", (sys.argv[1], 7))
        one.recv(64)
    time.sleep(pause)
"""
"""UDP flows that are answered again after 2 s, whereupon Linux calls them assured, and nothing follows."""
UNTRACKED = """
table inet untracked {
    chain in { type filter hook prerouting priority raw; iif lo notrack; }
    chain out { type filter hook output priority raw; oif lo notrack; }
}
"""
"""Else the connection of the scrape would be one of the flows that are counted."""


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    """Give a lab of its own: these tests flush tables and break addresses."""
    lab = lab_factory(topology.two_armed(name="events"))
    lab.host("nat").run(["nft", "-f", "-"], stdin=UNTRACKED)
    return lab


@pytest.fixture
def nat(lab: Lab) -> Iterator[Host]:
    """Give the NAT with an empty table; its own parameters of conntrack are as before when the test is over."""
    nat = lab.host("nat")
    before = [f"net.netfilter.nf_conntrack_{name}" for name in CHANGED]
    before = nat.run(["sysctl", *before]).stdout.replace(" ", "").split()
    nat.run(["conntrack", "-F"])
    yield nat
    nat.run(["sysctl", "-qw", *before])


@pytest.fixture
def listening(tmp_path: Path) -> tuple[str, str]:
    """Give the arguments of an agent that listens to conntrack events."""
    config = tmp_path / "natobs.toml"
    config.write_text("[events]\nenabled = true\n")
    return "--config", str(config)


@pytest.fixture
def agent(nat: Host, listening: tuple[str, str]) -> Iterator[AgentInLab]:
    with agent_in(nat, *listening) as running:
        yield running


def setting(nat: Host, name: str, value: int) -> None:
    """Change a parameter of conntrack that each network namespace has for itself."""
    nat.run(["sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}={value}"])


def counted(scrape: Scrape) -> dict[str, float]:
    """Flows that expired idle or were lost, by kind; those of 0 left out."""
    found = {f"idle {proto}": n for proto, n in scrape.by("natobs_conntrack_idle_timeouts_total", "proto").items()}
    found |= {f"lost {cause}": n for cause, n in scrape.by("natobs_conntrack_lost_flows_total", "cause").items()}
    return {kind: count for kind, count in found.items() if count}


def destroyed(scrape: Scrape) -> dict[str, float]:
    return scrape.by("natobs_conntrack_destroyed_total", "proto")


def expire(nat: Host, agent: AgentInLab, done: Callable[[Scrape], bool], seconds: float) -> Scrape:
    """Wait for a condition, and meanwhile have Linux look at the table: a dump removes what has expired."""
    deadline = time.monotonic() + seconds
    while True:
        nat.run(["conntrack", "-L"])
        scrape = agent.scrape()
        if done(scrape) or time.monotonic() > deadline:
            return scrape
        time.sleep(0.2)


def server(lab: Lab) -> str:
    return lab.topology.server_addresses(4)[0]


def test_connections_that_expire_are_idle_timeouts(lab: Lab, nat: Host, agent: AgentInLab) -> None:
    setting(nat, "tcp_timeout_established", 2)
    with traffic.tcp_flows(lab.host("client1"), server(lab), ECHO, count=30) as opened:
        assert opened == 30
        scrape = expire(nat, agent, lambda seen: destroyed(seen)["tcp"] >= 30, 20)
    assert counted(scrape) == {"idle tcp": 30}


def test_connections_that_are_closed_or_reset_are_not(lab: Lab, nat: Host, agent: AgentInLab) -> None:
    for state in "time_wait", "close":  # what they end in; in all others the server may be slow
        setting(nat, f"tcp_timeout_{state}", 1)
    lab.host("client1").run([sys.executable, "-c", CLOSE, server(lab), "20"])
    scrape = expire(nat, agent, lambda seen: destroyed(seen)["tcp"] >= 40, 20)
    assert destroyed(scrape)["tcp"] == 40
    assert counted(scrape) == {}


def test_udp_flows_that_fell_silent_are_counted_once_they_were_answered(lab: Lab, nat: Host, agent: AgentInLab) -> None:
    setting(nat, "udp_timeout_stream", 4)
    lab.host("client1").run([sys.executable, "-c", TALK, server(lab), "15"])
    scrape = expire(nat, agent, lambda seen: counted(seen).get("idle udp", 0) >= 15, 20)
    assert counted(scrape) == {"idle udp": 15}
    assert destroyed(scrape)["udp"] >= 15


def test_a_flush_loses_the_established_flows_and_none_is_idle(lab: Lab, nat: Host, agent: AgentInLab) -> None:
    client = lab.host("client1")
    traffic.udp_flows(client, server(lab), 9, count=10, first_port=30000)
    with traffic.tcp_flows(client, server(lab), ECHO, count=25):
        nat.run(["conntrack", "-F"])
        scrape = agent.await_value(
            lambda seen: destroyed(seen)["udp"] >= 10 and destroyed(seen)["tcp"] >= 25,  # the flush may take its time
            SECONDS,
        )
    assert counted(scrape) == {"lost request": 25}


def test_an_entry_that_somebody_deletes_is_lost_though_it_had_less_than_a_second_left(
    lab: Lab, nat: Host, agent: AgentInLab
) -> None:
    made = deleted = 0
    while not deleted:  # where this machine stands still for a second, they expire before anybody can delete them
        made += 40
        lines = "".join(entries.lines(lab.topology, 40, seconds=2))
        said = nat.run(["sh", "-c", "conntrack -R -; sleep 1.2; conntrack -D -p tcp 2>&1; true"], stdin=lines).stdout
        deleted = said.count("ESTABLISHED")
    scrape = agent.await_value(lambda seen: destroyed(seen)["tcp"] >= made, SECONDS)
    assert counted(scrape) == {"lost request": deleted} | ({"idle tcp": made - deleted} if deleted < made else {})


@pytest.mark.parametrize("trouble", ["address", "device"])
def test_a_masquerade_that_loses_its_address_or_device_loses_its_flows(
    trouble: str, lab_factory: LabFactory, listening: tuple[str, str]
) -> None:
    lab = lab_factory(topology.two_armed(name=f"events-{trouble}"))
    nat, address = lab.host("nat"), lab.topology.snat_addresses(4)[0]
    nat.run(["nft", "-f", "-"], stdin=UNTRACKED)
    command = {
        "address": ["ip", "addr", "del", f"{address}/24", "dev", UPLINK],
        "device": ["ip", "link", "set", UPLINK, "down"],
    }[trouble]
    with agent_in(nat, *listening) as agent, traffic.tcp_flows(lab.host("client1"), server(lab), ECHO, count=20):
        nat.run(command)
        scrape = agent.await_value(lambda seen: destroyed(seen)["tcp"] >= 20, SECONDS)
    assert counted(scrape) == {"lost kernel": 20}


def test_a_flush_of_a_table_of_100000_is_counted_to_the_last(nat: Host, agent: AgentInLab) -> None:
    entries.load(nat, 100_000)
    agent.await_value(lambda seen: seen.value("natobs_conntrack_entries") >= 100_000, SECONDS)
    before = agent.scrape().value("natobs_agent_cpu_seconds_total")
    nat.run(["conntrack", "-F"])
    # each scrape takes some CPU too
    scrape = agent.await_value(lambda seen: destroyed(seen)["tcp"] >= 100_000, SECONDS, pause=1.0)
    assert (counted(scrape), destroyed(scrape)) == ({"lost request": 100_000}, {"tcp": 100_000, "udp": 0, "other": 0})
    assert scrape.value("natobs_agent_cpu_seconds_total") - before < 0.5


def test_entries_from_before_the_agent_are_not_told_and_completeness_says_so(
    nat: Host, listening: tuple[str, str]
) -> None:
    assert nat.run(["sysctl", "-n", "net.netfilter.nf_conntrack_events"]).stdout.strip() == "2"
    # As if nobody listened. From Linux 6.3 on a listener in any namespace counts, and others may use this machine.
    setting(nat, "events", 0)
    entries.load(nat, 300)
    setting(nat, "events", 2)
    with agent_in(nat, *listening) as agent:
        first = agent.await_value(lambda seen: bool(seen.of("natobs_conntrack_events_completeness_ratio")), SECONDS)
        assert first.value("natobs_conntrack_events_completeness_ratio") == 0
        entries.load(nat, 400, check=False)  # 300 are there already
        agent.await_value(  # which may look while they are being loaded
            lambda seen: seen.value("natobs_conntrack_events_completeness_ratio") == pytest.approx(0.25), SECONDS
        )
        nat.run(["conntrack", "-F"])
        last = agent.await_value(lambda seen: destroyed(seen)["tcp"] >= 100, SECONDS)
        assert counted(last) == {"lost request": 100}
        last = agent.await_value(lambda seen: seen.value("natobs_conntrack_entries") == 0, SECONDS)
        agent.await_value(lambda seen: seen.value("natobs_conntrack_events_completeness_ratio") == 1, SECONDS)


@pytest.mark.parametrize("mode", [0, 1])
def test_the_mode_of_the_kernel_is_read_and_never_changed(mode: int, nat: Host, listening: tuple[str, str]) -> None:
    setting(nat, "events", mode)
    entries.load(nat, 10)
    with agent_in(nat, *listening) as agent:
        scrape = agent.scrape()
        assert bool(scrape.of("natobs_conntrack_idle_timeouts_total")) == bool(mode)
        assert scrape.value("natobs_collector_success", collector="events") == mode
        if mode:
            assert scrape.value("natobs_conntrack_events_completeness_ratio") == 1
            nat.run(["conntrack", "-F"])
            agent.await_value(lambda seen: counted(seen) == {"lost request": 10}, SECONDS)
    assert int(nat.run(["sysctl", "-n", "net.netfilter.nf_conntrack_events"]).stdout) == mode


def test_without_the_configuration_nobody_listens(nat: Host) -> None:
    with agent_in(nat) as agent:
        scrape = agent.scrape()
        assert not [name for name, _labels in scrape.series if name.startswith("natobs_conntrack_destroyed")]
        assert not scrape.of("natobs_collector_success").get(frozenset({("collector", "events")}))
        groups = [line.split()[3] for line in nat.run(["cat", "/proc/net/netlink"]).stdout.splitlines()[1:]]
        assert "00000004" not in groups
