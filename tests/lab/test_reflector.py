"""The reflector in the lab's internet, without any capability, asked through the NAT."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from natobs.lab import topology, traffic
from natobs.lab.lab import Host, HostProcess, Lab
from tests.lab.agents import Scrape
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

ASK = Path(__file__).with_name("ask_reflector.py")
POWERLESS = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
"""Whoever runs what follows, root too, has no capability left."""


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    return lab_factory(topology.two_armed("reflector"))


@contextmanager
def reflector_in(host: Host, *arguments: str) -> Iterator[HostProcess]:
    process = host.popen(
        [*POWERLESS, *host.python("natobs", "reflector", *arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        await_ready(process)
        yield process
    finally:
        process.close()


def await_ready(process: HostProcess) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.endswith("ready\n"):
            return
    pytest.fail(f"the reflector did not start: {said}")


def ask(client: Host, what: str, address: str) -> dict[str, Any]:
    python = client.python("natobs")[0]
    answer: dict[str, Any] = json.loads(client.run([python, str(ASK), what, address], timeout=60).stdout)
    return answer


def scrape(internet: Host) -> Scrape:
    return Scrape(traffic.fetch(internet, "http://127.0.0.1:9652/metrics"))


@pytest.mark.parametrize(("family", "seen"), [(4, "203.0.113.10"), (6, "2001:db8:113::10")])
def test_every_service_is_answered_through_the_nat_and_shows_its_address(
    lab: Lab, family: topology.Family, seen: str
) -> None:
    client, addresses = lab.host("client1"), lab.topology.server_addresses(family)[:2]
    with reflector_in(lab.host("internet")) as process:
        status = Path(f"/proc/{process.pid}/status").read_text("utf-8")
        assert set(re.findall(r"^Cap(?:Inh|Prm|Eff|Bnd|Amb):\t(\w+)$", status, re.MULTILINE)) == {"0" * 16}
        for address in addresses:
            answer = ask(client, "ask", address)
            assert (answer["sequence"], answer["size"], answer["echoed"]) == (9, 1400, True)
            assert answer["ttl"] == 63  # the NAT is one hop
            assert 0 < answer["residence"] < 5e9  # no longer than the whole answer may take
            assert answer["mapped"][0] == seen
            url = f"http://[{address}]:8080" if family == 6 else f"http://{address}:8080"
            assert traffic.fetch(client, f"{url}/") == f"{seen}\n"
            assert "alive" in traffic.fetch(client, f"{url}/healthz")
            fetched = client.run(["curl", "-sg", "-o", "/dev/null", "-w", "%{size_download}", f"{url}/bytes/54321"])
            assert fetched.stdout == "54321"
        counted = scrape(lab.host("internet"))
    replies = counted.by("natobs_reflector_replies_total", "service")
    assert replies == {"stamp": 2, "stun": 2, "echo": 2, "http": 6}
    assert set(counted.of("natobs_reflector_dropped_total").values()) == {0}


def test_the_clients_of_coturn_believe_it(lab: Lab) -> None:
    program = shutil.which("turnutils_stunclient")
    assert program, "turnutils_stunclient is missing: scripts/programs.sh fetches it, and `make test` finds it"
    libraries = Path(program).parent.parent / "lib"
    server = lab.topology.server_addresses(4)[0]
    command = ["env", f"LD_LIBRARY_PATH={libraries}", program, "-p", "3478", server]
    with reflector_in(lab.host("internet"), "--stun-any"):
        answer = lab.host("client3").run(command)
        counted = scrape(lab.host("internet"))
    assert re.search(r"UDP reflexive addr: 203\.0\.113\.10:\d+", answer.stdout + answer.stderr)
    received = counted.value("natobs_reflector_receive_bytes_total", service="stun")
    assert 0 < counted.value("natobs_reflector_transmit_bytes_total", service="stun") <= 2.2 * received


def test_a_flood_is_answered_at_the_rate_and_with_no_more_bytes(lab: Lab) -> None:
    rate = 300
    internet, client = lab.host("internet"), lab.host("client1")
    with reflector_in(internet, "--rate", str(rate)):
        server4, server6 = (lab.topology.server_addresses(family)[0] for family in (4, 6))
        flood = ask(client, "flood", server4)
        assert ask(client, "ask", server6)["sequence"] == 9  # another source
        counted = scrape(internet)
    assert rate <= flood["replies"] <= rate * flood["took"] + rate + 1
    assert flood["received_bytes"] == 44 * flood["replies"] < flood["sent_bytes"] == 4_400_000
    came = counted.value("natobs_reflector_requests_total", service="stamp")
    lost = counted.value("natobs_reflector_dropped_total", service="stamp", reason="receive_buffer")
    assert came + lost == 100_001


def test_a_privileged_port_needs_its_capability_by_name(lab: Lab) -> None:
    internet = lab.host("internet")
    done = internet.run([*POWERLESS, *internet.python("natobs", "reflector", "--stamp", ":862")], check=False)
    assert done.returncode == 1
    assert "CAP_NET_BIND_SERVICE" in done.stderr


def test_sigterm_ends_it_cleanly(lab: Lab) -> None:
    with reflector_in(lab.host("internet")) as process:
        process.send_signal(15)
        assert process.wait(20) == 0
