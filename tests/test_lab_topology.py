"""Topologies: the addresses that follow from them, and what they refuse."""

from dataclasses import replace

import pytest

from natobs.errors import LabError
from natobs.lab import topology
from natobs.lab.topology import Nat, Subnet, Topology


def test_addresses_read_the_same_in_both_families() -> None:
    lab = topology.pool()
    assert lab.clients == ("client1", "client2", "client3", "client4")
    assert lab.client_address("client3", 4) == "10.0.2.11"
    assert lab.client_address("client3", 6) == "fd00:a:2::11"
    assert lab.snat_addresses(4) == ("203.0.113.10", "203.0.113.11", "203.0.113.12", "203.0.113.13")
    assert lab.snat_addresses(6)[-1] == "2001:db8:113::13"
    assert lab.server_addresses(4) == ("198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4")
    assert lab.dead_address(4) == "198.51.100.250"
    assert lab.dead_address(6) == "2001:db8:51::250"


def test_only_a_one_armed_lab_has_a_router() -> None:
    assert "router" in topology.one_armed().hosts
    assert "router" not in topology.two_armed().hosts
    assert topology.two_armed().hosts[-2:] == ("nat", "internet")


def test_clients_are_counted_through_subnets_of_different_size() -> None:
    subnets = (Subnet(ipv4="10.7.0.0/16", ipv6="fd00:7::/48", clients=1), *topology.subnets(1, clients=3))
    lab = Topology(name="odd", subnets=subnets, nat=Nat())
    assert [lab.client_subnet(client) for client in lab.clients] == [0, 1, 1, 1]
    assert lab.client_address("client1", 4) == "10.7.0.11"
    assert lab.client_address("client4", 4) == "10.0.1.13"
    with pytest.raises(LabError, match="no client 'client5'"):
        lab.client_address("client5", 4)


def test_without_ipv6_there_is_one_family() -> None:
    assert topology.two_armed().families == (4, 6)
    assert replace(topology.two_armed(), ipv6=False).families == (4,)


def test_keywords_reach_the_nat() -> None:
    nat = topology.one_armed(backend="iptables-legacy", ports=(2000, 2099), fully_random=True).nat
    assert nat == Nat(backend="iptables-legacy", arms=1, ports=(2000, 2099), fully_random=True)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: topology.two_armed(backend="pf"), "unknown NAT backend 'pf'"),
        (lambda: topology.two_armed(arms=3), "1 or 2 arms"),
        (lambda: Nat(addresses=0), "0 SNAT addresses"),
        (lambda: Nat(ports=(2000, 1999)), "SNAT ports 2000-1999"),
        (lambda: Nat(ports=(1, 65536)), "within 1-65535"),
        (lambda: topology.two_armed("Big Lab"), "lab name 'Big Lab'"),
        (lambda: topology.two_armed("-"), "lab name '-'"),
        (lambda: topology.two_armed("seventeen-letters"), "1 to 16"),
        (lambda: replace(topology.pool(), servers=100), "100 servers"),
        (lambda: replace(topology.pool(), subnets=()), "at least one private subnet"),
        (lambda: topology.subnets(1, clients=0), "0 clients"),
        (lambda: Subnet(ipv4="10.0.0.1/24", ipv6="fd00::/64"), "has host bits set"),
        (lambda: Subnet(ipv4="10.0.0.0/25", ipv6="fd00::/64"), "/24 or wider"),
        (lambda: Subnet(ipv4="fd01::/64", ipv6="fd00::/64"), "IPv4Network"),
        (lambda: replace(topology.pool(), subnets=topology.subnets(1) * 2), "overlap"),
    ],
)
def test_what_cannot_be_built_is_refused(make: object, words: str) -> None:
    assert callable(make)
    with pytest.raises(LabError, match=words):
        make()
