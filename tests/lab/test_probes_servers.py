"""Probes against servers that other people wrote, through a NAT that changes ports: coturn and nginx."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from natobs.lab import topology
from natobs.lab.lab import Lab
from tests.lab import real_servers
from tests.lab.attempts import Told, attempted
from tests.lab.conftest import LabFactory
from tests.lab.real_servers import NO_CAPABILITY, bracketed

pytestmark = pytest.mark.lab

FAMILIES: tuple[topology.Family, ...] = (4, 6)
PORTS = (1024, 1123)
"""Not those that a client takes by itself: the NAT has to change every one."""


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    return lab_factory(topology.two_armed("servers", ports=PORTS))


@pytest.fixture(scope="module")
def addresses(lab: Lab) -> list[str]:
    return [lab.topology.server_addresses(family)[0] for family in FAMILIES]


@pytest.fixture(scope="module")
def stun(lab: Lab, addresses: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    real_servers.coturn(lab.host("internet"), addresses, tmp_path_factory.mktemp("coturn"))


@pytest.fixture(scope="module")
def authority(lab: Lab, addresses: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, authority = real_servers.nginx(lab.host("internet"), addresses, tmp_path_factory.mktemp("nginx"))
    yield authority
    assert process.poll() is None


def one(lab: Lab, kind: str, family: topology.Family, port: int, **settings: Any) -> Told:  # noqa: ANN401 - any key of the file
    target = f"{bracketed(lab.topology.server_addresses(family)[0])}:{port}"
    wanted = {"name": "t", "kind": kind, "targets": [target], "timeout_seconds": 10, **settings}
    told = attempted(lab.host("client1"), wanted, prefix=NO_CAPABILITY)
    assert int(told["capabilities"], 16) == 0
    attempt: Told = told["attempts"][0]
    return attempt


def translations(lab: Lab, family: topology.Family, port: int) -> dict[int, tuple[str, int]]:
    """Source ports of a client's UDP flows to a server, to the address and port that the NAT gave them."""
    name = {4: "ipv4", 6: "ipv6"}[family]
    listed = lab.host("nat").run(["conntrack", "-L", "-f", name, "-p", "udp", "--orig-port-dst", str(port)]).stdout
    flows = re.findall(r"sport=(\d+) dport=\d+ .*?src=\S+ dst=(\S+) sport=\d+ dport=(\d+)", listed)
    return {int(source): (address, int(changed)) for source, address, changed in flows}


@pytest.mark.usefixtures("stun")
@pytest.mark.parametrize("family", FAMILIES)
def test_coturn_sees_the_address_and_the_port_that_the_nat_has_given(lab: Lab, family: topology.Family) -> None:
    lab.host("nat").run(["conntrack", "-F"])
    attempt = one(lab, "stun", family, real_servers.STUN_PORT, source_ports=1)
    assert (attempt["reason"], attempt["clock"]) == (None, "kernel_txrx")
    assert 0 < attempt["rtt"] < attempt["seconds"]
    given = translations(lab, family, real_servers.STUN_PORT)
    assert len(given) == 2  # the attempt's own flow, and that of the port that stays
    assert tuple(attempt["observed"]) in given.values()
    assert attempt["observed"][0] in lab.topology.snat_addresses(family)
    assert PORTS[0] <= attempt["observed"][1] <= PORTS[1]
    assert attempt["observed"][1] not in given  # it was changed


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "case",
    [
        (real_servers.H2_PORT, {}, "HTTP/2.0"),
        (real_servers.H1_PORT, {}, "HTTP/1.1"),
        (real_servers.HTTP_PORT, {"tls": False}, "HTTP/1.1"),
    ],
)
def test_nginx_is_asked_in_the_best_version_that_it_speaks(
    lab: Lab, authority: str, family: topology.Family, case: tuple[int, dict[str, Any], str]
) -> None:
    port, http, protocol = case
    seen = re.escape(f"{protocol} {lab.topology.snat_addresses(family)[0]}")
    attempt = one(lab, "http", family, port, tls={"ca_file": authority}, http=http, expect={"body": f"^{seen}\n$"})
    assert (attempt["reason"], attempt["detail"]) == (None, "")
    phases = ["resolve", "connect", "tls", "first_byte", "transfer"]
    assert list(attempt["phases"]) == [phase for phase in phases if phase != "tls" or http == {}]
    assert sum(attempt["phases"].values()) <= attempt["seconds"]
    assert attempt["rtt"] == attempt["phases"]["connect"]


def test_nginx_says_which_address_it_saw(lab: Lab, authority: str) -> None:
    public = lab.topology.snat_addresses(4)[0]
    asked: dict[str, Any] = {"http": {"path": "/address"}, "tls": {"ca_file": authority}}
    good = one(lab, "http", 4, real_servers.H2_PORT, expect={"addresses": [f"{public}/32"]}, **asked)
    assert (good["reason"], good["observed"]) == (None, [public, 0])
    other = one(lab, "http", 4, real_servers.H2_PORT, expect={"addresses": ["192.0.2.0/24"]}, **asked)
    assert (other["reason"], other["detail"]) == ("address", f"the server saw {public}; reserved: 192.0.2.0/24")


@pytest.mark.parametrize("kind", ["tls", "http"])
@pytest.mark.parametrize(
    "case",
    [
        (real_servers.H2_PORT, None, ""),
        (real_servers.EXPIRED_PORT, "tls", "certificate: certificate has expired"),
        (real_servers.ELSEWHERE_PORT, "tls", "certificate: IP address mismatch"),
        (real_servers.STRANGER_PORT, "tls", "certificate: unable to get local issuer certificate"),
        (real_servers.HTTP_PORT, "tls", "TLS: wrong version number"),
    ],
)
def test_a_certificate_is_judged_and_the_fault_named(
    lab: Lab, authority: str, kind: str, case: tuple[int, str | None, str]
) -> None:
    port, reason, words = case
    attempt = one(lab, kind, 4, port, tls={"ca_file": authority})
    assert attempt["reason"] == reason
    assert attempt["detail"].startswith(words)
    assert (attempt["certificate_expiry"] is None) == (reason is not None)
    if reason is not None:
        assert list(attempt["phases"]) == ["resolve", "connect", "tls"]


def test_a_certificate_that_ends_soon_fails_where_more_days_are_wanted(lab: Lab, authority: str) -> None:
    attempt = one(lab, "tls", 4, real_servers.H2_PORT, tls={"ca_file": authority}, expect={"certificate_days": 30})
    assert attempt["reason"] == "tls"
    assert re.match(r"certificate: valid for 2\.0 more days|certificate: valid for 1\.9 more days", attempt["detail"])


def test_the_certificates_are_what_openssl_says_they_are(lab: Lab, authority: str) -> None:
    # The faults are the certificates', not those of our own making: another program finds the same.
    client, server = lab.host("client2"), lab.topology.server_addresses(4)[0]
    codes = {
        real_servers.H2_PORT: "0 (ok)",
        real_servers.EXPIRED_PORT: "10 (certificate has expired)",
        real_servers.ELSEWHERE_PORT: "64 (IP address mismatch)",
        real_servers.STRANGER_PORT: "unable to",
    }
    for port, code in codes.items():
        command = ["openssl", "s_client", "-connect", f"{server}:{port}", "-CAfile", authority, "-verify_ip", server]
        said = client.run(command, check=False).stdout
        assert code in "".join(re.findall(r"Verif.* return code: .*", said)), port
    assert Path(authority).is_file()
