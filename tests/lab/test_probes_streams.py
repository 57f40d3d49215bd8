"""Stream probes through the NAT: each reason produced for real, and a retried success never counted as a first one."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from natobs.lab.lab import Host, Lab
from tests.lab.attempts import attempted
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

SERVER = "198.51.100.1"
SERVER6 = "2001:db8:51::1"
NOBODY = "198.51.100.250"
CONNECTS = 300
SOURCES = [f"10.0.1.{number}" for number in range(101, 107)]
"""Addresses that connect side by side, each opening one connection at a time and having a drop counter of its own."""

BLACKBOX = "prometheus-blackbox-exporter"
SCRAPES = f"""
import time, urllib.request
from concurrent.futures import ThreadPoolExecutor
for _ in range(400):
    try:
        urllib.request.urlopen("http://127.0.0.1:9115/-/healthy", timeout=5)
        break
    except OSError:
        time.sleep(0.05)
def probe(_number):
    url = "http://127.0.0.1:9115/probe?module=tcp&target={SERVER}:80"
    return b"\\nprobe_success 1\\n" in urllib.request.urlopen(url, timeout=60).read()
with ThreadPoolExecutor(6) as threads:
    print(sum(threads.map(probe, range({CONNECTS}))))
"""


def probe(host: Host, count: int = 1, **settings: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - any key of the file
    wanted = {"name": "t", "timeout_seconds": 2, "interval_seconds": 60} | settings
    done = attempted(host, wanted, count=count)
    attempts: list[dict[str, Any]] = done["attempts"]
    return [attempt | {"kept": done["kept"]} for attempt in attempts]


def tcp(host: Host, target: str, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - any key of the file
    (attempt,) = probe(host, kind="tcp", targets=[target], **settings)
    return attempt


def counter(nat: Host, name: str) -> int:
    listed = json.loads(nat.run(["nft", "-j", "list", "counter", "inet", "lossy", name]).stdout)
    return int(next(item["counter"]["packets"] for item in listed["nftables"] if "counter" in item))


@pytest.fixture
def lab(two_armed_lab: Lab) -> Lab:
    return two_armed_lab


@pytest.mark.parametrize("target", [f"{SERVER}:80", f"[{SERVER6}]:80"])
def test_a_connection_through_the_nat(lab: Lab, target: str) -> None:
    got = tcp(lab.host("client1"), target)
    assert (got["reason"], got["syn_retransmits"]) == (None, 0)
    assert 0 < got["rtt"] < 0.1


def test_http_through_the_nat_sees_the_public_address(lab: Lab) -> None:
    pattern = r'"peer": "203\.0\.113\.10"'
    http = {"tls": False}
    client = lab.host("client1")
    (good,) = probe(client, kind="http", targets=[SERVER], http=http, expect={"body": pattern})
    assert good["reason"] is None
    assert list(good["phases"]) == ["resolve", "connect", "first_byte", "transfer"]
    (bad,) = probe(client, kind="http", targets=[SERVER], http=http, expect={"body": "203.0.113.99"})
    assert bad["reason"] == "body"


def test_tls_to_a_server_without_it_fails_with_tls(lab: Lab) -> None:
    (got,) = probe(lab.host("client1"), kind="tls", targets=[f"{SERVER}:7"])  # sends our own greeting back
    assert got["reason"] == "tls"
    assert list(got["phases"]) == ["resolve", "connect", "tls"]


@pytest.mark.parametrize(
    ("target", "reason"), [(f"{SERVER}:81", "refused"), (f"[{SERVER6}]:81", "refused"), (f"{NOBODY}:80", "timeout")]
)
def test_who_does_not_answer(lab: Lab, target: str, reason: str) -> None:
    got = tcp(lab.host("client1"), target)
    assert (got["reason"], got["icmp"], got["rtt"]) == (reason, None, None)


@pytest.mark.parametrize(
    ("family", "verdict", "reason", "icmp"),
    [
        ("ip", "reject with icmp admin-prohibited", "unreachable", [3, 13, "10.0.1.1"]),
        ("ip", "reject with icmp host-unreachable", "unreachable", [3, 1, "10.0.1.1"]),
        ("ip", "reject with icmp port-unreachable", "unreachable", [3, 3, "10.0.1.1"]),
        ("ip", "reject with icmp prot-unreachable", "unreachable", [3, 2, "10.0.1.1"]),
        ("ip6", "reject with icmpv6 admin-prohibited", "unreachable", [1, 1, "fd00:a:1::1"]),
        ("ip6", "reject with icmpv6 no-route", "unreachable", [1, 0, "fd00:a:1::1"]),
        ("ip6", "reject with icmpv6 port-unreachable", "unreachable", [1, 4, "fd00:a:1::1"]),
        ("ip", "reject with tcp reset", "refused", None),
        ("ip", "drop", "timeout", None),
    ],
)
def test_a_firewall_on_the_way_is_told_from_the_destination(
    lab: Lab, family: str, verdict: str, reason: str, icmp: list[Any] | None
) -> None:
    nat = lab.host("nat")
    chain = f"chain forward {{ type filter hook forward priority -5\n tcp dport 7 {verdict}\n }}\n"
    nat.run(["nft", "-f", "-"], stdin=f"table {family} block {{\n {chain} }}\n")
    try:
        target = f"{SERVER}:7" if family == "ip" else f"[{SERVER6}]:7"
        got = tcp(lab.host("client1"), target, timeout_seconds=0.5 if reason == "timeout" else 10)
    finally:
        nat.run(["nft", "delete", "table", family, "block"])
    assert (got["reason"], got["icmp"]) == (reason, icmp)
    assert got["seconds"] < 0.7 + got["kept"]
    assert (icmp is None) or (icmp[2] in got["detail"])


@pytest.mark.parametrize("kind", ["unreachable", "prohibit", "blackhole"])
def test_a_route_that_forbids_is_no_route(lab: Lab, kind: str) -> None:
    client = lab.host("client3")
    client.run(["ip", "route", "add", kind, "192.0.2.1"])
    try:
        assert tcp(client, "192.0.2.1:80")["reason"] == "no_route"
    finally:
        client.run(["ip", "route", "del", kind, "192.0.2.1"])


def test_no_route_and_no_neighbour_and_no_port_and_no_address(lab_factory: LabFactory, lab: Lab) -> None:
    client = lab.host("client4")
    gateway = client.run(["ip", "-4", "route", "show", "default"]).stdout.split()[2]
    silent = tcp(client, "10.0.2.99:80", timeout_seconds=6)
    assert (silent["reason"], silent["icmp"]) == ("unreachable", [3, 1, "10.0.2.12"])
    assert tcp(client, f"{SERVER}:80", source="192.0.2.9")["reason"] == "local"
    client.run(["sysctl", "-w", "net.ipv4.ip_local_port_range=40000 40003"])
    attempts = probe(client, count=6, kind="tcp", targets=[f"{SERVER}:7"])
    client.run(["sysctl", "-w", "net.ipv4.ip_local_port_range=32768 60999"])
    assert [attempt["reason"] for attempt in attempts] == [None] * 4 + ["no_local_port"] * 2
    client.run(["ip", "route", "del", "default"])
    try:
        assert tcp(client, f"{SERVER}:80")["reason"] == "no_route"
    finally:
        client.run(["ip", "route", "add", "default", "via", gateway])


def test_a_retried_success_is_no_first_success_while_blackbox_sees_none_of_it(lab: Lab, tmp_path: Path) -> None:
    program = shutil.which(BLACKBOX)
    assert program, f"{BLACKBOX} is missing; scripts/programs.sh gets it"
    nat, ours, theirs = lab.host("nat"), lab.host("client1"), lab.host("client2")
    ours.run(["ip", "-batch", "-"], stdin="".join(f"address add {source}/24 dev eth0\n" for source in SOURCES))
    counters = dict(zip(SOURCES, [f"ours{number}" for number in range(len(SOURCES))], strict=True))
    rules = "".join(
        f"  ip saddr {address} tcp flags & (syn|ack) == syn numgen inc mod 10 < 1 counter name {name} drop\n"
        for address, name in {**counters, "10.0.1.12": "theirs"}.items()
    )
    chain = f" chain forward {{\n  type filter hook forward priority -5\n{rules} }}\n"
    named = "".join(f" counter {name} {{ }}\n" for name in (*counters.values(), "theirs"))
    nat.run(["nft", "-f", "-"], stdin=f"table inet lossy {{\n{named}{chain}}}\n")
    modules = tmp_path / "blackbox.yml"
    modules.write_text("modules: {tcp: {prober: tcp, timeout: 30s}}\n")
    arguments = [f"--config.file={modules}", "--web.listen-address=127.0.0.1:9115", "--log.level=error"]
    blackbox = theirs.popen([program, *arguments])

    def connect(source: str) -> list[dict[str, Any]]:
        each = CONNECTS // len(SOURCES)
        return probe(ours, each, kind="tcp", targets=[f"{SERVER}:80"], timeout_seconds=30, source=source)

    try:
        with ThreadPoolExecutor(1 + len(SOURCES)) as threads:
            scraped = threads.submit(theirs.run, ["python3", "-c", SCRAPES], timeout=240)
            attempts = dict(zip(SOURCES, threads.map(connect, SOURCES), strict=True))
            succeeded = int(scraped.result().stdout)
        dropped = {source: counter(nat, name) for source, name in counters.items()}
        theirs_dropped = counter(nat, "theirs")
    finally:
        blackbox.close()
        nat.run(["nft", "delete", "table", "inet", "lossy"])
    every = [attempt for each in attempts.values() for attempt in each]
    assert len(every) == CONNECTS
    assert all(attempt["reason"] is None for attempt in every)  # success after retries is 100 %
    assert set(dropped.values()) == {6}  # of 50 that arrive: every tenth SYN, the first one too
    assert {source: sum(one["syn_retransmits"] for one in each) for source, each in attempts.items()} == dropped
    # The wait for the second SYN (1 s) is a witness that does not come from TCP_INFO. Others may have waited for a CPU.
    assert all(attempt["seconds"] > 0.9 for attempt in every if attempt["syn_retransmits"])
    assert all((attempt["rtt"] is None) == bool(attempt["syn_retransmits"]) for attempt in every)
    assert theirs_dropped > 0
    assert succeeded == CONNECTS
