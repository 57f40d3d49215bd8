"""Rulesets: the same policy in three languages."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from natobs.lab import rulesets, topology

SHAPES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "masquerade", "MASQUERADE"),
    ({"fully_random": True}, "masquerade fully-random", "MASQUERADE --random-fully"),
    ({"ports": (2000, 2099)}, "masquerade to :2000-2099", "MASQUERADE --to-ports 2000-2099"),
    ({"addresses": 3}, "snat to 203.0.113.10-203.0.113.12", "SNAT --to-source 203.0.113.10-203.0.113.12"),
    (
        {"addresses": 3, "ports": (2000, 2099), "fully_random": True},
        "snat to 203.0.113.10-203.0.113.12:2000-2099 fully-random",
        "SNAT --to-source 203.0.113.10-203.0.113.12:2000-2099 --random-fully",
    ),
]


@pytest.mark.parametrize(("nat", "nft", "_iptables"), SHAPES)
def test_nftables(nat: dict[str, Any], nft: str, _iptables: str) -> None:
    (made,) = rulesets.rulesets(topology.two_armed(**nat))
    assert made.command == ("nft", "-f", "-")
    assert f'counter {nft} comment "lab: translate"' in made.text
    if "ports" in nat:
        # nft refuses a port range unless the rule matches a transport protocol
        assert f"meta l4proto {{ tcp, udp }} counter {nft}" in made.text


@pytest.mark.parametrize("suffix", ["nft", "legacy"])
@pytest.mark.parametrize(("nat", "_nft", "iptables"), SHAPES)
def test_iptables(nat: dict[str, Any], _nft: str, iptables: str, suffix: str) -> None:
    four, six = rulesets.rulesets(topology.two_armed(backend=f"iptables-{suffix}", **nat))
    assert four.command == (f"iptables-{suffix}-restore",)
    assert six.command == (f"ip6tables-{suffix}-restore",)
    match = " -p udp" if "ports" in nat else ""
    assert f'-A POSTROUTING -s 10.0.2.0/24{match} -m comment --comment "lab: translate" -j {iptables}\n' in four.text
    assert "10.0." not in six.text
    assert four.text.count("COMMIT") == six.text.count("COMMIT") == 2


def test_ipv6_ports_stand_behind_brackets() -> None:
    (nft,) = rulesets.rulesets(topology.pool())
    assert "snat to [2001:db8:113::10]-[2001:db8:113::13]:1024-65535" in nft.text
    _, iptables = rulesets.rulesets(topology.pool(backend="iptables-nft"))
    assert "--to-source [2001:db8:113::10-2001:db8:113::13]:1024-65535" in iptables.text


@pytest.mark.parametrize("shape", topology.TOPOLOGIES.values())
def test_no_rule_names_an_interface(shape: Callable[..., topology.Topology]) -> None:
    for backend in topology.BACKENDS:
        made = rulesets.rulesets(shape(backend=backend))
        text = "".join(ruleset.text for ruleset in made)
        assert "lab: deny" in text
        assert re.search(r"oif|iif| -o | -i |eth\d", text) is None
