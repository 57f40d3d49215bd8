"""The responder of a real agent on the lab's NAT, asked from the private subnets about servers of the internet."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from natobs.lab import topology, traffic
from natobs.lab.lab import Host, Lab
from natobs.wire.token import MAGIC, RESPONDER_MAGIC
from tests.lab import tokens
from tests.lab.agents import AgentInLab, Scrape, agent_in
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

STAMP_PORT = 862
INSIDE = {4: "10.0.1.1:9653", 6: "[fd00:a:1::1]:9653"}
CONFIG = """
[responder]
listen = ["10.0.1.1:9653", "[fd00:a:1::1]:9653"]
allow = ["10.0.1.0/24", "fd00:a:1::/64"]
targets = ["198.51.100.0/24", "2001:db8:51::/64"]
rate = 1000
source_rate = 1000
"""
MOST_TURNS = 20
Seen = dict[str, dict[bool, int]]
"""Token to nanoseconds, by whether the packet left."""


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    built = lab_factory(topology.two_armed("responder"))
    internet = built.host("internet")
    for family in built.topology.families:
        words = ["stamp", built.topology.server_addresses(family)[0], str(STAMP_PORT), "0"]
        process = internet.popen(internet.python("tests.lab.udp_answers", *words), stdout=subprocess.PIPE)
        assert traffic.first_line(process, 20) == "ready"
    return built


@pytest.fixture
def agent(lab: Lab, tmp_path: Path) -> Iterator[AgentInLab]:
    config = tmp_path / "natobs.toml"
    config.write_text(CONFIG)
    with agent_in(lab.host("nat"), "--config", str(config)) as running:
        running.await_value(lambda scrape: scrape.value("natobs_responder_up") == 1, 20)
        yield running


def ask(client: Host, kind: str, target: str, count: int = 1, **settings: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - whatever the definition has
    """Outcomes of the asker, made by the engine in a host."""
    order = {
        "ask": True,
        "settings": {
            "name": "lab",
            "kind": kind,
            "targets": [target],
            "timeout_seconds": 10.0,
            "retries": 0,
            "compare": {"responder": INSIDE[4]},
            **settings,
        },
        "count": count,
    }
    done: dict[str, Any] = json.loads(client.run(client.python("tests.lab.run_attempts", json.dumps(order))).stdout)
    attempts: list[dict[str, Any]] = done["attempts"]
    assert len(attempts) == count
    return attempts


def where(lab: Lab, kind: str, family: topology.Family) -> str:
    server = lab.topology.server_addresses(family)[0]
    port = {"icmp": "", "udp": f":{STAMP_PORT}", "tcp": ":80"}[kind]
    return f"[{server}]{port}" if port and family == 6 else f"{server}{port}"


def results(scrape: Scrape) -> dict[str, float]:
    return scrape.by("natobs_responder_requests_total", "result")


class Capture:
    """What passes the NAT's outside, by a packet socket of its own."""

    def __init__(self, nat: Host) -> None:
        self._process = nat.popen(
            [sys.executable, tokens.__file__, "capture", "eth0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert traffic.first_line(self._process, 20) == "ready"

    def end(self) -> Seen:
        output, _nothing = self._process.popen.communicate(timeout=20)
        seen: Seen = {}
        for _device, outgoing, token, nanoseconds in json.loads(output):
            seen.setdefault(token, {})[outgoing] = nanoseconds
        return seen


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize(("kind", "clock"), [("icmp", "kernel_txrx"), ("udp", "kernel_txrx"), ("tcp", "tcp_info")])
def test_every_kind_is_measured_by_the_nat(
    lab: Lab, agent: AgentInLab, kind: str, clock: str, family: topology.Family
) -> None:
    attempts = ask(lab.host("client1"), kind, where(lab, kind, family), count=20, compare={"responder": INSIDE[family]})
    for attempt in attempts:
        assert (attempt["reason"], attempt["clock"]) == (None, clock), attempt
        assert 1e-6 < attempt["rtt"] < attempt["seconds"]
    assert results(agent.scrape()) == {"measured": 20, "failed": 0, "refused": 0, "busy": 0, "ignored": 0}


def test_the_round_trip_is_that_of_a_capture_on_the_nats_outside(lab: Lab, agent: AgentInLab) -> None:
    capture = Capture(lab.host("nat"))
    attempts = ask(lab.host("client1"), "icmp", where(lab, "icmp", 4), count=200)
    seen = capture.end()
    assert len(seen) == 200
    truth = [times[False] - times[True] for times in seen.values()]  # in the order in which they were sent
    errors = [attempt["rtt"] * 1e9 - true for attempt, true in zip(attempts, truth, strict=True)]
    assert median(map(abs, errors)) < 20_000, sorted(errors)
    assert abs(median(attempt["rtt"] for attempt in attempts) - median(truth) / 1e9) < 20e-6


def test_measurements_are_nothing_that_passed_the_nat(lab: Lab, agent: AgentInLab) -> None:
    client, capture = lab.host("client1"), Capture(lab.host("nat"))
    for family in lab.topology.families:
        for kind in ("icmp", "udp", "tcp"):
            assert {attempt["reason"] for attempt in ask(client, kind, where(lab, kind, family), 25)} == {None}
    sent = {bytes.fromhex(token)[:4] for token in capture.end()}
    assert sent == {RESPONDER_MAGIC}
    # Then some that do pass, so that the taps are known to be at work; and the time in which any other is given up.
    server = lab.topology.server_addresses(4)[0]
    words = [sys.executable, tokens.__file__, "send", server, str(STAMP_PORT), "10", "0.002"]
    capture = Capture(lab.host("nat"))
    assert int(client.run(words).stdout) == 10
    assert {bytes.fromhex(token)[:4] for token in capture.end()} == {MAGIC}
    client.run(["sleep", "2.2"])
    scrape = agent.scrape()
    assert results(scrape)["measured"] == 150
    assert scrape.by("natobs_nat_residence_missed_total", "direction") == {"out": 0, "back": 0}
    assert scrape.by("natobs_probe_packets_seen_total", "point") == dict.fromkeys(
        ("inside_in", "outside_out", "outside_in", "inside_out"), 10
    )
    assert scrape.by("natobs_nat_residence_seconds_count", "direction") == {"out": 10, "back": 10}


def test_an_outsider_gets_no_answer(lab: Lab, agent: AgentInLab) -> None:
    outsider = next(name for name in lab.topology.clients if lab.topology.client_address(name, 4).startswith("10.0.2."))
    (attempt,) = ask(lab.host(outsider), "icmp", where(lab, "icmp", 4), timeout_seconds=0.5)
    assert attempt["reason"] == "timeout"
    assert "no answer from the responder 10.0.1.1:9653" in attempt["detail"]
    (attempt,) = ask(lab.host("internet"), "icmp", "203.0.113.10", compare={"responder": "203.0.113.10:9653"})
    assert (attempt["reason"], "nobody listens" in attempt["detail"]) == ("refused", True)
    assert results(agent.scrape()) == {"measured": 0, "failed": 0, "refused": 0, "busy": 0, "ignored": 1}


@pytest.mark.parametrize("target", ["203.0.113.1", "10.0.2.11", "127.0.0.1", "169.254.169.254", "fd00:a:1::11"])
def test_a_target_off_the_list_is_refused(lab: Lab, agent: AgentInLab, target: str) -> None:
    (attempt,) = ask(lab.host("client1"), "icmp", target)
    assert attempt["reason"] == "refused"
    assert "the target is not among its responder.targets" in attempt["detail"]
    assert results(agent.scrape())["refused"] == 1


def test_failures_are_those_that_the_nat_met(lab: Lab, agent: AgentInLab) -> None:
    client, server = lab.host("client1"), lab.topology.server_addresses(4)[0]
    # It has 50 ms to say so before its asker gives up, which it misses now and then on a machine that is busy.
    dead: list[dict[str, Any]] = []
    while not any("says of its own attempt" in one["detail"] for one in dead):
        assert len(dead) < MOST_TURNS, dead
        dead += ask(client, "tcp", f"{lab.topology.dead_address(4)}:80", timeout_seconds=0.5)
    (closed,) = ask(client, "tcp", f"{server}:4444")
    (port,) = ask(client, "udp", f"{server}:4444")
    assert {one["reason"] for one in dead} == {"timeout"}
    assert dead[-1]["syn_retransmits"] == 0
    assert [(one["reason"], "says of its own attempt" in one["detail"]) for one in (closed, port)] == [
        ("refused", True),
        ("refused", True),
    ]
    assert "(ICMP type 3 code 3)" in port["detail"]
    agent.await_value(lambda scrape: results(scrape)["failed"] == len(dead) + 2, 20)


def test_after_a_reload_an_address_that_comes_later_is_answered_from(lab: Lab, tmp_path: Path) -> None:
    """As with a NAT that takes over the inside address of another."""
    config, client, nat = tmp_path / "natobs.toml", lab.host("client1"), lab.host("nat")
    config.write_text(CONFIG)
    target, later = where(lab, "icmp", 4), {"responder": "10.0.1.200:9653"}
    with agent_in(nat, "--config", str(config)) as running:
        assert ask(client, "icmp", target)[0]["reason"] is None
        config.write_text(CONFIG.replace("10.0.1.1:9653", "10.0.1.200:9653"))
        running.process.send_signal(signal.SIGHUP)
        running.await_value(lambda scrape: scrape.value("natobs_responder_up") == 0, 20)
        assert "nobody listens" in ask(client, "icmp", target)[0]["detail"]
        nat.run(["ip", "address", "add", "10.0.1.200/32", "dev", "eth1"])
        try:
            scrape = running.await_value(lambda scrape: scrape.value("natobs_responder_up") == 1, 20)
            assert ask(client, "icmp", target, compare=later)[0]["reason"] is None
        finally:
            nat.run(["ip", "address", "del", "10.0.1.200/32", "dev", "eth1"])
        assert results(scrape)["measured"] == 1  # from before the reload
