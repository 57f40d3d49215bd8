"""The NAT's public address changes while flows live: seen at once, counted, and expected again when it is back."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from natobs.lab import topology, traffic
from natobs.lab.faults.address import AddressChanged
from natobs.lab.lab import Host, Lab
from tests.lab.agents import Scrape
from tests.lab.conftest import LabFactory

pytestmark = pytest.mark.lab

INTERVAL_SECONDS = 2.0
PORT = 3478


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Lab:
    built = lab_factory(topology.two_armed("address"))
    server = built.host("internet").popen(
        built.host("internet").python(
            "tests.lab.udp_answers", "stun", built.topology.server_addresses(4)[0], str(PORT)
        ),
        stdout=subprocess.PIPE,
    )
    assert traffic.first_line(server, 20) == "ready"
    return built


@contextmanager
def prober_in(host: Host, config: Path) -> Iterator[None]:
    process = host.popen(
        host.python("natobs", "probe", "--config", str(config)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        said = traffic.first_line(process, 20)
        assert "listening on" in said, said
        yield
    finally:
        process.close()


def scrape(client: Host) -> Scrape:
    return Scrape(traffic.fetch(client, "http://127.0.0.1:9651/metrics"))


def await_address(client: Host, address: str) -> Scrape:
    """Scrape until an attempt was seen under an address."""
    deadline = time.monotonic() + 15 * INTERVAL_SECONDS
    while f"seen as {address}" not in traffic.fetch(client, "http://127.0.0.1:9651/"):
        assert time.monotonic() < deadline, f"no attempt was seen under {address}"
        time.sleep(0.05)
    return scrape(client)


def test_the_first_attempt_after_a_change_sees_the_new_address_and_the_gauge_follows(lab: Lab, tmp_path: Path) -> None:
    client, fault = lab.host("client1"), AddressChanged(lab)
    elsewhere = fault.address(4)
    target, reserved = f"{lab.topology.server_addresses(4)[0]}:{PORT}", lab.topology.snat_addresses(4)[0]
    labels = {"probe": "address", "kind": "stun", "target": target}
    config = tmp_path / "probes.toml"
    config.write_text(
        f"""
        [[probe]]
        name = "address"
        kind = "stun"
        targets = ["{target}"]
        critical = true
        interval_seconds = {INTERVAL_SECONDS}
        timeout_seconds = {INTERVAL_SECONDS}
        retries = 0
        expect.addresses = ["{reserved}/32"]
        """,
        encoding="utf-8",
    )
    with prober_in(client, config):
        before = await_address(client, reserved)
        assert before.value("natobs_probe_address_expected", **labels) == 1
        assert before.value("natobs_probe_address_changes_total", **labels) == 0
        assert before.by("natobs_probe_observed_address_info", "address").keys() == {reserved}

        with fault:
            then = scrape(client)
            moved = await_address(client, elsewhere)
            succeeded = [each.value("natobs_probe_success_total", **labels) for each in (then, moved)]
            assert succeeded[0] == succeeded[1]  # not one attempt since the change was seen under the old address
            assert moved.value("natobs_probe_address_expected", **labels) == 0
            assert moved.value("natobs_probe_address_changes_total", **labels) == 1
            assert moved.value("natobs_probe_failures_total", reason="address", **labels) >= 1
            assert moved.by("natobs_probe_observed_address_info", "address").keys() == {reserved, elsewhere}

        then = scrape(client)
        back = await_address(client, reserved)
        failed = [each.value("natobs_probe_failures_total", reason="address", **labels) for each in (then, back)]
        assert failed[0] == failed[1]
        assert back.value("natobs_probe_address_expected", **labels) == 1
        # the reserved one had been seen a moment ago, by flows that kept it: its return is no new address
        assert back.value("natobs_probe_address_changes_total", **labels) == 1
