"""The census against conntrack-tools on the same table, number for number, and while the table is torn up."""

import re
import threading
import xml.etree.ElementTree as ET
from ipaddress import ip_network
from pathlib import Path

import msgspec
import pytest

from natobs.kernel.flow_results import Census
from natobs.lab import entries, topology, traffic
from natobs.lab.lab import Host, Lab
from natobs.lab.topology import Topology
from tests import flow_oracle as oracle
from tests.lab.conftest import LabFactory
from tests.test_kernel_flow_aggregate import check

pytestmark = pytest.mark.lab

SCRIPT = str(Path(__file__).with_name("take_census.py"))
INSIDE = ("10.0.0.0/8", "fd00:a::/32")
BLOCK_BYTES = 1 << 20


def census(nat: Host, after_a_block: str = "", block_bytes: int = BLOCK_BYTES) -> Census:
    argv = [*nat.python("tests.lab.take_census"), after_a_block, str(block_bytes), *INSIDE]
    return msgspec.json.decode(nat.run(argv, timeout=60).stdout, type=Census)


def child(element: ET.Element, path: str) -> str:
    found = element.find(path)
    assert found is not None
    assert found.text is not None
    return found.text


def flow_of(element: ET.Element) -> oracle.Flow:
    """A flow as ``conntrack -o xml`` writes it."""
    original, reply, independent = (
        next(meta for meta in element.iter("meta") if meta.get("direction") == direction)
        for direction in ("original", "reply", "independent")
    )
    layer4 = original.find("layer4")
    assert layer4 is not None
    proto = int(layer4.get("protonum", ""))
    flow = oracle.Flow(2 if "." in child(original, "layer3/src") else 10, {"proto": proto})
    for way, meta in (("", original), ("reply_", reply)):
        for name in ("src", "dst"):
            flow.values[way + name] = child(meta, f"layer3/{name}")
        if meta.find("layer4/sport") is not None:
            for name in ("sport", "dport"):
                flow.values[way + name] = int(child(meta, f"layer4/{name}"))
    status = 0 if independent.find("unreplied") is not None else 2
    status |= 0 if independent.find("assured") is None else 4
    flow.values["status"] = status | translated(flow)
    state = independent.find("state")
    if proto == 6 and state is not None and state.text is not None:
        flow.values["tcp_state"] = oracle.TCP_STATES.index(state.text)
    return flow


def translated(flow: oracle.Flow) -> int:
    """The bit of a translated source: no list tells it, and the kernel sets it exactly where it changed the source."""
    client, answer = (flow.values["src"], flow.number("sport")), (flow.values["reply_dst"], flow.number("reply_dport"))
    return 16 if client != answer else 0


def echoes(listed: str, proto: int) -> list[oracle.Flow]:
    """Flows of ICMP as ``conntrack -L`` writes them for people: xml leaves the identifiers out."""
    flows = []
    for line in listed.splitlines():
        src, reply_src = re.findall(r"src=(\S+)", line)
        dst, reply_dst = re.findall(r"dst=(\S+)", line)
        sport, reply_dport = map(int, re.findall(r"id=(\d+)", line))
        names = {"src": src, "dst": dst, "reply_src": reply_src, "reply_dst": reply_dst}
        values = {**names, "sport": sport, "reply_dport": reply_dport, "proto": proto}
        flow = oracle.Flow(2 if proto == 1 else 10, {**values, "status": 0 if "[UNREPLIED]" in line else 2})
        flow.values["status"] = flow.number("status") | translated(flow)
        flows.append(flow)
    return flows


def truth(nat: Host) -> oracle.Counts:
    """The same aggregation of ``conntrack -L -o xml``."""
    flows = []
    for family, icmp, proto in (("ipv4", "icmp", 1), ("ipv6", "icmpv6", 58)):
        flows += echoes(nat.run(["conntrack", "-L", "-f", family, "-p", icmp]).stdout, proto)
        listed = nat.run(["conntrack", "-L", "-f", family, "-o", "xml"]).stdout
        if listed.strip():
            document = ET.fromstring(listed)  # noqa: S314  conntrack wrote it, in a lab of ours
            flows += [flow for flow in map(flow_of, document.iter("flow")) if flow.values["proto"] != proto]
    prefixes = tuple(ip_network(prefix) for prefix in INSIDE)
    return oracle.count(flows, prefixes)


STATES = ("SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE")
STATUS = {True: "SEEN_REPLY,ASSURED", False: "UNSET"}


def plan(lab: Topology) -> list[str]:
    """Entries for ``conntrack -R``: hosts x destinations x protocols x states, IPv4 and IPv6, answered and not."""
    found = []
    port = 2000
    for family in lab.families:
        outside = lab.snat_addresses(family)[0]
        for client in lab.clients:
            inside = lab.client_address(client, family)
            for number, server in enumerate(lab.server_addresses(family)):
                for answered in (True, False):
                    ways = f"-s {inside} -d {server} -r {server} -n {outside} -t 600 -u {STATUS[answered]}"
                    for _repeat in range(1 + number):
                        port += 1
                        ports = f"--sport {port} --dport 53 --reply-port-src 53 --reply-port-dst {port + 10_000}"
                        found.append(f"-A {ways} -p udp {ports}\n")
                    for state in STATES:
                        port += 1
                        ports = f"--sport {port} --dport 443 --reply-port-src 443 --reply-port-dst {port}"
                        found.append(f"-A {ways} -p tcp {ports} --state {state}\n")
                    port += 1
                    ports = f"--sport {port} --dport 5000 --reply-port-src 5000 --reply-port-dst {port}"
                    found.append(f"-A {ways} -p sctp {ports} --state ESTABLISHED --orig-vtag 1 --reply-vtag 2\n")
    return found


def load(nat: Host, lines: list[str]) -> None:
    done = nat.run(["conntrack", "-R", "/dev/stdin"], stdin="".join(lines), check=False)
    assert "error" not in done.stderr.lower(), done.stderr
    assert done.returncode == 0, done.stderr


def test_a_plan_of_flows_is_counted_as_conntrack_lists_it(two_armed_lab: Lab) -> None:
    lab, nat = two_armed_lab, two_armed_lab.host("nat")
    lines = plan(lab.topology)
    load(nat, lines)
    client = lab.host("client1")
    for family in (4, 6):
        servers, dead = lab.topology.server_addresses(family), lab.topology.dead_address(family)
        client.run([*client.python("tests.lab.ping"), *servers, dead, dead])
    found = census(nat)
    assert found.taking.complete, found.taking
    check(found.figures, truth(nat))
    totals = found.figures.totals
    assert totals.flows >= len(lines) + 2 * (4 + 2)
    assert min(totals.ipv4, totals.ipv6) >= len(lines) // 2
    named = {(row.proto, row.state) for row in found.figures.states}
    assert named >= {("tcp", state) for state in STATES}
    assert named >= {("udp", "assured"), ("udp", "unreplied"), ("sctp", "assured")}
    assert named >= {(proto, state) for proto in ("icmp", "icmpv6") for state in ("replied", "unreplied")}
    assert {row.address for row in found.figures.hosts.rows} == {
        lab.topology.client_address(client, family) for client in lab.topology.clients for family in (4, 6)
    }


def test_accounting_and_timestamps_change_nothing(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("acct"))
    nat = lab.host("nat")
    nat.run(["sysctl", "-w", "net.netfilter.nf_conntrack_acct=1", "net.netfilter.nf_conntrack_timestamp=1"])
    load(nat, plan(lab.topology)[:40])
    server = lab.topology.server_addresses(4)[0]
    with traffic.tcp_flows(lab.host("client1"), server, 7, count=25):
        found = census(nat)
        check(found.figures, truth(nat))
    assert found.taking.complete
    assert found.figures.totals.flows >= 65


def test_a_table_at_its_limit_is_counted_to_the_last(lab_factory: LabFactory) -> None:
    lab = lab_factory(topology.two_armed("limit"))
    nat, server = lab.host("nat"), lab.topology.server_addresses(4)[0]
    limit = int(nat.run(["sysctl", "-n", "net.netfilter.nf_conntrack_max"]).stdout)
    entries.load(nat, limit + 1000, check=False)  # the kernel refuses the rest
    traffic.udp_flows(lab.host("client1"), server, 9, count=20, first_port=20_000)
    found = census(nat)
    assert (found.taking.complete, found.taking.malformed) == (True, 0)
    assert found.figures.totals.flows == found.taking.entries_before == found.taking.entries_after
    assert limit <= found.figures.totals.flows <= limit + 1
    assert [(state.proto, state.state) for state in found.figures.states] == [("tcp", "ESTABLISHED")]


def test_a_table_flushed_in_the_middle_of_a_dump(lab_factory: LabFactory) -> None:
    nat = lab_factory(topology.two_armed("flush")).host("nat")
    entries.load(nat, 60_000)
    found = census(nat, "conntrack -F", block_bytes=64 * 1024)
    assert (found.taking.complete, found.taking.reason) == (False, "changed")
    assert 0 < found.figures.totals.flows < 60_000
    assert (found.taking.entries_before, found.taking.entries_after) == (60_000, 0)
    entries.load(nat, 1000)
    after = census(nat)
    assert after.taking.complete
    assert after.figures.totals.flows == 1000


def test_a_table_filled_at_full_speed_during_dumps(lab_factory: LabFactory) -> None:
    nat = lab_factory(topology.two_armed("fill")).host("nat")
    filling = threading.Thread(target=entries.load, args=(nat, 150_000))
    filling.start()
    taken = []
    while filling.is_alive():
        taken.append(census(nat))
    filling.join()
    after = census(nat)
    assert after.taking.complete
    assert after.figures.totals.flows == after.taking.entries_after == 150_000
    for found in taken:
        assert found.taking.malformed == 0
        before, last = found.taking.entries_before, found.taking.entries_after
        assert before is not None
        assert last is not None
        # a bucket is begun again when the entry vanishes at which the dump paused; none vanishes here
        assert before <= found.figures.totals.flows <= last
        assert found.taking.complete == (last - before <= 100 + 0.1 * last)
    assert any(found.taking.entries_before != found.taking.entries_after for found in taken)


def test_a_process_without_the_capability_is_told_which(two_armed_lab: Lab) -> None:
    argv = [*two_armed_lab.host("nat").python("tests.lab.take_census"), "", str(BLOCK_BYTES), *INSIDE]
    drop = ["setpriv", "--bounding-set", "-net_admin", "--inh-caps", "-net_admin", "--ambient-caps", "-all"]
    done = two_armed_lab.host("nat").run([*drop, *argv], check=False)
    assert done.returncode != 0
    assert "conntrack table: Operation not permitted (needs CAP_NET_ADMIN)" in done.stderr
