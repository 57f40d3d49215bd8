"""Every fault is real, seen by clients or in the kernel's own figures, seen by natobs, and gone when it is healed."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from natobs.errors import LabError
from natobs.lab import topology, traffic
from natobs.lab.faults import cpu, facts, journal
from natobs.lab.faults.base import Fault
from natobs.lab.faults.mtu import MtuBlackHole
from natobs.lab.faults.registry import ALL, find
from natobs.lab.lab import Lab
from tests.lab.accounting_plan import PATIENT, SHORT, Step, flows
from tests.lab.agents import Scrape
from tests.lab.fault_cases import CASES, Look, total
from tests.lab.shapes import differences, shape
from tests.lab.watched import Watched, watched
from tests.loopback import eventually

pytestmark = pytest.mark.lab

SECONDS = 30.0
"""Within which natobs must have seen a fault; probes go out, and the census is taken, every second."""
LARGE = """
import socket, sys
connection = socket.create_connection((sys.argv[1], 7), timeout=float(sys.argv[2]))
connection.sendall(bytes(6000))
left = 6000
while left:
    left -= len(connection.recv(left))
"""
QUESTION = """
import asyncio, sys
from natobs.lab import users
users._ANSWER_SECONDS = 0.5
asyncio.run(users.exchange(sys.argv[1], 53, users.query("www.example", 7)))
"""

OTHERWISE_ONE_ARMED = (
    "carrier-flap",
    "subnet-route-missing",
    "subnet-route-wrong",
    "address-changed",
    "mtu-small",
    "mtu-black-hole",
    "asymmetric-return",
)
"""Faults that do something else in a lab whose NAT has one interface."""
EXCHANGED = {"nic-errors", "restart", "maintenance-restart"}
"""Faults after which another agent answers."""


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Watched]]:
    """Watched labs by the number of their NAT's interfaces."""
    with ExitStack() as stack:
        found = {}
        for arms, made in (1, topology.one_armed("broken-one")), (2, topology.two_armed("broken-two")):
            lab = stack.enter_context(Lab(made))
            traffic.start_servers(lab)
            found[arms] = stack.enter_context(watched(lab, tmp_path_factory.mktemp("watched")))
        yield found


@pytest.fixture(autouse=True)
def busy_machines_are_good_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run while others do; that a busy machine is refused has a test of its own."""
    monkeypatch.setattr(cpu, "BUSY_PERCENT", 101.0)


def use(lab: Watched, fault: Fault) -> None:
    """What clients do beyond new connections to port 443."""
    if fault.mode == "F8":
        lab.client.run([sys.executable, "-c", LARGE, lab.servers[0], "1.2"], check=False)
    if fault.name == "dns-down":
        lab.client.run([sys.executable, "-c", QUESTION, lab.servers[0]], check=False)


def within(bounds: tuple[tuple[float, float], ...], shares: list[float]) -> bool:
    return all(least <= share <= most for (least, most), share in zip(bounds, shares, strict=True))


def seen(look: Look | None, before: Scrape, scrape: Callable[[], Scrape], again: Callable[[], object]) -> bool:
    """Whether natobs says so in time."""
    if look is None:
        return True
    deadline = time.monotonic() + SECONDS
    while not look(before, scrape()):
        if time.monotonic() > deadline:
            return False
        again()
    return True


def check(lab: Watched, fault: Fault) -> None:
    case, exchanged = CASES[fault.name], fault.name in EXCHANGED
    assert lab.answered(PATIENT) == [1.0] * 4
    whole, facts_before, agent, prober = shape(lab.lab), fault.evidence(), lab.agent(), lab.prober()
    with fault:
        assert [record.fault for record in journal.injected(lab.lab)] == [fault.name]
        begun = lab.agent(anew=exchanged)
        shares = lab.answered(*(PATIENT if least == 1.0 else SHORT for least, _most in case.answered))
        use(lab, fault)
        told = fault.evidence()
        deadline = time.monotonic() + SECONDS
        while not case.evidence(facts_before, told) and time.monotonic() < deadline:
            use(lab, fault)
            lab.answered()
            told = fault.evidence()
        assert case.evidence(facts_before, told), (facts_before, told)
        assert within(case.answered, shares), shares
        attempts = [total(each, "natobs_outbound_attempts_total", proto="tcp") for each in (begun, lab.agent())]
        assert attempts[0] == attempts[1] or not case.unseen
        assert seen(case.agent, agent, lab.agent, lab.answered)
        assert seen(case.prober, prober, lab.prober, lambda: time.sleep(0.2))
    after = lab.agent(anew=exchanged)
    if not exchanged:  # no fault is healed by making the NAT forget connections
        lost = [total(each, "natobs_conntrack_lost_flows_total") for each in (agent, after)]
        assert lost[0] == lost[1]
    assert journal.injected(lab.lab) == []
    assert lab.answered(PATIENT) == [1.0] * 4
    assert eventually(lambda: shape(lab.lab) == whole), differences(whole, shape(lab.lab))


def test_every_fault_has_a_case() -> None:
    assert {fault.name for fault in ALL} == {*CASES, "nats-failing"}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_seen_and_healed(labs: dict[int, Watched], name: str) -> None:
    check(labs[2], find(name)(labs[2].lab))


@pytest.mark.parametrize("name", OTHERWISE_ONE_ARMED)
def test_a_fault_of_a_nat_with_one_interface_is_seen_and_healed(labs: dict[int, Watched], name: str) -> None:
    check(labs[1], find(name)(labs[1].lab))


def test_clamping_is_the_remedy_for_a_black_hole(labs: dict[int, Watched]) -> None:
    lab = labs[2]
    large = [sys.executable, "-c", LARGE, lab.servers[0]]
    with MtuBlackHole(lab.lab) as fault:
        assert lab.client.run([*large, "1.2"], check=False).returncode != 0
        fault.clamp()
        lab.client.run([*large, str(PATIENT)])
    lab.client.run([*large, str(PATIENT)])


def test_a_fault_is_injected_once_and_healed_once_by_whoever(labs: dict[int, Watched]) -> None:
    lab = labs[2].lab
    one, other = find("no-default-route")(lab), find("no-default-route")(lab)
    with pytest.raises(LabError, match="no-default-route is not injected in lab broken-two; injected: nothing"):
        one.heal()
    one.inject()
    with pytest.raises(LabError, match="no-default-route is injected in lab broken-two already; heal it first"):
        other.inject()
    with find("dns-down")(lab):
        assert [record.fault for record in journal.injected(lab)] == ["no-default-route", "dns-down"]
        with pytest.raises(LabError, match=r"; injected: no-default-route, dns-down$"):
            find("third-party-down")(lab).heal()
    assert facts.default_routes(lab.host("nat")) == 0
    other.heal()
    assert facts.default_routes(lab.host("nat")) == 2
    assert journal.injected(lab) == []


def test_a_fault_that_fails_half_way_is_undone(labs: dict[int, Watched], monkeypatch: pytest.MonkeyPatch) -> None:
    lab, fault = labs[2].lab, MtuBlackHole(labs[2].lab)
    monkeypatch.setattr("natobs.lab.faults.mtu._SILENT", "chain nonsense")
    whole = shape(lab)
    with pytest.raises(LabError, match="nft -f - ended with status 1"):
        fault.inject()
    assert fault.record is None
    assert differences(whole, shape(lab)) == []


def test_what_cannot_be_undone_stays_written_down(labs: dict[int, Watched]) -> None:
    lab, fault = labs[2].lab, find("no-default-route")(labs[2].lab)
    fault.inject()
    lab.host("nat").run(["ip", "link", "set", "eth0", "down"])  # nothing leads over it now
    with pytest.raises(LabError, match="no-default-route could not be healed: nat: ip -6 route replace default"):
        fault.heal()
    assert fault.record is not None
    assert len(fault.record.undo) == 2
    lab.host("nat").run(
        ["sh", "-c", "ip link set eth0 up; ip -force -batch - 2>/dev/null; true"], stdin=fault.wiring("nat")
    )
    fault.heal()
    assert labs[2].answered(PATIENT) == [1.0] * 4


def test_faults_that_a_nat_does_not_allow_are_refused_in_words() -> None:
    with Lab(topology.pool("allows", ports=(1024, 9999))) as lab:
        with pytest.raises(LabError, match="needs a NAT that keeps its clients' ports"):
            find("tuple-clashes")(lab).inject()
        with pytest.raises(LabError, match="is shown to the agent on the NAT, and none runs there"):
            find("nic-errors")(lab).inject()
        assert journal.injected(lab) == []
    with (
        Lab(topology.pool("full-pool")) as lab,
        pytest.raises(LabError, match=r"258048 entries hold all ports, and this machine's table takes \d+"),
    ):
        find("ports-exhausted")(lab).inject()


def test_two_nats_of_three_fail_and_the_third_does_not() -> None:
    with Lab(*(topology.two_armed(name) for name in ("north", "east", "south"))) as lab:
        for world in lab.worlds:
            traffic.start_servers(world)
        fault = find("nats-failing")(lab)

        def answered(*seconds: float) -> list[int]:
            server = lab.topology.server_addresses(4)[0]
            return [
                flows(world.host("client1"), [("tcp", server, 443, 5, wait)])[0]["answered"]
                for world, wait in zip(lab.worlds, seconds, strict=True)
            ]

        assert answered(PATIENT, PATIENT, PATIENT) == [5, 5, 5]
        with fault:
            assert answered(SHORT, SHORT, PATIENT) == [0, 0, 5]
            assert [dropped > 0 for dropped in fault.evidence().values()] == [True, True, False]
        assert answered(PATIENT, PATIENT, PATIENT) == [5, 5, 5]
        with pytest.raises(LabError, match="nats-failing takes 3 NATs: natobs lab up --stack --nats 3"):
            find("nats-failing")(lab.worlds[1]).inject()


@pytest.mark.parametrize("backend", ["iptables-nft", "iptables-legacy"])
def test_the_established_rule_of_every_backend_is_found(backend: topology.Backend) -> None:
    with Lab(topology.two_armed("old-rules", backend=backend)) as lab:
        traffic.start_servers(lab)
        whole, fault = shape(lab), find("established-rule-missing")(lab)
        before = fault.evidence()
        with fault:
            steps: list[Step] = [
                ("tcp", server, 443, 5, 0.3)
                for family in (4, 6)
                for server in lab.topology.server_addresses(family)[:1]
            ]
            assert [found["answered"] for found in flows(lab.host("client1"), steps)] == [0, 0]
            assert fault.evidence()["denied_packets"] > before["denied_packets"]
        assert differences(whole, shape(lab)) == []
