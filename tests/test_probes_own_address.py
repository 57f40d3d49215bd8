"""The addresses that a prober says its probes go out from."""

import socket

import pytest

from natobs.probe_config import ProbeSettings
from natobs.probes import own_address
from natobs.probes.own_address import OwnAddresses


def settings(source: str = "") -> ProbeSettings:
    return ProbeSettings(name="one", kind="icmp", targets=("127.0.0.1",), source=source)


@pytest.fixture
def routed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_address, "_SOMEWHERE", {socket.AF_INET: "127.0.0.1"})


def addresses(own: OwnAddresses, *definitions: ProbeSettings) -> list[str]:
    return [sample.labels[0] for sample in own.samples(definitions)]


@pytest.mark.usefixtures("routed")
def test_the_address_is_the_one_of_the_route_or_the_one_that_is_configured() -> None:
    assert addresses(OwnAddresses(), settings(), settings("127.0.0.2")) == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.usefixtures("routed")
def test_it_is_remembered_when_the_route_is_gone_and_forgotten_with_its_definition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = OwnAddresses()
    assert addresses(own, settings()) == ["127.0.0.1"]
    monkeypatch.setattr(own_address, "_address", lambda _settings, _family: "")
    assert addresses(own, settings()) == ["127.0.0.1"]
    assert addresses(own) == []


@pytest.mark.usefixtures("routed")
def test_there_is_a_bound() -> None:
    definitions = [settings(f"127.0.0.{number}") for number in range(2, 60)]
    assert len(addresses(OwnAddresses(), *definitions)) == 16


def test_an_address_that_this_host_does_not_have_is_none() -> None:
    assert addresses(OwnAddresses(), settings("192.0.2.77")) == []
