"""The lab on the kernel: every topology and backend carries traffic and translates it."""

import re
import signal
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from natobs.errors import LabError
from natobs.lab import entries, launch, topology, traffic
from natobs.lab.faults import facts
from natobs.lab.lab import Host, Lab
from tests.lab.conftest import LabFactory
from tests.loopback import eventually

pytestmark = pytest.mark.lab

SEND = """
import socket, sys
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    socket.socket(family, socket.SOCK_DGRAM).sendto(b"x", (address, 9))
"""


def translated(nat: Host, family: topology.Family = 4) -> list[tuple[str, int]]:
    """List the outer (address, port) of each UDP entry in the NAT's table."""
    listing = nat.run(["conntrack", "-L", "-p", "udp", "-f", f"ipv{family}"]).stdout
    return [(address, int(port)) for address, port in re.findall(r"src=\S+ dst=(\S+) sport=9 dport=(\d+)", listing)]


@pytest.mark.parametrize("backend", topology.BACKENDS)
@pytest.mark.parametrize("shape", topology.TOPOLOGIES)
def test_every_topology_carries_and_translates_tcp_udp_and_icmp(shape: str, backend: topology.Backend) -> None:
    wanted = topology.TOPOLOGIES[shape](backend=backend)
    checked = 0
    with Lab(wanted) as lab:
        traffic.start_servers(lab)
        for client in wanted.clients[0], wanted.clients[-1]:
            for family in wanted.families:
                seen = traffic.who_asked(lab.host(client), wanted.server_addresses(family)[-1])
                assert set(seen) == {"tcp", "udp", "icmp"}
                for protocol, address in seen.items():
                    assert address in wanted.snat_addresses(family), (client, family, protocol)
                    checked += 1
    assert checked == 12


@pytest.mark.parametrize("backend", topology.BACKENDS)
def test_a_pool_uses_all_its_addresses(backend: topology.Backend) -> None:
    wanted = replace(topology.pool(backend=backend), servers=40)
    with Lab(wanted) as lab:
        for family in wanted.families:
            servers = wanted.server_addresses(family)
            for client in wanted.clients:
                lab.host(client).run(["python3", "-c", SEND, *servers])
            found = translated(lab.host("nat"), family)
            assert len(found) == 160
            # by hash of source and destination: that one of four is missed by 160 flows has a chance below 1e-19
            assert {address for address, _ in found} == set(wanted.snat_addresses(family))


@pytest.mark.parametrize("backend", topology.BACKENDS)
def test_a_port_range_bounds_what_one_destination_gets(backend: topology.Backend) -> None:
    wanted = topology.two_armed(backend=backend, ports=(2000, 2099))
    with Lab(wanted) as lab:
        server = wanted.server_addresses(4)[0]
        assert traffic.udp_flows(lab.host("client1"), server, 9, 300, first_port=20000) == 300
        nat = lab.host("nat")
        assert eventually(lambda: facts.conntrack(nat)["insert_failed"] >= 200)
        ports = sorted(port for _, port in translated(nat))
        refused = facts.conntrack(nat)["insert_failed"]
    assert ports == list(range(2000, 2100))
    assert refused == 200


@pytest.mark.parametrize("backend", topology.BACKENDS)
def test_ports_are_kept_unless_they_are_fully_random(backend: topology.Backend) -> None:
    server = topology.two_armed().server_addresses(4)[0]
    kept = {}
    for fully_random in False, True:
        with Lab(topology.two_armed(backend=backend, fully_random=fully_random)) as lab:
            traffic.udp_flows(lab.host("client1"), server, 9, 50, first_port=20000)
            ports = [port for _, port in translated(lab.host("nat"))]
            assert len(ports) == 50
            kept[fully_random] = len(set(ports) & set(range(20000, 20050)))
    assert kept[False] == 50
    assert kept[True] < 10  # 50 ports of 64,512 drawn at random: 10 hits have a chance below 1e-20


def test_a_lab_without_ipv6_has_no_ipv6(lab_factory: LabFactory) -> None:
    lab = lab_factory(replace(topology.one_armed(), ipv6=False))
    assert lab.host("client1").run(["ip", "-6", "-o", "address"]).stdout == ""
    assert traffic.who_asked(lab.host("client1"), "198.51.100.1")["tcp"] == "203.0.113.10"


def test_the_dead_address_is_silent_and_a_closed_port_refuses(two_armed_lab: Lab) -> None:
    client = two_armed_lab.host("client1")
    for family in two_armed_lab.topology.families:
        target = two_armed_lab.topology.dead_address(family)
        dead = client.run(["curl", "-gsm1", f"http://{bracket(target)}/"], check=False)
        assert dead.returncode == 28  # curl's exit status for a time-out
        server = bracket(two_armed_lab.topology.server_addresses(family)[0])
        assert client.run(["curl", "-gsm5", f"http://{server}:81/"], check=False).returncode == 7  # refused


def bracket(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def test_clients_of_different_subnets_reach_each_other_untranslated(one_armed_lab: Lab) -> None:
    there = one_armed_lab.host("client3")
    servers = there.popen(there.python("natobs.lab.servers", "10.0.2.11", "fd00:a:2::11"), stdout=subprocess.PIPE)
    assert traffic.first_line(servers, 20) == "ready"
    nat = one_armed_lab.host("nat")
    for address, own in ("10.0.2.11", "10.0.1.11"), ("fd00:a:2::11", "fd00:a:1::11"):
        seen = traffic.who_asked(one_armed_lab.host("client1"), address)
        assert seen == {"tcp": own, "udp": own, "icmp": own}
        assert address not in nat.run(["conntrack", "-L"]).stdout


def test_many_connections_can_be_held_open(two_armed_lab: Lab) -> None:
    server = two_armed_lab.topology.server_addresses(4)[0]
    count = ["conntrack", "-L", "-p", "tcp", "--state", "ESTABLISHED", "--orig-port-dst", "7"]
    nat = two_armed_lab.host("nat")
    with traffic.tcp_flows(two_armed_lab.host("client2"), server, 7, 2000, first_port=30000) as opened:
        assert opened == 2000
        assert eventually(lambda: len(nat.run(count).stdout.splitlines()) == 2000)
    assert eventually(lambda: nat.run(count).stdout == "")


@pytest.mark.parametrize(("kind", "flag"), [("assured", "[ASSURED]"), ("one-way", "[UNREPLIED]")])
def test_entries_are_loaded_translated_and_of_their_kind(
    lab_factory: LabFactory, kind: entries.Kind, flag: str
) -> None:
    nat = lab_factory(topology.two_armed()).host("nat")
    entries.load(nat, 5000, kind)
    assert nat.run(["conntrack", "-C"]).stdout.strip() == "5000"
    listed = nat.run(["conntrack", "-L", "--src-nat"]).stdout.splitlines()
    assert len(listed) == 5000
    assert all(flag in line and "dst=203.0.113.10" in line for line in listed)


def test_the_host_s_limit_is_read_only_in_the_lab(two_armed_lab: Lab) -> None:
    limit = "/proc/sys/net/netfilter/nf_conntrack_max"
    with pytest.raises(LabError):
        two_armed_lab.host("nat").run(["sh", "-c", f"echo 4096 > {limit}"])


def test_a_host_has_its_own_sys_and_sees_only_the_lab_s_processes(two_armed_lab: Lab) -> None:
    nat = two_armed_lab.host("nat")
    assert sorted(nat.run(["ls", "/sys/class/net"]).stdout.split()) == ["eth0", "eth1", "eth2", "lo"]
    commands = nat.run(["ps", "-e", "-o", "args="]).stdout
    assert "natobs.lab.holder two-armed" in commands.splitlines()[0]
    assert "pytest" not in commands


def test_a_program_that_is_missing_is_said_whatever_status_was_to_be_looked_at(two_armed_lab: Lab) -> None:
    with pytest.raises(LabError, match=r"no-such-program ended with status 127: .*No such file"):
        two_armed_lab.host("nat").run(["no-such-program"], check=False)


def test_a_program_that_takes_too_long_is_ended_with_its_way_in(two_armed_lab: Lab) -> None:
    nat = two_armed_lab.host("nat")
    began = time.monotonic()
    with pytest.raises(LabError, match=r"did not finish within 0\.5 s"):
        nat.run(["sleep", "987"], timeout=0.5)
    assert time.monotonic() - began < 20  # and not the 987
    assert eventually(lambda: "sleep 987" not in nat.run(["ps", "-e", "-o", "args="]).stdout)


def test_signals_reach_the_program_and_its_status_comes_back(two_armed_lab: Lab) -> None:
    nat = two_armed_lab.host("nat")
    script = "trap 'exit 9' HUP; echo ready; while :; do sleep 0.05; done"
    process = nat.popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert process.pid != process.popen.pid
    assert traffic.first_line(process, 10) == "ready"
    process.send_signal(1)
    assert process.wait(10) == 9
    killed = nat.popen(["sleep", "987"])
    killed.send_signal(9)
    assert killed.wait(10) == -9


def test_what_is_mounted_within_a_lab_is_there_for_whatever_starts_later(two_armed_lab: Lab) -> None:
    nat = two_armed_lab.host("nat")
    launch.within(two_armed_lab.holder, ["mkdir", "/run/small"])
    launch.within(two_armed_lab.holder, ["mount", "-t", "tmpfs", "-o", "size=64k", "none", "/run/small"])
    full = nat.run(["dd", "if=/dev/zero", "of=/run/small/filler", "bs=1k"], check=False)
    assert "No space left on device" in full.stderr
    launch.within(two_armed_lab.holder, ["umount", "/run/small"])
    with pytest.raises(LabError, match="mount -t nothing none /run ended with status"):
        launch.within(two_armed_lab.holder, ["mount", "-t", "nothing", "none", "/run"])


def test_a_program_that_was_stopped_goes_on_with_its_way_in(two_armed_lab: Lab) -> None:
    process = two_armed_lab.host("nat").popen(["sleep", "60"])
    way_in = psutil.Process(process.popen.pid)
    assert process.pid
    process.send_signal(signal.SIGSTOP)
    assert eventually(lambda: way_in.status() == psutil.STATUS_STOPPED)  # as nsenter(1) does
    process.send_signal(signal.SIGCONT)
    assert eventually(lambda: way_in.status() == psutil.STATUS_SLEEPING)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL


def test_what_ignores_sigterm_has_really_ended_when_it_has_been_closed(two_armed_lab: Lab) -> None:
    ignoring = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready', flush=True); time.sleep(987)"
    process = two_armed_lab.host("nat").popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE)
    assert traffic.first_line(process, 10) == "ready"
    pid = process.pid
    process.close(timeout=0.5)
    assert not psutil.pid_exists(pid)
    assert process.poll() == -9


def test_unknown_hosts_and_labs_that_do_not_stand_are_said_by_name(two_armed_lab: Lab) -> None:
    with pytest.raises(LabError, match="no host 'nut' in this lab; there are client1"):
        two_armed_lab.host("nut")
    with pytest.raises(LabError, match="does not stand"):
        Lab(topology.two_armed()).host("nat").run(["true"])
