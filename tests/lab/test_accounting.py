"""What the accounting table counts, against a plan of flows; and under the faults that must not look like success."""

import json
import sys
from typing import get_args

import pytest

from natobs.lab import entries, topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab import accounting_plan as plan
from tests.lab.accounting_plan import DISCARD, ECHO, PATIENT, SHORT, Counted, Found, Step
from tests.lab.conftest import LabFactory
from tests.loopback import eventually

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("one_cpu")]
"""Where a host's last words overtake one another, it is answered with a reset, which is counted and in no plan."""

CLIENT = "client1"
SEND_TOO_MUCH = """
import errno, socket, sys
for address in sys.argv[1:]:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect((address, 9))
        sock.send(bytes(1400))  # in one piece: path MTU discovery is the default
        try:
            sock.recv(1)
        except OSError as error:
            assert error.errno == errno.EMSGSIZE, error
"""
"""Has two large datagrams refused by a router's ICMP error, which the kernel gives to the socket (ip(7))."""


def install(nat: Host) -> None:
    nat.run(nat.python("natobs", "accounting", "install"))


def answer_all(lab: Lab) -> None:
    """Have the internet send as many ICMP errors as are due."""
    limits = ["net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0"]
    lab.host("internet").run(["sysctl", "-q", "-w", *limits])


@pytest.fixture(scope="module")
def accounted(lab_factory: LabFactory) -> Lab:
    """A two-armed NAT that accounts; every test takes what it adds away again."""
    lab = lab_factory(topology.two_armed("accounted"))
    install(lab.host("nat"))
    return lab


class Watch:
    """What was counted since the last look."""

    def __init__(self, lab: Lab) -> None:
        self.nat = lab.host("nat")
        # Linux chooses source ports by chance: a datagram from one of an earlier flow would open no new one.
        self.nat.run(["conntrack", "-D", "-p", "udp"], check=False)  # its status is 1 where there was none
        self._before = plan.read(self.nat)

    def look(self, expected: Counted | None = None) -> Counted:
        """Everything; waits a little for what is expected."""
        found = plan.counted(self.nat, self._before, expected) if expected else plan.read(self.nat).since(self._before)
        self._before = plan.read(self.nat)
        return found


def some(lab: Lab, tcp: int = 4, udp: int = 6, seconds: float = SHORT) -> list[Step]:
    """Flows that a healthy NAT would have answered."""
    server = lab.topology.server_addresses(4)[0]
    return [("tcp", server, ECHO, tcp, seconds), ("udp", server, ECHO, udp, seconds)]


def again(found: list[Found]) -> int:
    """SYNs that were sent a second time, because a busy machine let a host wait for longer than it meant to."""
    return sum(one["again"] for one in found)


def total(found: Counted, what: str) -> int:
    return sum(value for name, value in found.counters.items() if name.startswith(f"{what}_"))


@pytest.mark.parametrize("backend", get_args(topology.Backend))
@pytest.mark.parametrize("kind", topology.TOPOLOGIES)
def test_every_counter_equals_the_plan(kind: str, backend: topology.Backend) -> None:
    with Lab(topology.TOPOLOGIES[kind]("planned", backend=backend)) as lab:
        traffic.start_servers(lab)
        nat = lab.host("nat")
        install(nat)
        answer_all(lab)
        whole = plan.steps(lab)
        halves = {CLIENT: whole, "client3": whole[::-1][: len(whole) // 2]}
        running = {name: plan.begin(lab.host(name), taken) for name, taken in halves.items()}
        found = {name: plan.finish(process) for name, process in running.items()}
        for name, taken in halves.items():
            plan.check_outcomes(taken, found[name])
        wanted = plan.expected(
            {
                lab.topology.client_address(name, family): [
                    (step, one)
                    for step, one in zip(taken, found[name], strict=True)
                    if (":" in step[1]) == (family == 6)
                ]
                for name, taken in halves.items()
                for family in lab.topology.families
            }
        )
        assert plan.counted(nat, Counted(), wanted) == wanted


def test_the_table_is_read_as_nft_prints_it(accounted: Lab) -> None:
    nat = accounted.host("nat")
    plan.flows(accounted.host(CLIENT), plan.steps(accounted))
    plan.await_over(nat)
    read = json.loads(nat.run(nat.python("tests.lab.read_accounting")).stdout)
    said = json.loads(nat.run(["nft", "-j", "list", "table", "inet", "natobs"]).stdout)["nftables"]
    counters = [entry["counter"] for entry in said if "counter" in entry]
    steady = [one for one in counters if not one["name"].endswith("_icmp")]
    assert len(steady) == 25
    for one in steady:
        assert read["counters"][one["name"]] == [one["packets"], one["bytes"]], one["name"]
    sets = {entry["set"]["name"]: entry["set"].get("elem", []) for entry in said if "set" in entry}
    for name in ("attempts", "answers"):
        listed = {
            f"{address} {6 if protocol == 'tcp' else 17} {port}": element["elem"]["counter"]["packets"]
            for element in sets[f"{name}4"] + sets[f"{name}6"]
            for address, protocol, port in [element["elem"]["val"]["concat"]]
        }
        assert listed == read[name]
        assert len(listed) >= 8


def test_forwarded_packets_and_bytes(accounted: Lab) -> None:
    nat, client = accounted.host("nat"), accounted.host(CLIENT)
    plan.await_over(nat)
    before = plan.forwarded(nat)
    plan.flows(client, [("udp", accounted.topology.server_addresses(f)[0], DISCARD, 10, 0.1) for f in (4, 6)])
    after = plan.forwarded(nat)
    datagram = len(b"natobs lab\n") + 8
    assert [a - b for a, b in zip(after["out"], before["out"], strict=True)] == [20, 10 * (20 + 40 + 2 * datagram)]
    assert after["in"] == before["in"]


def test_fragmentation_needed(accounted: Lab) -> None:
    nat, client = accounted.host("nat"), accounted.host(CLIENT)
    watch = Watch(accounted)
    nat.run(["ip", "link", "set", "eth0", "mtu", "1300"])
    servers = [accounted.topology.server_addresses(family)[1] for family in accounted.topology.families]
    client.run([sys.executable, "-c", SEND_TOO_MUCH, *servers])
    nat.run(["ip", "link", "set", "eth0", "mtu", "1500"])
    found = watch.look()
    assert found.counters["fragmentation_needed"] == 2
    assert total(found, "answered") == total(found, "refused") == 0


def test_what_stays_inside_is_no_attempt(accounted: Lab) -> None:
    watch, client = Watch(accounted), accounted.host(CLIENT)
    neighbour = accounted.topology.client_address("client3", 4)
    gateway = accounted.topology.client_address("client1", 6).rpartition(":")[0] + ":1"
    kinds: list[Step] = [("udp", "224.0.0.251", 5353, 3, 0.1), ("udp", gateway, 999, 3, 0.3)]
    kinds += [("tcp", neighbour, 999, 3, 1), ("icmp", neighbour, 0, 3, 1), ("udp", neighbour, 999, 3, 0.3)]
    plan.flows(client, kinds)
    assert watch.look() == Counted()


def test_an_answer_sent_again_counts_once(accounted: Lab) -> None:
    watch, client = Watch(accounted), accounted.host(CLIENT)
    lose = "table ip lose {\n chain in {\n type filter hook input priority 0;\n tcp flags & (syn | ack) == (syn | ack) "
    client.run(["nft", "-f", "-"], stdin=f"{lose} numgen inc mod 2 0 counter drop\n }}\n}}\n")
    (tcp,) = plan.flows(client, some(accounted, tcp=10, seconds=PATIENT)[:1])
    assert "packets 0" not in client.run(["nft", "list", "table", "ip", "lose"]).stdout
    client.run(["nft", "delete", "table", "ip", "lose"])
    found = watch.look()
    assert tcp["answered"] == 10
    assert found.counters["attempts_tcp"] == found.counters["answered_tcp"] == 10
    assert found.counters["repeated_tcp"] == tcp["again"] > 0


def test_no_route_on_the_nat(accounted: Lab) -> None:
    watch, client = Watch(accounted), accounted.host(CLIENT)
    nat = accounted.host("nat")
    route = nat.run(["ip", "-4", "route", "show", "default"]).stdout.split()
    nat.run(["ip", "-4", "route", "del", "default"])
    plan.flows(client, some(accounted))
    nat.run(["ip", "-4", "route", "add", *route])
    found = watch.look()
    assert found.counters["attempts_tcp"] >= 4
    assert found.counters["attempts_udp"] == 6
    assert total(found, "answered") == total(found, "refused") == 0


DENIALS = {
    "replies dropped when forwarded": ("forward", "ip saddr 198.51.100.0/24 drop"),
    "replies dropped at the very end": ("postrouting", "ip saddr 198.51.100.0/24 ct direction reply drop"),
    "first packets dropped": ("forward", "ip daddr 198.51.100.0/24 drop"),
    "first packets dropped at the very end": ("postrouting", "ip daddr 198.51.100.0/24 drop"),
    "reset by the NAT itself": ("forward", "ip daddr 198.51.100.0/24 meta l4proto tcp reject with tcp reset"),
    "refused by the NAT itself": ("forward", "ip daddr 198.51.100.0/24 reject with icmp admin-prohibited"),
}


@pytest.mark.parametrize("denial", DENIALS)
def test_rules_that_deny_behind_the_counters(accounted: Lab, denial: str) -> None:
    watch, nat = Watch(accounted), accounted.host("nat")
    hook, rule = DENIALS[denial]
    chain = f"type filter hook {hook} priority 200; policy accept;"
    nat.run(["nft", "-f", "-"], stdin=f"table ip deny {{\n chain c {{\n {chain}\n {rule}\n }}\n}}\n")
    taken = some(accounted)[: 1 if "tcp" in rule else 2]
    flows = plan.flows(accounted.host(CLIENT), taken)
    assert sum(one["answered"] for one in flows) == 0
    nat.run(["conntrack", "-F"])  # servers go on answering for a while, and then it would be true
    nat.run(["nft", "delete", "table", "ip", "deny"])
    found = watch.look()
    # without an entry, a SYN that is sent again is an attempt again
    assert found.counters["attempts_tcp"] + found.counters.get("repeated_tcp", 0) == 4 + again(flows)
    assert found.counters["attempts_tcp"] >= 4
    assert found.counters.get("attempts_udp", 0) == (6 if len(taken) == 2 else 0)
    assert total(found, "answered") == total(found, "refused") == 0


def test_a_flush_under_running_flows_shows_as_pickups(accounted: Lab) -> None:
    watch, nat, client = Watch(accounted), accounted.host("nat"), accounted.host(CLIENT)
    server = accounted.topology.server_addresses(4)[0]
    with plan.talking(client, server, 20) as say:
        assert eventually(lambda: say() == 20)
        before = watch.look()
        nat.run(["conntrack", "-F"])
        say()
        after = watch.look()
    assert before.counters["attempts_tcp"] == before.counters["answered_tcp"] == 20
    assert "midstream" not in before.counters
    assert after.counters["midstream"] >= 20
    assert total(after, "attempts") == total(after, "answered") == 0


def test_quarantine(accounted: Lab) -> None:
    watch, nat, client = Watch(accounted), accounted.host("nat"), accounted.host(CLIENT)
    four, six = (accounted.topology.client_address(CLIENT, family) for family in (4, 6))
    server6 = accounted.topology.server_addresses(6)[0]
    nat.run(
        ["nft", f"add element inet natobs quarantine4 {{ {four} }}; add element inet natobs quarantine6 {{ {six} }}"]
    )
    flows = plan.flows(client, [*some(accounted), ("udp", server6, ECHO, 5, 0.3)])
    assert [one["silent"] for one in flows] == [4, 6, 5]
    others = plan.flows(accounted.host("client2"), some(accounted, seconds=PATIENT))
    assert [one["answered"] for one in others] == [4, 6]
    nat.run(["nft", f"delete element inet natobs quarantine4 {{ {four} }}"])
    nat.run(["nft", f"delete element inet natobs quarantine6 {{ {six} }}"])
    found = watch.look()
    assert found.counters["quarantined"] == 15 + again(flows)
    assert total(found, "attempts") == total(found, "answered") == 10
    assert found.hosts == {accounted.topology.client_address("client2", 4): 10}


def test_a_full_table_is_in_the_denominator(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("fullacct"))
    nat = lab.host("nat")
    install(nat)
    limit = int(nat.run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]).stdout)
    entries.load(nat, limit, "assured", check=False)
    watch = Watch(lab)
    server = lab.topology.server_addresses(4)[0]
    flows = plan.flows(lab.host(CLIENT), [*some(lab), ("icmp", server, 0, 3, SHORT)])
    assert all(one["answered"] == 0 for one in flows)
    found = watch.look()
    assert found == Counted({"untracked_tcp": 4 + again(flows), "untracked_udp": 6, "untracked_icmp": 3})
