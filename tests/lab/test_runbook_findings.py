"""What runbooks say of a fault's output, and of what ends it, is so on a NAT that has the fault."""

import shlex
import sys
import time
from collections.abc import Iterator

import pytest

from natobs.lab import topology, traffic
from natobs.lab.faults import facts
from natobs.lab.faults.ports import PORT
from natobs.lab.faults.registry import find
from natobs.lab.lab import Host, Lab
from natobs.lab.servers import HTTP_PORTS
from tests.lab.test_faults import LARGE
from tests.loopback import eventually
from tests.runbook_commands import commands
from tests.test_runbooks import WRITTEN

pytestmark = pytest.mark.lab

SERVER = "198.51.100.1"
OTHER = next(port for port in HTTP_PORTS if port != PORT)
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))"


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with Lab(topology.two_armed("findings")) as built:
        traffic.start_servers(built)
        yield built


@pytest.fixture
def nat(lab: Lab) -> Iterator[Host]:
    """The NAT, whose rules are put back afterwards."""
    host = lab.host("nat")
    saved = host.run(["nft", "list", "ruleset"]).stdout
    yield host
    host.run(["nft", "-f", "-"], stdin=f"flush ruleset\n{saved}")


def type_from(page: str, host: Host, line: str) -> str:
    """Type a command that a runbook names, and give its output."""
    words = tuple(shlex.split(line))
    assert words in set(commands(WRITTEN[page])), f"{page} does not say {line}"
    argv = host.python(*words) if words[0] == "natobs" else list(words)
    return host.run(argv, check=False).stdout


def connects(lab: Lab, port: int, seconds: float = 0.5) -> bool:
    """Whether the first client reaches a port of the first server."""
    argv = [sys.executable, "-c", CONNECT, SERVER, str(port), str(seconds)]
    return lab.host("client1").run(argv, check=False).returncode == 0


def drops(host: Host) -> tuple[int, int]:
    """What ``conntrack -S`` calls ``drop`` and ``insert_failed``."""
    counted = facts.conntrack(host)
    return counted["drop"], counted["insert_failed"]


def used(line: str) -> float:
    """The share of its ports that a row of the census gives to a destination, in per cent."""
    words = line.split()
    return float(words[words.index("%") - 1])


def test_a_full_table_drops_and_does_not_fail_to_insert_and_the_census_names_who_fills_it(lab: Lab, nat: Host) -> None:
    with find("table-full")(lab):
        before = drops(nat)
        # An entry that times out makes room for one flow, before what fills the table sees it.
        assert sum(connects(lab, 443) for _attempt in range(4)) <= 1
        after = drops(nat)
        assert after[0] > before[0]
        assert after[1] == before[1]
        entries = int(type_from("F1", nat, "conntrack -C"))
        assert entries >= 0.95 * facts.limit(nat)
        ranking = type_from("F1", nat, "natobs census --by host --top 20")
        first = next(line for line in ranking.splitlines() if line.startswith("10."))
        assert float(first.split()[2]) > 33.0  # "one host with a third of all flows"
    assert connects(lab, 443, 2.0)


def test_exhausted_ports_show_in_the_census_and_another_address_for_each_flow_ends_it(lab: Lab, nat: Host) -> None:
    with find("ports-exhausted")(lab):
        before = drops(nat)
        assert not connects(lab, PORT)
        assert connects(lab, OTHER, 3.0)
        risen = [new - old for new, old in zip(drops(nat), before, strict=True)]
        assert risen[0] == risen[1] > 0
        ranking = type_from("F9", nat, "natobs census --by tuple --top 10").splitlines()
        line = next(line for line in ranking if line.startswith("203.0.113."))
        fullest = line.split()
        assert fullest[2:4] == [SERVER, str(PORT)]
        assert fullest[-1] == "default"
        assert used(line) >= 80.0
        type_from("F9", nat, "ip address add 203.0.113.11/32 dev eth0")
        rule = "nft insert rule ip nat postrouting oifname eth0 snat to numgen inc mod 2 map"
        type_from("F9", nat, f"{rule} '{{ 0 : 203.0.113.10, 1 : 203.0.113.11 }}' fully-random")
        assert all(
            connects(lab, PORT, 2.5) for _ in range(4)
        )  # a SYN that met the full address is sent again after 1 s
    nat.run(shlex.split("ip address del 203.0.113.11/32 dev eth0"))


def test_clashes_are_below_eighty_per_cent(lab: Lab, nat: Host) -> None:
    with find("tuple-clashes")(lab):
        before = drops(nat)
        deadline = time.monotonic() + 15.0
        while drops(nat) == before and time.monotonic() < deadline:
            time.sleep(0.2)
        risen = [new - old for new, old in zip(drops(nat), before, strict=True)]
        assert risen[0] == risen[1] > 0
        fullest = type_from("NatTupleClashes", nat, "natobs census --by tuple --top 5").splitlines()
        assert 40.0 < max(used(line) for line in fullest if line.startswith("203.0.113.")) < 80.0


def test_clients_with_the_same_ports_lose_flows_and_none_with_random_ports(lab: Lab, nat: Host) -> None:
    def lost() -> int:
        nat.run(["conntrack", "-F"])
        before = drops(nat)
        for name in ("client1", "client3"):
            traffic.udp_flows(lab.host(name), SERVER, 9, count=15_000, first_port=20_000)
        return drops(nat)[0] - before[0]

    # The kernel chooses at random: of the second client's flows it loses ten, and once in 20,000 times none.
    assert lost() + lost() > 0
    type_from("NatTupleClashes", nat, "nft insert rule ip nat postrouting oifname eth0 masquerade fully-random")
    assert lost() == 0
    nat.run(["conntrack", "-F"])


def test_an_edited_rule_shows_in_the_counters_and_letting_answers_through_ends_it(lab: Lab, nat: Host) -> None:
    with find("established-rule-missing")(lab):
        assert not connects(lab, 443)
        listed = type_from("F6", nat, "nft -a list ruleset")
        denies = next(line for line in listed.splitlines() if "lab: deny" in line)
        assert "counter packets 0 " not in denies
        type_from("F6", nat, "nft insert rule inet filter forward ct state established,related accept")
        assert connects(lab, 443, 2.0)


def test_a_rule_too_many_is_not_overruled_from_another_chain(lab: Lab, nat: Host) -> None:
    with find("return-blocked")(lab):
        type_from("F6", nat, "nft insert rule inet filter forward ct state established,related accept")
        assert not connects(lab, 443)
        listed = type_from("F6", nat, "nft -a list ruleset")
        assert "hook forward" in listed
        handle = next(line for line in listed.splitlines() if "ct direction reply" in line).rpartition(" ")[2]
        nat.run(["nft", "delete", "rule", "inet", "lab_blocked", "forward", "handle", handle])
        assert connects(lab, 443, 2.0)


def test_large_transfers_hang_in_a_black_hole_and_clamping_ends_that(lab: Lab, nat: Host) -> None:
    large = [sys.executable, "-c", LARGE, SERVER]
    client = lab.host("client1")
    with find("mtu-black-hole")(lab):
        assert connects(lab, 443, 3.0)  # handshakes succeed
        assert client.run([*large, "1.2"], check=False).returncode != 0
        said = type_from("F8", client, "natobs probe once pmtu://198.51.100.1:443")
        assert "good" not in said.split()
        type_from("F8", nat, "nft insert rule inet filter forward tcp flags syn tcp option maxseg size set rt mtu")
        client.run([*large, "20"])


def test_translations_survive_a_lost_carrier_and_no_interface_that_is_switched_off(lab: Lab, nat: Host) -> None:
    internet = lab.host("internet")
    with traffic.tcp_flows(lab.host("client1"), SERVER, 7, count=5):
        internet.run(shlex.split("ip link set dev eth0 down"))
        # Workers of the kernel do the rest: they write that it is no more at work, and forget what it translated.
        assert eventually(lambda: "NO-CARRIER" in type_from("NatLinkDown", nat, "ip link show dev eth0"), 20)
        assert ",UP>" in type_from("NatLinkDown", nat, "ip link show dev eth0")
        assert int(nat.run(["conntrack", "-C"]).stdout) >= 5
        internet.run(shlex.split("ip link set dev eth0 up"))
        nat.run(shlex.split("ip link set dev eth0 down"))
        assert ",UP" not in type_from("NatLinkDown", nat, "ip link show dev eth0")
        assert eventually(lambda: nat.run(["conntrack", "-L", "-p", "tcp"]).stdout == "", 20)
    nat.run(shlex.split("ip link set dev eth0 up"))
    nat.run(shlex.split("ip route add default via 203.0.113.1 dev eth0"))
