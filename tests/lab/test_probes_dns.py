"""The kind ``dns`` against dnsmasq in the lab's internet, through the NAT."""

from collections.abc import Iterator

import pytest

from natobs.lab.lab import Lab
from natobs.lab.topology import Family
from tests.lab import real_servers
from tests.lab.attempts import Told, attempted

pytestmark = pytest.mark.lab

PORT = real_servers.DNS_PORT
FAMILIES: tuple[Family, ...] = (4, 6)
TRANSPORTS = ("udp", "tcp")


@pytest.fixture(scope="module")
def served(two_armed_lab: Lab) -> Iterator[Lab]:
    """Give a lab in which dnsmasq knows some names of lab.test, refuses all others, and answers by UDP and TCP."""
    # A record's text has at most 255 bytes; all of them together fit into no datagram of 1232.
    big = [f"--txt-record=big.lab.test,{letter * 200}" for letter in "abcdefgh"]
    addresses = [two_armed_lab.topology.server_addresses(family)[0] for family in FAMILIES]
    process = real_servers.dnsmasq(
        two_armed_lab.host("internet"), addresses, "--cname=alias.lab.test,good.lab.test", *big
    )
    yield two_armed_lab
    process.close()


def asked(lab: Lab, family: Family, transport: str, name: str, *, host: str = "", **settings: object) -> Told:
    target = f"[{host or lab.topology.server_addresses(family)[0]}]:{PORT}"
    kind = settings.pop("type", "A")
    wanted = {
        "name": "dns",
        "kind": "dns",
        "targets": [target],
        "timeout_seconds": 10.0,
        "dns": {"name": name, "type": kind, "transport": transport, "mixed_case": True},
        **settings,
    }
    told: Told = attempted(lab.host("client1"), wanted)["attempts"][0]
    return told


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("kind", "record"), [("A", r"^192\.0\.2\.7$"), ("AAAA", "^2001:db8::7$"), ("ANY", "192")], ids=["a", "aaaa", "any"]
)
def test_success_by_udp(served: Lab, family: Family, kind: str, record: str) -> None:
    told = asked(served, family, "udp", "good.lab.test", type=kind, expect={"record": record})
    assert (told["reason"], told["detail"]) == (None, "")
    assert told["clock"] == "kernel_txrx"
    assert 0 < told["rtt"] < told["seconds"]


@pytest.mark.parametrize("family", FAMILIES)
def test_success_by_tcp(served: Lab, family: Family) -> None:
    told = asked(served, family, "tcp", "good.lab.test", expect={"record": r"^192\.0\.2\.7$"})
    assert (told["reason"], told["detail"]) == (None, "")
    assert told["clock"] == "tcp_info"
    assert list(told["phases"]) == ["resolve", "connect", "first_byte", "transfer"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_an_alias_is_followed(served: Lab, transport: str) -> None:
    told = asked(served, 4, transport, "alias.lab.test", expect={"record": r"^192\.0\.2\.7$"})
    assert told["reason"] is None


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("missing.lab.test", "status", "response code NXDOMAIN, expected NOERROR"),
        ("example.com", "status", "response code REFUSED, expected NOERROR"),
        ("good.lab.test", "body", "the records are 192.0.2.7; expected one that matches '192.0.2.8'"),
    ],
)
def test_a_wrong_answer_has_its_reason(served: Lab, transport: str, name: str, reason: str, words: str) -> None:
    told = asked(served, 4, transport, name, expect={"record": "192.0.2.8"})
    assert (told["reason"], told["detail"]) == (reason, words)
    assert told["rtt"] is not None


def test_an_expected_nxdomain_is_a_success(served: Lab) -> None:
    assert asked(served, 4, "udp", "missing.lab.test", expect={"rcode": "NXDOMAIN"})["reason"] is None


def test_a_truncated_answer_is_a_failure_by_udp_and_whole_by_tcp(served: Lab) -> None:
    told = asked(served, 4, "udp", "big.lab.test", type="TXT")
    assert (told["reason"], told["detail"]) == ("body", "the answer is truncated; ask by tcp")
    assert asked(served, 4, "tcp", "big.lab.test", type="TXT", expect={"record": "h{200}"})["reason"] is None


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_nobody_there_is_a_timeout(served: Lab, transport: str) -> None:
    told = asked(served, 4, transport, "good.lab.test", host=served.topology.dead_address(4), timeout_seconds=0.5)
    assert told["reason"] == "timeout"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_server_that_does_not_listen_is_refused(served: Lab, transport: str) -> None:
    told = asked(served, 4, transport, "good.lab.test", host=served.topology.server_addresses(4)[1])
    assert told["reason"] == "refused"
