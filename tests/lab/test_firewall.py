"""Firewall counters of a NAT that carries traffic, against what nft and iptables say of the same rules."""

import json
import sys
import time
from pathlib import Path

import pytest

from natobs.lab import topology, traffic
from natobs.lab.lab import Host, Lab
from tests import firewall_oracle as oracle
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

READER = Path(__file__).parent / "read_collector.py"
Said = tuple[oracle.Counters, oracle.Counters, oracle.Counters]
Samples = list[tuple[str, oracle.Place, float]]

NATIVE = """
table inet watch {
    counter dns { }
    counter idle { }
    chain forward {
        type filter hook forward priority -10; policy accept;
        udp dport 7 counter comment "echoes"
        counter name dns
        udp dport 9 counter drop comment "watch: never answered"
        counter
    }
}
"""
LEGACY = """*filter
:FORWARD ACCEPT [0:0]
:watch - [0:0]
-A FORWARD -p udp -m comment --comment "legacy: udp" -j watch
-A FORWARD -p tcp -j watch
-A watch -p udp --dport 7 -m comment --comment "twice"
-A watch -p tcp -m comment --comment "twice"
-A watch -j RETURN
COMMIT
*mangle
-A PREROUTING -p udp -m comment --comment "legacy: mangled" -j MARK --set-mark 0
COMMIT
"""
COMPATIBLE = """*filter
:FORWARD ACCEPT [0:0]
-A FORWARD -p udp -m comment --comment "compatible: udp"
-A FORWARD -p udp --dport 19 -j REJECT
-A FORWARD -p tcp
COMMIT
*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -m comment --comment "compatible: all"
COMMIT
"""


@pytest.fixture(scope="module")
def three_backends(lab_factory: LabFactory) -> Lab:
    lab = lab_factory(topology.two_armed())
    nat = lab.host("nat")
    nat.run(["nft", "-f", "-"], stdin=NATIVE)
    for family in ("ip", "ip6"):
        nat.run([f"{family}tables-legacy-restore"], stdin=LEGACY)
        nat.run([f"{family}tables-nft-restore"], stdin=COMPATIBLE)
    carry(lab)
    return lab


def carry(lab: Lab) -> None:
    client = lab.host("client1")
    for family in lab.topology.families:
        server = lab.topology.server_addresses(family)[0]
        for port, datagrams in ((7, 41), (9, 23), (19, 5)):
            traffic.udp_flows(client, server, port, datagrams)
        traffic.who_asked(client, server)


def read(nat: Host) -> Samples:
    lines = json.loads(nat.run([sys.executable, str(READER), "firewall"]).stdout)
    return [(name, tuple(labels.values()), value) for name, labels, value in lines]


def said(nat: Host, managed: set[tuple[str, str]]) -> Said:
    """Rules, policies and named counters as the tools print them."""
    rules, named = oracle.listed(nat.run(["nft", "-j", "list", "ruleset"]).stdout, managed)
    counters = oracle.listed(nat.run(["nft", "-j", "list", "counters"]).stdout, managed)[1]
    assert counters == named
    policies: oracle.Counters = {}
    for backend in ("legacy", "nft"):
        for family in ("ip", "ip6"):
            text = nat.run([f"{family}tables-{backend}-save", "-c"]).stdout
            found = oracle.saved(text, f"iptables-{backend}", family)
            rules |= found[0]
            policies |= found[1]
    return rules, policies, counters


def settled(nat: Host, managed: set[tuple[str, str]]) -> tuple[Samples, Said]:
    """What the collector reads while the tools say the same before and after it: IPv6 is never quite silent."""
    for _attempt in range(20):
        before = said(nat, managed)
        samples = read(nat)
        if said(nat, managed) == before:
            return samples, before
        time.sleep(0.2)
    pytest.fail("the counters of the NAT never stood still")


def check_policies(samples: Samples, policies: oracle.Counters) -> None:
    """Where there is no counter, or not even a chain, iptables-nft-save prints zeros, which are not exported."""
    found = oracle.exported(samples, "policy")
    assert found == {place: policies[place] for place in found}
    assert {(place[0], policies[place]) for place in policies.keys() - found.keys()} <= {("iptables-nft", (0, 0))}


MANAGED = {("ip", "filter"), ("ip6", "filter"), ("ip", "raw"), ("ip6", "raw")}


def test_each_counter_of_three_backends_is_exported_once_and_agrees(three_backends: Lab) -> None:
    nat = three_backends.host("nat")
    samples, (rules, policies, counters) = settled(nat, MANAGED)
    assert oracle.exported(samples, "rule") == rules
    check_policies(samples, policies)
    assert oracle.exported(samples, "named") == counters
    for family in ("ip", "ip6"):
        assert rules["iptables-legacy", family, "mangle", "PREROUTING", "legacy: mangled"][0] >= 41 + 23 + 5
        assert rules["iptables-nft", family, "filter", "FORWARD", "compatible: udp"][0] >= 41
        assert rules["iptables-nft", family, "filter", "FORWARD", "#2 reject"][0] == 5
    assert rules["nftables", "inet", "watch", "forward", "watch: never answered"][0] == 46
    assert {place[0] for place in rules} == {"nftables", "iptables-nft", "iptables-legacy"}


def test_denies_are_what_the_rules_dropped(three_backends: Lab) -> None:
    nat = three_backends.host("nat")
    samples, (rules, _policies, _counters) = settled(nat, MANAGED)
    denies = {labels[0]: value for name, labels, value in samples if name == "natobs_firewall_denies_total"}
    assert denies["watch: never answered"] == 46
    assert denies["iptables-nft ip filter/FORWARD#2"] == denies["iptables-nft ip6 filter/FORWARD#2"] == 5
    assert denies["lab: deny"] == rules["nftables", "inet", "filter", "forward", "lab: deny"][0]


def test_a_rule_inserted_above_does_not_move_a_commented_one(three_backends: Lab) -> None:
    nat = three_backends.host("nat")
    before = oracle.exported(read(nat), "rule")
    nat.run(["nft", "insert rule inet watch forward udp dport 9999 counter"])
    nat.run(["iptables-legacy", "-I", "FORWARD", "-p", "udp", "--dport", "9999"])
    nat.run(["ip6tables-nft", "-I", "FORWARD", "-p", "udp", "--dport", "9999"])
    carry(three_backends)
    after = oracle.exported(read(nat), "rule")
    named = {place for place in before if not place[-1].startswith("#")}
    assert len(named) > 10
    for place in named:
        assert after[place][0] > before[place][0] or before[place] == after[place] == (0, 0), place
    assert after["iptables-legacy", "ip", "filter", "FORWARD", "#1"] == (0, 0)
    assert before["iptables-legacy", "ip", "filter", "FORWARD", "#2"][0] > 0
    assert after["iptables-legacy", "ip", "filter", "FORWARD", "#3"][0] > 0
    samples, (rules, _policies, _counters) = settled(nat, MANAGED)
    assert oracle.exported(samples, "rule") == rules


@pytest.mark.parametrize("backend", ["iptables-nft", "iptables-legacy"])
def test_a_nat_written_in_one_backend_only(lab_factory: LabFactory, backend: topology.Backend) -> None:
    lab = lab_factory(topology.two_armed(name=backend, backend=backend))
    carry(lab)
    nat = lab.host("nat")
    managed = {(family, table) for family in ("ip", "ip6") for table in ("filter", "nat")}
    samples, (rules, policies, counters) = settled(nat, managed)
    assert oracle.exported(samples, "rule") == rules
    assert {place[0] for place in rules} == {backend}
    check_policies(samples, policies)
    assert (backend, "ip", "filter", "FORWARD") in oracle.exported(samples, "policy")
    assert counters == {}


def test_without_privilege_nothing_is_made_up(three_backends: Lab) -> None:
    nat = three_backends.host("nat")
    lowered = ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"]
    done = nat.run([*lowered, sys.executable, str(READER), "firewall"])
    assert json.loads(done.stdout) == []
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["permission"] * 3
    assert "CAP_NET_ADMIN" in done.stderr


def test_to_look_does_not_load_a_table(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed(name="unloaded"))
    nat = lab.host("nat")
    assert {labels[0] for name, labels, _ in read(nat) if "rule_packets" in name} == {"nftables"}
    assert nat.run(["cat", "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names"]).stdout == ""
