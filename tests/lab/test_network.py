"""Devices and queues of a NAT under traffic, against iproute2."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from natobs.lab import traffic
from natobs.lab.lab import Host, Lab
from tests.lab import read_collector
from tests.loopback import eventually

pytestmark = pytest.mark.lab

Values = dict[str, float]
"""Metric and label values, parted by blanks, to value."""

_FRAMES = """
import socket, sys
device, count = sys.argv[1], int(sys.argv[2])
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind((device, 0))
for _frame in range(count):
    # Ethertype 0x88b5 is for local experiments (IEEE 802): no kernel has a handler for it.
    sender.send(b"\\xff" * 6 + b"\\x02" * 6 + b"\\x88\\xb5" + bytes(900))
"""
_PEAKS = """
import json, sys, time
from natobs.collectors.peaks import PeaksCollector
from natobs.kernel.live import LiveMachine
told = []
def clock():
    told.append(time.monotonic())
    return told[-1]
machine, collector = LiveMachine(), PeaksCollector(1, clock)
collector.tick(machine)
first = told[-1]
print("sampled", flush=True)
sys.stdin.readline()
time.sleep(max(0, first + collector.tick_seconds - time.monotonic()))
collector.tick(machine)
seconds = told[-1] - first
samples = collector.collect(machine).samples
print(json.dumps([seconds, {" ".join((sample.metric.name, *sample.labels)): sample.value for sample in samples}]))
"""
_ETHTOOL = """
import json
from natobs.kernel import ethtool
from natobs.kernel.live import LiveMachine
machine = LiveMachine()
values = dict(zip(ethtool.read_names(machine, "eth0"), ethtool.read_values(machine, "eth0"), strict=True))
print(json.dumps([ethtool.read_driver(machine, "eth0"), ethtool.read_speed(machine, "eth0"), values]))
"""


def collected(host: Host, name: str) -> Values:
    """What a collector exports that runs in the host."""
    done = host.run([sys.executable, read_collector.__file__, name])
    return {" ".join((metric, *labels.values())): value for metric, labels, value in json.loads(done.stdout)}


def shown(host: Host) -> Values:
    """What ``ip -s -s -j link`` and ``tc -s -j qdisc`` say, under the names of the metrics."""
    values: Values = {"natobs_network_devices_left_out": 0}
    for link in json.loads(host.run(["ip", "-s", "-s", "-j", "link"]).stdout):
        if "LOOPBACK" in link["flags"]:
            continue
        device, stats = link["ifname"], link["stats64"]
        for way, side in (("receive", stats["rx"]), ("transmit", stats["tx"])):
            for unit, field in (("bytes", "bytes"), ("packets", "packets"), ("errors", "errors"), ("drops", "dropped")):
                values[f"natobs_network_{way}_{unit}_total {device}"] = side[field]
        values[f"natobs_network_receive_missed_total {device}"] = stats["rx"]["missed_errors"]
        values[f"natobs_network_carrier_changes_total {device}"] = stats["tx"]["carrier_changes"]
        values[f"natobs_network_mtu_bytes {device}"] = link["mtu"]
        values[f"natobs_network_up {device}"] = link["operstate"] == "UP"
    for queue in json.loads(host.run(["tc", "-s", "-j", "qdisc"]).stdout):
        if queue["kind"] != "noqueue" and queue.get("root"):
            values[f"natobs_qdisc_drops_total {queue['dev']} {queue['kind']}"] = queue["drops"]
            values[f"natobs_qdisc_backlog_bytes {queue['dev']} {queue['kind']}"] = queue["backlog"]
    return values


def at_rest(host: Host) -> tuple[Values, Values]:
    """What is collected and what is shown at a time when nothing moves: neighbours still talk after traffic stopped."""
    for _attempt in range(20):
        before, ours, after = shown(host), collected(host, "network"), shown(host)
        if before == after:
            return ours, after
    pytest.fail("the devices are never at rest")


@pytest.fixture
def narrow_uplink(two_armed_lab: Lab) -> Iterator[Host]:
    """Give the NAT with an uplink that drops: a classful queue of 1 Mbit/s whose child holds three packets."""
    nat = two_armed_lab.host("nat")
    for command in (
        "qdisc add dev eth0 root handle 1: htb default 1",
        "class add dev eth0 parent 1: classid 1:1 htb rate 1mbit",
        "qdisc add dev eth0 parent 1:1 handle 2: pfifo limit 3",
    ):
        nat.run(["tc", *command.split()])
    yield nat
    nat.run(["tc", "qdisc", "del", "dev", "eth0", "root"])


def test_everything_agrees_with_iproute2_when_traffic_has_stopped(two_armed_lab: Lab, narrow_uplink: Host) -> None:
    client, server = two_armed_lab.host("client1"), two_armed_lab.topology.server_addresses(4)[0]
    before = shown(narrow_uplink)
    client.run([sys.executable, "-c", _FRAMES, "eth0", "40"])
    traffic.udp_flows(client, server, port=9, count=2000, first_port=20000)
    with traffic.tcp_flows(client, server, port=7, count=10) as opened:
        assert opened == 10
    ours, theirs = at_rest(narrow_uplink)
    assert ours == theirs
    assert theirs["natobs_network_receive_drops_total eth1"] - before["natobs_network_receive_drops_total eth1"] == 40
    assert (
        theirs["natobs_network_receive_packets_total eth1"] - before["natobs_network_receive_packets_total eth1"] > 2000
    )
    # What the child dropped is what its parent counts, and it is exported once.
    children = json.loads(narrow_uplink.run(["tc", "-s", "-j", "qdisc"]).stdout)
    (dropped,) = [queue["drops"] for queue in children if queue["kind"] == "pfifo"]
    assert dropped == ours["natobs_qdisc_drops_total eth0 htb"] > 0
    assert not [name for name in ours if "pfifo" in name]


def test_the_speed_that_a_veth_makes_up_is_not_exported(two_armed_lab: Lab) -> None:
    nat = two_armed_lab.host("nat")
    assert "10000Mb/s" in nat.run(["ethtool", "eth0"], check=False).stdout
    assert not [name for name in collected(nat, "network") if "speed" in name or "capacity" in name]


def test_drivers_answer_as_they_answer_ethtool(two_armed_lab: Lab) -> None:
    nat = two_armed_lab.host("nat")
    driver, speed, values = json.loads(nat.run([sys.executable, "-c", _ETHTOOL]).stdout)
    assert (driver, speed) == ("veth", 10_000_000_000)
    _title, *lines = nat.run(["ethtool", "-S", "eth0"]).stdout.splitlines()
    assert len(values) > 3
    assert list(values) == [line.split(":")[0].strip() for line in lines]
    assert values["peer_ifindex"] == int(dict(line.strip().split(": ") for line in lines)["peer_ifindex"]) > 0


def test_a_flapping_uplink_is_counted(two_armed_lab: Lab) -> None:
    nat, internet = two_armed_lab.host("nat"), two_armed_lab.host("internet")
    changes = collected(nat, "network")["natobs_network_carrier_changes_total eth0"]
    internet.run(["ip", "link", "set", "eth0", "down"])
    assert collected(nat, "network")["natobs_network_carrier_changes_total eth0"] == changes + 1
    # The operational state is for a worker of the kernel to write, which may have to wait for its turn.
    assert eventually(lambda: collected(nat, "network")["natobs_network_up eth0"] == 0, 20)
    internet.run(["ip", "link", "set", "eth0", "up"])
    assert collected(nat, "network")["natobs_network_carrier_changes_total eth0"] == changes + 2


def test_softnet_agrees_with_the_kernel_s_file_and_counts_the_traffic(two_armed_lab: Lab) -> None:
    nat, client = two_armed_lab.host("nat"), two_armed_lab.host("client1")
    before = sum(collected_processed(nat).values())
    traffic.udp_flows(client, two_armed_lab.topology.server_addresses(4)[0], port=9, count=500, first_port=30000)
    after = collected_processed(nat)
    assert sum(after.values()) - before >= 500
    online = nat.run(["getconf", "_NPROCESSORS_ONLN"]).stdout
    assert len(after) == int(online)


def collected_processed(host: Host) -> Values:
    return {name: value for name, value in collected(host, "softnet").items() if "_processed_" in name}


def test_peaks_are_the_rate_between_two_samples(one_armed_lab: Lab) -> None:
    nat, client = one_armed_lab.host("nat"), one_armed_lab.host("client1")
    before = shown(nat)
    sampler = nat.popen([sys.executable, "-c", _PEAKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert traffic.first_line(sampler, 20) == "sampled"
    traffic.udp_flows(client, one_armed_lab.topology.server_addresses(4)[0], port=9, count=3000, first_port=20000)
    _ours, after = at_rest(nat)
    assert sampler.stdin is not None
    sampler.stdin.write("now\n")
    sampler.stdin.flush()
    seconds, peaks = json.loads(traffic.first_line(sampler, 20))
    for way in ("receive", "transmit"):
        for unit in ("bytes", "packets"):
            name = f"natobs_network_{way}_{unit}_total eth0"
            counted = peaks[f"natobs_network_peak_{unit}_per_second eth0 {way}"] * seconds
            assert round(counted) == pytest.approx(after[name] - before[name], rel=0.02)
            assert round(counted) >= 3000


def test_veth_has_no_allowances_and_that_is_no_failure(two_armed_lab: Lab) -> None:
    done = two_armed_lab.host("nat").run([sys.executable, read_collector.__file__, "allowances"])
    assert json.loads(done.stdout) == []
    assert done.stderr.startswith("absent: no network device has a driver")
