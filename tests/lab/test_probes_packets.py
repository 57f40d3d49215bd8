"""icmp, udp and stun through a real NAT: what succeeds, every way to fail, and who says so."""

import subprocess
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from natobs.lab import topology, traffic
from natobs.lab.lab import Host, Lab
from tests.lab.attempts import attempted
from tests.lab.conftest import LabFactory
from tests.lab.real_servers import NO_CAPABILITY

pytestmark = pytest.mark.lab

STAMP_PORT = 862
STUN_PORT = 3478
SLOW_PORT = 8620
SLOW_SECONDS = 2.0
TIMEOUT_SECONDS = 10.0
"""Of attempts that are answered: a server that had to wait for its turn has not failed."""
KINDS = ("icmp", "udp", "stun")


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    built = lab_factory(topology.two_armed("packets"))
    internet = built.host("internet")
    for family in built.topology.families:
        server = built.topology.server_addresses(family)[0]
        serve(internet, "stamp", server, STAMP_PORT)
        serve(internet, "stun", server, STUN_PORT)
    serve(internet, "stamp", built.topology.server_addresses(4)[1], SLOW_PORT, SLOW_SECONDS)
    return built


def serve(host: Host, kind: str, address: str, port: int, delay: float = 0.0) -> None:
    process = host.popen(
        host.python("tests.lab.udp_answers", kind, address, str(port), str(delay)), stdout=subprocess.PIPE
    )
    assert traffic.first_line(process, 20) == "ready"


def attempts(client: Host, kind: str, target: str, count: int = 1, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the definition has
    pause = settings.pop("pause", 0.0)
    given = {"name": "lab", "kind": kind, "targets": [target], "timeout_seconds": TIMEOUT_SECONDS, "retries": 0}
    done = attempted(client, {**given, **settings}, count=count, pause=pause)
    assert len(done["attempts"]) == count
    return done


def one(client: Host, kind: str, target: str, **settings: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever the definition has
    found: dict[str, Any] = attempts(client, kind, target, **settings)["attempts"][0]
    return found


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_success_with_the_kernels_round_trip(lab: Lab, kind: str, family: topology.Family) -> None:
    server = lab.topology.server_addresses(family)[0]
    done = attempts(lab.host("client1"), kind, server, count=20)
    for attempt in done["attempts"]:
        assert (attempt["reason"], attempt["clock"]) == (None, "kernel_txrx")
        assert 1e-6 < attempt["rtt"] < attempt["seconds"]
    assert (done["lates"], done["clock_rejects"]) == (0, 0)
    if kind == "stun":
        assert {attempt["observed"][0] for attempt in done["attempts"]} == set(lab.topology.snat_addresses(family))
        assert set(done["addresses"]) == set(lab.topology.snat_addresses(family))


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_address_is_a_timeout(lab: Lab, kind: str, family: topology.Family) -> None:
    done = attempts(lab.host("client1"), kind, lab.topology.dead_address(family), timeout_seconds=0.2)
    (attempt,) = done["attempts"]
    assert (attempt["reason"], attempt["rtt"], attempt["icmp"]) == ("timeout", None, None)
    assert 0.2 <= attempt["seconds"] < 1 + done["kept"]


@pytest.mark.parametrize(("family", "message"), [(4, [3, 3]), (6, [1, 4])])
@pytest.mark.parametrize("kind", ["udp", "stun"])
def test_a_closed_port_refuses_and_says_who(lab: Lab, kind: str, family: topology.Family, message: list[int]) -> None:
    server = lab.topology.server_addresses(family)[0]
    attempt = one(lab.host("client1"), kind, f"[{server}]:4444" if family == 6 else f"{server}:4444")
    assert (attempt["reason"], attempt["icmp"]) == ("refused", [*message, server])
    assert attempt["seconds"] < TIMEOUT_SECONDS / 2


@pytest.mark.parametrize(
    "case",
    [
        (4, "unreachable", "nat", [3, 1]),
        (4, "prohibit", "nat", [3, 13]),
        (6, "unreachable", "nat", [1, 0]),
        (6, "prohibit", "internet", [1, 1]),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_an_icmp_error_from_the_way_is_unreachable_with_type_code_and_sender(
    lab: Lab, kind: str, case: tuple[topology.Family, str, str, list[int]]
) -> None:
    family, route, where, message = case
    destination = topology.nth(lab.topology.server_network(family), 77)
    host = lab.host(where)
    host.run(["ip", "route", "add", route, destination])
    host.run(["sysctl", "-qw", "net.ipv4.icmp_ratemask=0", "net.ipv6.icmp.ratemask="])  # say it every time
    try:
        # each kind from a host of its own: a host is told five times, then once a second (ip_error, net/ipv4/route.c)
        attempt = one(lab.host(f"client{1 + KINDS.index(kind)}"), kind, destination)
    finally:
        host.run(["ip", "route", "del", route, destination])
    networks = (*lab.topology.inside(family), lab.topology.outside_network(family), lab.topology.server_network(family))
    assert attempt["reason"] == "unreachable"
    assert attempt["icmp"][:2] == message
    assert any(ip_address(attempt["icmp"][2]) in ip_network(network) for network in networks)
    assert attempt["seconds"] < TIMEOUT_SECONDS / 2


@pytest.mark.parametrize("route", ["unreachable", "prohibit", "blackhole"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_route_of_this_host_that_leads_nowhere_is_no_route(lab: Lab, kind: str, route: str) -> None:
    client, destination = lab.host("client1"), topology.nth(lab.topology.server_network(4), 78)
    client.run(["ip", "route", "add", route, destination])
    try:
        attempt = one(client, kind, destination)
    finally:
        client.run(["ip", "route", "del", route, destination])
    assert (attempt["reason"], attempt["icmp"]) == ("no_route", None)
    assert destination in attempt["detail"]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_a_host_without_a_default_route_has_no_route(lab: Lab, kind: str, family: topology.Family) -> None:
    client = lab.host("client4")
    client.run(["ip", f"-{family}", "route", "del", "default"], check=False)
    attempt = one(client, kind, lab.topology.server_addresses(family)[0])
    assert (attempt["reason"], attempt["icmp"]) == ("no_route", None)


def test_late_answers_are_counted_and_never_a_success(lab: Lab) -> None:
    target = f"{lab.topology.server_addresses(4)[1]}:{SLOW_PORT}"
    # Every answer comes nearly 2 s after its attempt has ended, and 2 s before the next one looks for it.
    done = attempts(lab.host("client1"), "udp", target, count=3, pause=3.8, timeout_seconds=0.2, source_ports=2)
    assert [attempt["reason"] for attempt in done["attempts"]] == ["timeout"] * 3
    assert done["lates"] == 2  # that to the last attempt comes when nobody looks any more
    in_time = one(lab.host("client1"), "udp", target)
    assert in_time["reason"] is None
    assert 0.99 * SLOW_SECONDS < in_time["rtt"] < in_time["seconds"]


@pytest.mark.parametrize("family", [4, 6])
def test_raw_sockets_serve_where_ping_sockets_are_not_allowed(lab: Lab, family: topology.Family) -> None:
    client, server = lab.host("client2"), lab.topology.server_addresses(family)[0]
    client.run(["sysctl", "-qw", "net.ipv4.ping_group_range=1 0"])
    done = attempts(client, "icmp", server, count=10)
    assert {(attempt["reason"], attempt["clock"]) for attempt in done["attempts"]} == {(None, "kernel_txrx")}
    wanted = {"name": "lab", "kind": "icmp", "targets": [server]}
    without = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    (refused,) = attempted(client, wanted, prefix=without)["attempts"]
    assert refused["reason"] == "local"
    assert "net.ipv4.ping_group_range" in refused["detail"]
    assert "CAP_NET_RAW" in refused["detail"]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_but_the_mark_works_without_any_capability(lab: Lab, kind: str) -> None:
    client, server = lab.host("client1"), lab.topology.server_addresses(4)[0]
    wanted = {"name": "lab", "kind": kind, "targets": [server], "ttl": 9, "dscp": 46}
    done = attempted(client, wanted, prefix=NO_CAPABILITY, count=3)
    assert int(done["capabilities"], 16) == 0
    assert {(attempt["reason"], attempt["clock"]) for attempt in done["attempts"]} == {(None, "kernel_txrx")}


def test_a_packet_too_big_for_the_way_is_an_mtu_failure_with_the_next_hops_mtu(lab: Lab) -> None:
    nat, server = lab.host("nat"), lab.topology.server_addresses(4)[0]
    nat.run(["ip", "link", "set", "eth0", "mtu", "1400"])
    try:
        found = one(lab.host("client3"), "udp", server, payload_bytes=1472)
        assert (found["reason"], found["icmp"][:2], found["icmp_mtu"]) == ("mtu", [3, 4], 1400)
    finally:
        nat.run(["ip", "link", "set", "eth0", "mtu", "1500"])


def test_a_fresh_port_sees_a_new_public_address_at_once_and_the_old_flows_keep_theirs(lab_factory: LabFactory) -> None:
    built = lab_factory(topology.pool("pool"))
    server = built.topology.server_addresses(4)[0]
    serve(built.host("internet"), "stun", server, STUN_PORT)
    done = attempts(built.host("client1"), "stun", server, count=60)
    assert {attempt["observed"][0] for attempt in done["attempts"]} <= set(built.topology.snat_addresses(4))
    expected = {"addresses": [f"{built.topology.snat_addresses(4)[0]}/32"]}
    with_expectation = one(built.host("client1"), "stun", server, expect={"addresses": ["192.0.2.0/24"]})
    assert (with_expectation["reason"], with_expectation["rtt"] is not None) == ("address", True)
    seen = done["attempts"][0]["observed"][0]
    reasons = {
        one(built.host("client1"), "stun", server, expect={"addresses": [f"{seen}/32"]})["reason"],
        one(built.host("client1"), "stun", server, expect=expected)["reason"],
    }
    assert reasons <= {None, "address"}
