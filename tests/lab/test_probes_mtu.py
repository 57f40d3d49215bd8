"""What becomes of full-size packets, in four real states: clean, packet too big, black hole, clamped. By anybody."""

from collections.abc import Iterator
from typing import Any

import pytest

from natobs.lab.faults.mtu import MtuSmall
from natobs.lab.lab import Lab
from natobs.lab.servers import DATAGRAM_ECHO_PORT, ECHO_PORT
from natobs.lab.topology import Family
from tests.lab.attempts import Told, attempted
from tests.lab.real_servers import NO_CAPABILITY
from tests.lab.test_reflector import reflector_in

pytestmark = pytest.mark.lab

FAMILIES: tuple[Family, ...] = (4, 6)
HEADERS: dict[Family, int] = {4: 20, 6: 40}
TIMEOUT_SECONDS = 10.0
"""As long as an attempt may take; whatever there is to find out is known long before."""


def probed(lab: Lab, family: Family, count: int = 1, client: str = "client1", **settings: object) -> list[Told]:
    """Attempts from a client of the lab by a process that has no capability at all."""
    address = lab.topology.server_addresses(family)[0]
    target = f"[{address}]:{DATAGRAM_ECHO_PORT}"
    wanted = {
        "name": "mtu",
        "kind": "pmtu",
        "targets": [target],
        "pmtu": {"tcp_port": ECHO_PORT},
        "timeout_seconds": TIMEOUT_SECONDS,
        **settings,
    }
    done = attempted(lab.host(client), wanted, prefix=NO_CAPABILITY, count=count)
    assert int(done["capabilities"], 16) == 0
    attempts: list[Told] = done["attempts"]
    return attempts


@pytest.fixture(params=["two-armed", "one-armed"])
def narrow(request: pytest.FixtureRequest) -> Iterator[MtuSmall]:
    """Give the fault: the link to the internet, of the NAT or of the router behind it, takes 1383 bytes."""
    one_armed = request.param == "one-armed"
    with MtuSmall(request.getfixturevalue("one_armed_lab" if one_armed else "two_armed_lab")) as fault:
        yield fault


@pytest.mark.parametrize("family", FAMILIES)
def test_clean(two_armed_lab: Lab, family: Family) -> None:
    for told in probed(two_armed_lab, family, count=3):
        assert (told["reason"], told["detail"], told["path_mtu"], told["path_state"]) == (None, "", 1500, "clean")


@pytest.mark.parametrize("family", FAMILIES)
def test_packet_too_big(narrow: MtuSmall, family: Family) -> None:
    lab, (host, _device) = narrow.lab, narrow.narrow
    for told in probed(lab, family, count=3):
        assert (told["reason"], told["path_mtu"], told["icmp_mtu"]) == ("mtu", 1383, 1383)
        assert told["path_state"] == "packet_too_big"
        kind, code, sender = told["icmp"]
        assert (kind, code) == ((3, 4) if family == 4 else (2, 0))
        assert sender in host.run(["ip", "-o", f"-{family}", "address"]).stdout
        assert told["detail"] == (
            f"packet too big: packets of 1500 bytes do not pass, 1383 bytes pass, as {sender} says"
        )
        assert told["seconds"] < TIMEOUT_SECONDS / 2


@pytest.mark.parametrize("family", FAMILIES)
def test_black_hole(narrow: MtuSmall, family: Family) -> None:
    lab = narrow.lab
    narrow.silence()
    for told in probed(lab, family, count=2):
        assert (told["reason"], told["path_mtu"], told["icmp"]) == ("mtu", 1383, None)
        assert told["path_state"] == "black_hole"
        assert told["detail"].startswith("black hole: packets of 1500 bytes do not pass, 1383 bytes pass, ")
        assert "TCP hangs" in told["detail"]
        assert told["seconds"] < TIMEOUT_SECONDS / 2


@pytest.mark.parametrize("family", FAMILIES)
def test_clamped(narrow: MtuSmall, family: Family) -> None:
    lab = narrow.lab
    narrow.silence()
    narrow.clamp()
    for told in probed(lab, family, count=2):
        assert (told["reason"], told["path_mtu"], told["icmp"]) == ("mtu", 1383, None)
        assert told["path_state"] == "clamped"
        assert told["detail"].startswith("clamped: packets of 1500 bytes do not pass, 1383 bytes pass, ")
        full, lowered = 1500 - HEADERS[family] - 20, 1383 - HEADERS[family] - 20
        assert told["detail"].endswith(f"lowered from {full} to {lowered} bytes")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_slight_clamp_is_seen_too(narrow: MtuSmall, family: Family) -> None:
    # Time stamps take 12 bytes of a segment, more than PPPoE's 8: whoever compares without them sees no clamp.
    lab, (host, device) = narrow.lab, narrow.narrow
    host.run(["ip", "link", "set", device, "mtu", "1492"])
    narrow.silence()
    narrow.clamp()
    (told,) = probed(lab, family)
    assert told["path_mtu"] == 1492
    assert told["path_state"] == "clamped"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_size_that_is_wanted_and_passes_is_a_success_on_a_narrow_path(narrow: MtuSmall, family: Family) -> None:
    lab = narrow.lab
    (told,) = probed(lab, family, payload_bytes=1383 - HEADERS[family] - 8)
    assert (told["reason"], told["path_mtu"]) == (None, 1383)
    (told,) = probed(lab, family, payload_bytes=1384 - HEADERS[family] - 8)
    assert (told["reason"], told["path_mtu"]) == ("mtu", 1383)


@pytest.mark.parametrize("family", FAMILIES)
def test_tcp_that_learnt_a_smaller_size_is_no_clamp(narrow: MtuSmall, family: Family) -> None:
    lab = narrow.lab
    probed(lab, family)  # with ICMP's help the client's kernel learns 1383
    narrow.silence()
    (told,) = probed(lab, family)
    assert told["path_mtu"] == 1383
    assert told["path_state"] == "known"
    assert told["detail"].startswith("known: ")


@pytest.mark.parametrize("family", FAMILIES)
def test_this_hosts_own_interface_can_be_too_narrow(two_armed_lab: Lab, family: Family) -> None:
    client = two_armed_lab.host("client1")
    client.run(["ip", "link", "set", "eth0", "mtu", "1400"])
    try:
        (told,) = probed(two_armed_lab, family)
        assert (told["reason"], told["path_mtu"]) == (None, 1400)
        (told,) = probed(two_armed_lab, family, payload_bytes=1472)
        assert (told["reason"], told["path_mtu"]) == ("mtu", 1400)
        assert told["path_state"] == "packet_too_big"
        assert told["detail"].endswith("this host's interface takes 1400")
    finally:
        client.run(["ip", "link", "set", "eth0", "mtu", "1500"])


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_that_come_back_in_fragments_do_not_count(two_armed_lab: Lab, family: Family) -> None:
    # The way back is narrower: the server fragments what it sends, and conntrack keeps the fragments' size.
    internet, network = two_armed_lab.host("internet"), two_armed_lab.topology.outside_network(family)
    route = ["ip", f"-{family}", "route", "replace", network, "dev", "eth0"]
    metric = ["metric", "256"] if family == 6 else ["proto", "kernel", "scope", "link"]
    internet.run([*route, *metric, "mtu", "1380"])
    try:
        (told,) = probed(two_armed_lab, family)
    finally:
        internet.run([*route, *metric, "mtu", "1500"])
    assert (told["reason"], told["path_mtu"]) == ("mtu", 1380)
    assert told["path_state"] == "fragmented"
    assert told["detail"].startswith("fragmented: packets of 1500 bytes do not pass, 1380 bytes pass whole, ")


@pytest.mark.parametrize("family", FAMILIES)
def test_natobs_own_reflector_serves(narrow: MtuSmall, family: Family) -> None:
    lab = narrow.lab
    internet = lab.host("internet")
    services = ("--stamp", ":8862", "--echo", ":8007", "--without", "stun", "--without", "http", "--without", "metrics")
    with reflector_in(internet, *services):
        target: dict[str, Any] = {
            "targets": [f"[{lab.topology.server_addresses(family)[0]}]:8862"],
            "pmtu": {"tcp_port": 8007},
        }
        (clean,) = probed(lab, family, payload_bytes=1300, **target)
        (told,) = probed(lab, family, **target)
        narrow.forget()
        narrow.silence()
        (silent,) = probed(lab, family, **target)
    assert clean["reason"] is None
    assert (told["path_mtu"], told["icmp_mtu"]) == (1383, 1383)
    assert silent["path_mtu"] == 1383
    assert silent["path_state"] == "black_hole"


def test_whoever_does_not_answer_is_a_timeout(two_armed_lab: Lab) -> None:
    (told,) = probed(two_armed_lab, 4, targets=["198.51.100.250:7"], timeout_seconds=0.5)
    assert told["reason"] == "timeout"
