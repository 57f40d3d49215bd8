"""Routes, addresses, links and protocol counters of a real NAT, changed while an agent watches."""

import sys
import time
from collections.abc import Iterator

import pytest

from natobs.lab import topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab.agents import AgentInLab, Scrape, agent_in
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

SECONDS = 1.0
"""Within which a change must be counted."""
UPLINK = "eth0"
LARGE = """
import socket, sys
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.IPPROTO_IP, 10, 3)  # IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
for _ in range(3):
    sender.sendto(bytes(1400), (sys.argv[1], 9))
"""
"""Datagrams that must not be fragmented."""


@pytest.fixture(scope="module")
def nat(lab_factory: LabFactory) -> Host:
    """Give the NAT of a lab of its own: what these tests break, no other test needs."""
    return lab_factory(topology.two_armed(name="routing")).host("nat")


@pytest.fixture
def agent(nat: Host) -> Iterator[AgentInLab]:
    with agent_in(nat) as running:
        yield running


def gateway(nat: Host, family: int = 4) -> str:
    """The gateway of the NAT's default route, as ip(8) tells it."""
    words = nat.run(["ip", f"-{family}", "route", "show", "default"]).stdout.split()
    return words[words.index("via") + 1]


def routes(scrape: Scrape) -> dict[str, float]:
    return {kind: count for kind, count in scrape.by("natobs_route_changes_total", "kind").items() if count}


def test_the_sides_and_default_routes_of_every_topology(lab_factory: LabFactory, nat: Host) -> None:
    with agent_in(nat) as agent:
        scrape = agent.scrape()
    assert scrape.by("natobs_default_route_present", "family") == {"ipv4": 1, "ipv6": 1}
    roles = {dict(labels)["device"]: dict(labels)["role"] for labels in scrape.of("natobs_device_role_info")}
    assert roles.pop(UPLINK) == "outside"
    assert set(roles.values()) == {"inside"}
    assert len(roles) == 2
    with agent_in(lab_factory(topology.one_armed(name="routing-one")).host("nat")) as agent:
        assert agent.scrape().by("natobs_device_role_info", "role") == {"both": 1}


@pytest.mark.parametrize("family", [4, 6])
def test_a_deleted_default_route_is_counted_within_a_second(nat: Host, agent: AgentInLab, family: int) -> None:
    via = gateway(nat, family)
    assert routes(agent.scrape()) == {}
    nat.run(["ip", f"-{family}", "route", "del", "default"])
    gone = agent.await_value(lambda scrape: routes(scrape) == {"default_removed": 1}, SECONDS)
    assert gone.value("natobs_default_route_present", family=f"ipv{family}") == 0
    nat.run(["ip", f"-{family}", "route", "add", "default", "via", via, "dev", UPLINK])
    both = {"default_removed": 1, "default_added": 1}
    back = agent.await_value(lambda scrape: routes(scrape) == both, SECONDS)
    assert back.value("natobs_default_route_present", family=f"ipv{family}") == 1


def test_a_flapped_uplink_is_counted_though_all_is_as_before_at_the_next_scrape(nat: Host, agent: AgentInLab) -> None:
    via, via6, before = gateway(nat), gateway(nat, 6), agent.scrape()
    addresses = topology.two_armed().snat_addresses(6)
    restore = f"ip link set {UPLINK} down && ip link set {UPLINK} up && ip route add default via {via}"
    for address in addresses:
        restore += f" && ip -6 addr replace {address}/64 dev {UPLINK} nodad"
    nat.run(["sh", "-c", f"{restore} && ip -6 route replace default via {via6}"])
    flapped = {"default_removed": 2, "default_added": 2}
    agent.await_value(lambda scrape: flapped.items() <= routes(scrape).items(), SECONDS)
    time.sleep(SECONDS)  # in which nothing more is found
    after = agent.scrape()
    assert after.value("natobs_link_changes_total", device=UPLINK) == 2
    assert flapped.items() <= routes(after).items()
    assert after.by("natobs_default_route_present", "family") == {"ipv4": 1, "ipv6": 1}
    assert before.value("natobs_link_changes_total", device=UPLINK) == 0
    for _scrape in range(3):
        assert routes(agent.scrape()) == routes(after)


def test_a_changed_address_is_counted_and_so_is_the_route_that_linux_drops_without_a_word(
    nat: Host, agent: AgentInLab
) -> None:
    via, old = gateway(nat), topology.two_armed().snat_addresses(4)[0]
    nat.run(["ip", "addr", "del", f"{old}/24", "dev", UPLINK])
    lost = agent.await_value(lambda scrape: scrape.value("natobs_address_changes_total", device=UPLINK) == 1, SECONDS)
    lost = agent.await_value(lambda scrape: routes(scrape).get("default_removed") == 1, SECONDS)
    assert lost.value("natobs_default_route_present", family="ipv4") == 0
    nat.run(["ip", "addr", "add", f"{old}/24", "dev", UPLINK])
    nat.run(["ip", "route", "add", "default", "via", via])
    back = agent.await_value(lambda scrape: scrape.value("natobs_address_changes_total", device=UPLINK) == 2, SECONDS)
    assert back.value("natobs_default_route_present", family="ipv4") == 1
    assert back.value("natobs_route_events_lost_total") == 0


def test_a_burst_of_route_changes_is_counted_to_the_last(nat: Host, agent: AgentInLab) -> None:
    batch = "".join(
        f"route {verb} 192.0.2.{number}/32 dev {UPLINK}\n" for verb in ("add", "del") for number in range(250)
    )
    nat.run(["ip", "-batch", "-"], stdin=batch)
    agent.await_value(lambda scrape: routes(scrape) == {"added": 250, "removed": 250}, SECONDS)


def test_packets_without_a_route_and_packets_too_large_are_counted(nat: Host, agent: AgentInLab) -> None:
    lab: Lab = nat.lab
    client, server = lab.host("client1"), lab.topology.server_addresses(4)[0]
    via, before = gateway(nat), agent.scrape()
    nat.run(["ip", "route", "del", "default"])
    traffic.udp_flows(client, server, 9, count=20, first_port=30000)
    lost = agent.await_value(
        lambda scrape: (
            scrape.value("natobs_ip_input_no_route_total") >= before.value("natobs_ip_input_no_route_total") + 20
        ),
        SECONDS,
    )
    nat.run(["ip", "route", "add", "default", "via", via])
    nat.run(["ip", "link", "set", UPLINK, "mtu", "1300"])
    client.run([sys.executable, "-c", LARGE, server])
    nat.run(["ip", "link", "set", UPLINK, "mtu", "1500"])
    after = agent.scrape()
    for counter in "natobs_ip_fragmentation_failures_total", "natobs_icmp_sent_destination_unreachable_total":
        assert after.value(counter) >= lost.value(counter) + 3, counter


def test_protocol_counters_agree_with_nstat(nat: Host, agent: AgentInLab) -> None:
    told = dict(line.split()[:2] for line in nat.run(["nstat", "-asz"]).stdout.splitlines() if not line.startswith("#"))
    scrape = agent.scrape()
    for name, field in {
        "natobs_ip_forwarded_datagrams_total": "IpForwDatagrams",
        "natobs_ip_input_no_route_total": "IpExtInNoRoutes",
        "natobs_ip_fragmentation_failures_total": "IpFragFails",
        "natobs_icmp_sent_destination_unreachable_total": "IcmpOutDestUnreachs",
        "natobs_ip6_input_no_route_total": "Ip6InNoRoutes",
    }.items():
        assert scrape.value(name) == int(told[field]), name


def test_sysctls_of_the_namespace(nat: Host, agent: AgentInLab) -> None:
    found = agent.scrape().by("natobs_sysctl", "name")
    assert found["net.ipv4.ip_forward"] == 1
    assert found["net.ipv6.conf.all.forwarding"] == 1
    assert found["net.netfilter.nf_conntrack_max"] == int(
        nat.run(["cat", "/proc/sys/net/netfilter/nf_conntrack_max"]).stdout
    )
