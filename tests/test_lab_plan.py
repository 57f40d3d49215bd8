"""Plans: what is done for a topology, worked out without doing it."""

import re
from dataclasses import replace
from itertools import pairwise

import pytest

from natobs.lab import topology
from natobs.lab.plan import Plan, plan, programs

EVERY = [shape(backend=backend) for shape in topology.TOPOLOGIES.values() for backend in topology.BACKENDS]


def lines(made: Plan, host: str) -> tuple[str, ...]:
    return next(found.ip for found in made.hosts if found.name == host)


@pytest.mark.parametrize("wanted", EVERY, ids=lambda lab: f"{lab.name}-{lab.nat.backend}")
def test_a_plan_has_every_host_and_a_switch(wanted: topology.Topology) -> None:
    made = plan(wanted)
    assert {host.name for host in made.hosts} == {*wanted.hosts, "switch"}
    assert [host.name for host in made.hosts if host.rulesets] == ["nat"]


@pytest.mark.parametrize("wanted", EVERY, ids=lambda lab: f"{lab.name}-{lab.nat.backend}")
def test_no_sysctl_belongs_to_the_host(wanted: topology.Topology) -> None:
    keys = {key for host in plan(wanted).hosts for key, _ in host.sysctls}
    # each of these is registered for every network namespace (net/ipv4/devinet.c, sysctl_net_ipv4.c, addrconf.c,
    # net/core/sysctl_net_core.c netns_core_table)
    assert len(keys) > 5
    own = r"net/(ipv[46]/conf/(all|default)/\w+|ipv4/\w+|core/somaxconn)"
    assert [key for key in keys if not re.fullmatch(own, key)] == []


def test_defaults_are_set_together_with_all() -> None:
    for host in plan(topology.one_armed()).hosts:
        settings = dict(host.sysctls)
        if "net/ipv4/ip_forward" in settings:
            assert settings["net/ipv4/conf/default/send_redirects"] == settings["net/ipv4/conf/all/send_redirects"]
            assert settings["net/ipv4/ip_forward"] == ("1" if host.name in {"nat", "router"} else "0")


def test_link_indexes_are_unique_in_the_lab_and_never_1() -> None:
    indexes = [int(number) for line in plan(topology.one_armed()).links for number in re.findall(r"index (\d+)", line)]
    assert len(indexes) == 2 * 8  # 4 clients, 2 gateways, NAT and internet
    assert len(set(indexes)) == len(indexes)
    assert min(indexes) > 1
    assert all(one < other for one, other in pairwise(indexes))


def test_interface_names_fit_the_kernel() -> None:
    wanted = topology.Topology(name="sixteen-letter-x", subnets=topology.subnets(2, 40), nat=topology.Nat())
    names = {name for line in plan(wanted).links for name in re.findall(r"(?:add|name) (\S+)", line)}
    assert "client80" in names
    assert max(map(len, names)) <= 15  # IFNAMSIZ is 16 with the final zero


def test_two_arms_are_an_inside_interface_for_each_subnet() -> None:
    nat = lines(plan(topology.two_armed()), "nat")
    assert "address add 10.0.1.1/24 dev eth1" in nat
    assert "address add fd00:a:2::1/64 dev eth2 nodad" in nat
    assert "address add 203.0.113.10/24 dev eth0" in nat
    assert "route add default via 203.0.113.1" in nat


def test_one_arm_is_one_interface_and_a_router_that_sends_the_subnets_there() -> None:
    made = plan(topology.one_armed())
    assert {match for line in lines(made, "nat") for match in re.findall(r"dev (\S+)", line)} == {"eth0"}
    assert "route add default via 203.0.113.10 table 100" in lines(made, "router")
    router = next(host for host in made.hosts if host.name == "router")
    assert router.rules4 == (
        "rule add to 10.0.1.0/24 lookup main pref 100",
        "rule add to 10.0.2.0/24 lookup main pref 100",
        "rule add iif lan1 lookup 100 pref 200",
        "rule add iif lan2 lookup 100 pref 200",
    )
    assert len(router.rules6) == 4


def test_a_pool_has_all_its_addresses_on_the_outside_interface() -> None:
    nat = lines(plan(topology.pool()), "nat")
    for last in range(10, 14):
        assert f"address add 203.0.113.{last}/24 dev eth0" in nat


def test_without_ipv6_no_line_speaks_of_it() -> None:
    for shape in topology.TOPOLOGIES.values():
        made = plan(topology.Topology(name="four", subnets=topology.subnets(), nat=shape().nat, ipv6=False))
        text = "\n".join(line for host in made.hosts for line in (*host.ip, *host.rules6))
        assert "fd00" not in text
        assert "2001:" not in text
        assert ("net/ipv6/conf/all/disable_ipv6", "1") in made.hosts[0].sysctls


def test_no_link_leads_to_the_monitor_and_its_lab_has_room_for_a_database() -> None:
    bare = plan(topology.two_armed())
    made = plan(replace(topology.two_armed(), monitor=True))
    assert made.links == bare.links
    assert [host.name for host in made.hosts if host not in bare.hosts] == ["monitor"]
    assert lines(made, "monitor") == ("link set lo up",)
    assert (bare.run_megabytes, made.run_megabytes) == (64, 1024)


def test_programs_follow_from_the_backend() -> None:
    assert programs(topology.pool(backend="nftables")) == ("nft",)
    assert programs(topology.pool(backend="iptables-nft")) == ("iptables-nft-restore", "ip6tables-nft-restore")
    assert programs(topology.pool(backend="iptables-legacy")) == ("iptables-legacy-restore", "ip6tables-legacy-restore")
