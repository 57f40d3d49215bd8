"""Every reason for which an attempt can fail, for every kind that can fail so, produced for real."""

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from natobs.lab import topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab import real_servers
from tests.lab import reason_scenarios as table
from tests.lab.attempts import Told, attempted
from tests.lab.conftest import LabFactory
from tests.lab.reason_scenarios import SCENARIOS, Scenario

pytestmark = pytest.mark.lab

SLOW_SECONDS = 2.0
HOLD_PORTS = f"""
import socket, sys
held = []
for port in range({table.CLIENT_PORTS[0]}, {table.CLIENT_PORTS[1]} + 1):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        held.append(socket.socket(socket.AF_INET, kind))
        held[-1].bind(("0.0.0.0", port))
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Give a lab in which all servers run, and whose hosts say every ICMP error."""
    built = lab_factory(topology.two_armed("reasons"))
    internet = built.host("internet")
    # Of the slow address only our own answers get out, and not the kernel's, which are quick.
    load(internet, "output", f"ip saddr {table.OTHER} icmp type echo-reply meta mark != 1 drop", "slow")
    for kind, port in (
        ("icmp", 0),
        ("stamp", table.STAMP_PORT),
        ("stun", table.SLOW_STUN_PORT),
        ("dns", table.SLOW_DNS_PORT),
    ):
        serve(internet, kind, table.OTHER, port, SLOW_SECONDS)
    serve(internet, "stamp", table.SERVER, table.STAMP_PORT, 0)
    directory = tmp_path_factory.mktemp("coturn")
    for strict in (False, True):
        real_servers.coturn(internet, [table.SERVER], directory, strict=strict)
    real_servers.dnsmasq(internet, [table.SERVER])
    for name in ("nat", "internet"):
        built.host(name).run(["sysctl", "-qw", "net.ipv4.icmp_ratemask=0"])
    built.host("client4").run(["ip", "-4", "route", "del", "default"])
    return built


@pytest.fixture(scope="module")
def authority(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> str:
    return real_servers.nginx(lab.host("internet"), [table.SERVER], tmp_path_factory.mktemp("nginx"))[1]


def serve(host: Host, kind: str, address: str, port: int, delay: float) -> None:
    process = host.popen(
        host.python("tests.lab.udp_answers", kind, address, str(port), str(delay)), stdout=subprocess.PIPE
    )
    assert traffic.first_line(process, 20) == "ready"


def load(host: Host, hook: str, rule: str, name: str = "broken") -> None:
    seen = "set seen { type ipv4_addr . inet_service; flags dynamic; timeout 30s; }"
    chain = f"chain hooked {{ type filter hook {hook} priority -5\n{rule}\n}}"
    host.run(["nft", "-f", "-"], stdin=f"table ip {name} {{\n{seen}\n{chain}\n}}\n")


@contextmanager
def rules(host: Host, hook: str, rule: str) -> Iterator[None]:
    load(host, hook, rule)
    try:
        yield
    finally:
        host.run(["nft", "delete", "table", "ip", "broken"])


@contextmanager
def route(host: Host, words: str) -> Iterator[None]:
    host.run(["ip", "route", "add", *words.split()])
    try:
        yield
    finally:
        host.run(["ip", "route", "del", *words.split()])


@contextmanager
def without_ports(host: Host) -> Iterator[None]:
    ranges = host.run(["sysctl", "-n", "net.ipv4.ip_local_port_range"]).stdout.split()
    holder = host.popen(["python3", "-c", HOLD_PORTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert traffic.first_line(holder, 20) == "ready"
    set_range = ["sysctl", "-qw", "net.ipv4.ip_local_port_range={} {}"]
    host.run([*set_range[:2], set_range[2].format(*table.CLIENT_PORTS)])
    try:
        yield
    finally:
        host.run([*set_range[:2], set_range[2].format(*ranges)])
        holder.close()


@contextmanager
def broken(lab: Lab, scenario: Scenario) -> Iterator[None]:
    with ExitStack() as stack:
        if scenario.nat:
            stack.enter_context(rules(lab.host("nat"), "forward", f"ip daddr {table.SERVER} {scenario.nat}"))
        if scenario.server:
            stack.enter_context(rules(lab.host("internet"), "input", f"ip daddr {table.SERVER} {scenario.server}"))
        for host, words in scenario.routes.items():
            stack.enter_context(route(lab.host(host), words))
        if scenario.holding:
            stack.enter_context(without_ports(lab.host(scenario.client)))
        yield


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name.replace(" ", "-"))
def test_each_reason_is_the_right_one(lab: Lab, authority: str, tmp_path: Path, scenario: Scenario) -> None:
    probes = [scenario.changed(variant, table.working(variant, authority)) for variant in scenario.variants]
    client, prefix = lab.host(scenario.client), []
    if scenario.missing:
        resolver = tmp_path / "resolv.conf"
        resolver.write_text(f"nameserver {table.SERVER}\noptions timeout:1 attempts:1\n")
        bound = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        prefix = ["unshare", "--mount", "sh", "-c", bound, str(resolver)]
    told: list[Told] = []
    for orders in [probes] if scenario.together else [[probe] for probe in probes]:
        with broken(lab, scenario):
            told += attempted(client, orders, prefix=prefix, **scenario.order)["attempts"]
        client.run(["ip", "route", "flush", "cache"])  # the path MTU that it has learnt
    found = {each["probe"]: (each["reason"] or "", each["detail"]) for each in told}
    assert {variant: reason for variant, (reason, _detail) in found.items()} == dict.fromkeys(
        scenario.variants, scenario.reason
    ), found
    for each in told:
        if scenario.icmp is not None:
            assert tuple(each["icmp"]) == scenario.icmp, each
            assert scenario.icmp[2] in each["detail"], each
        elif scenario.reason != "mtu":
            assert each["icmp"] is None, each
        assert bool(each["detail"]) == bool(scenario.reason), each
