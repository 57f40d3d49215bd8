"""Series of accounting on a real kernel add up while elements expire, agents restart and the table is made anew."""

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from natobs.lab import topology
from natobs.lab.lab import Host, HostProcess, Lab
from natobs.lab.traffic import tcp_flows, udp_flows
from tests.lab.conftest import LabFactory
from tests.loopback import eventually
from tests.sums import check_sums

pytestmark = pytest.mark.lab

_SCAN = """
import socket, sys
address, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
for port in range(first, last):
    sender.sendto(b"", (address, port))
"""
_SILENT = """
table inet silent {
    chain received { type filter hook input priority filter; meta l4proto udp drop; }
}
"""


class Watcher:
    """The collector in a process on the NAT."""

    def __init__(self, lab: Lab, state: Path, *, timeout: int, size: int = 1024, top: int = 2) -> None:
        nat = lab.host("nat")
        inside = [network for family in lab.topology.families for network in lab.topology.inside(family)]
        wanted = {"inside": inside, "timeout": timeout, "size": size, "top": top, "state": str(state)}
        self._process: HostProcess = nat.popen(
            nat.python("tests.lab.watch_accounting", json.dumps(wanted)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def ask(self, what: str = "collect") -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()
        said: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert said["gaps"] == []
        return said

    def look(self, what: str = "collect") -> dict[str, float]:
        samples: dict[str, float] = self.ask(what)["samples"]
        return samples


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    return lab_factory(topology.two_armed())


def clients(lab: Lab) -> list[Host]:
    return [lab.host(name) for name in lab.topology.clients]


def counted(lab: Lab) -> int:
    """UDP flows by the kernel's own counter: under load a packet is on its way for a while."""
    said = json.loads(lab.host("nat").run(["nft", "-j", "list", "counter", "inet", "natobs", "attempts_udp"]).stdout)
    return sum(int(each["counter"]["packets"]) for each in said["nftables"] if "counter" in each)


def overrun() -> int:
    """Packets that a busy Linux dropped before any network of this machine saw them (netif_rx, net/core/dev.c)."""
    return sum(int(line.split()[1], 16) for line in Path("/proc/net/softnet_stat").read_text("ascii").splitlines())


def test_increases_add_up_over_every_window(lab: Lab, tmp_path: Path) -> None:
    watcher = Watcher(lab, tmp_path / "state", timeout=2)
    servers = lab.topology.server_addresses(4)
    seen = watcher.look()
    opened = 0
    begun = seen["natobs_outbound_attempts_total udp"]
    for turn, event in enumerate(
        ["collect", "collect", "expire", "restart", "collect", "install", "collect", "restart"]
    ):
        nat_before, sent = counted(lab), 0
        for number, client in enumerate(clients(lab)):
            count = 3 + 20 * ((turn + number) % 4 == 0)  # who is busy, and towards whom, changes all the time
            port = 20_000 + 100 * turn  # a port of an earlier flow would make it no new one
            sent += udp_flows(client, servers[(turn + number) % len(servers)], 7 if turn % 2 else 9, count, port)
        with tcp_flows(clients(lab)[turn % 4], servers[0], 7, 5):
            pass
        assert eventually(lambda before=nat_before, sent=sent: counted(lab) == before + sent)  # type: ignore[misc]  # mypy sees no default
        opened += sent
        if event == "expire":
            time.sleep(2.5)
        before, seen = seen, watcher.look("collect" if event == "expire" else event)
        if event == "install":  # what was counted between the last reading and the end of the old table is gone with it
            opened = round(seen["natobs_outbound_attempts_total udp"] - begun)
        check_sums(before, seen)
        assert seen["natobs_outbound_attempts_total udp"] - begun == opened


def test_a_port_scan_from_inside_stays_within_its_bounds(lab: Lab, tmp_path: Path) -> None:
    size = 16_384
    watcher = Watcher(lab, tmp_path / "state", timeout=900, size=size, top=10)
    before, counted_before, lost_before = watcher.ask(), counted(lab), overrun()
    client, servers = clients(lab)[0], lab.topology.server_addresses(4)
    # 100,000 answers that nobody listens to would use up what Linux says of closed ports to anybody else
    lab.host("internet").run(["nft", "-f", "-"], stdin=_SILENT)
    for server in servers[:2]:
        client.run(["python3", "-c", _SCAN, server, "1", "50001"], timeout=120)
    lab.host("internet").run(["nft", "delete", "table", "inet", "silent"])
    after = watcher.ask()
    total = "natobs_outbound_attempts_total udp"
    opened = counted(lab) - counted_before
    assert after["samples"][total] - before["samples"][total] == opened
    assert 100_000 - (overrun() - lost_before) <= opened <= 100_000
    check_sums(before["samples"], after["samples"])
    assert after["samples"]["natobs_accounting_elements attempts"] == size
    series = [name for name in after["samples"] if name.startswith("natobs_destination_attempts_total")]
    assert len(series) <= 2 * (10 + 1) + 2
    assert after["kilobytes"] - before["kilobytes"] < 32 * 1024
    assert after["cpu_seconds"] < 2.0  # agent.collector_limit_seconds
