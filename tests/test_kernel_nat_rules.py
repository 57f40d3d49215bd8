"""Which ports rules leave to an address, in whatever order and number they stand."""

import socket
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel.nat_rules import PROTOCOLS, NatRule, PortRange, port_range, ports_of
from tests.effort import effort

TCP, UDP = 6, 17
SOURCE, ELSEWHERE = ("from", "10.0.1.0/24"), ("from", "10.0.2.0/24")


def rule(
    ports: tuple[int, int] | None = None,
    *conditions: object,
    protocols: set[int] | None = None,
    addresses: tuple[str, str] | None = None,
    chain: str = "postrouting",
    **more: bool | None,
) -> NatRule:
    packed = None if addresses is None else (socket.inet_aton(addresses[0]), socket.inet_aton(addresses[1]))
    only = None if protocols is None else frozenset(protocols)
    made = NatRule(chain, False, only, frozenset(conditions), packed, ports)
    return replace(made, **more)  # type: ignore[arg-type]  # known and ipv6


LOW, HIGH = (1024, 2047), (2048, 4095)


@pytest.mark.parametrize(
    ("rules", "proto", "found"),
    [
        ([], TCP, None),
        ([rule()], TCP, None),
        ([rule(LOW)], TCP, LOW),
        ([rule(LOW), rule(LOW)], TCP, LOW),
        # the second one cannot be reached
        ([rule(LOW), rule(HIGH)], TCP, LOW),
        ([rule(LOW, SOURCE, protocols={TCP}), rule(None, SOURCE)], TCP, LOW),
        ([rule(LOW, SOURCE, protocols={TCP}), rule(None, SOURCE)], UDP, None),
        ([rule(LOW, SOURCE), rule(HIGH, SOURCE, "more")], TCP, LOW),
        # both can be
        ([rule(LOW, SOURCE), rule(HIGH, ELSEWHERE)], TCP, None),
        ([rule(LOW, SOURCE), rule(None)], TCP, None),
        ([rule(LOW, SOURCE, "more"), rule(HIGH, SOURCE)], TCP, None),
        ([rule(LOW), rule(HIGH, chain="other")], TCP, None),
        ([rule(LOW), rule(LOW, chain="other")], TCP, LOW),
        # other addresses
        ([rule(LOW, SOURCE, addresses=("203.0.113.1", "203.0.113.20")), rule(HIGH)], TCP, None),
        ([rule(LOW, SOURCE, addresses=("203.0.113.1", "203.0.113.9")), rule(HIGH)], TCP, HIGH),
        ([rule(LOW, addresses=("203.0.113.1", "203.0.113.20"))], TCP, LOW),
        ([rule(LOW, addresses=("203.0.113.11", "203.0.113.20"))], TCP, None),
        # other families, and ports that are computed
        ([rule(LOW), rule(HIGH, ipv6=True, chain="6")], TCP, LOW),
        ([rule(LOW, ipv6=None)], TCP, LOW),
        ([rule(LOW, SOURCE), rule(None, ELSEWHERE, known=False)], TCP, None),
    ],
)
def test_ports_of_an_address(rules: list[NatRule], proto: int, found: tuple[int, int] | None) -> None:
    assert ports_of(rules, "203.0.113.10", proto) == found


ADDRESSES = st.sampled_from([None, ("203.0.113.1", "203.0.113.9"), ("203.0.113.10", "203.0.113.10")])
CONDITIONS = st.sets(st.sampled_from([SOURCE, ELSEWHERE, "more"]))


@st.composite
def some_rules(draw: st.DrawFn) -> list[NatRule]:
    return [
        rule(
            draw(st.sampled_from([None, LOW, HIGH])),
            *draw(CONDITIONS),
            addresses=draw(ADDRESSES),
            chain=draw(st.sampled_from(["postrouting", "other"])),
            known=draw(st.sampled_from([True, True, False])),
        )
        for _rule in range(draw(st.integers(0, 6)))
    ]


@given(some_rules())
def test_the_ports_are_those_of_the_rules_that_can_be_reached(rules: list[NatRule]) -> None:
    given_by = [
        one
        for place, one in enumerate(rules)
        if not any(other.chain == one.chain and other.conditions <= one.conditions for other in rules[:place])
        and (one.addresses is None or one.addresses[0] <= socket.inet_aton("203.0.113.10") <= one.addresses[1])
    ]
    ranges = {one.ports for one in given_by}
    certain = len(ranges) == 1 and all(one.known for one in given_by)
    assert ports_of(rules, "203.0.113.10", TCP) == (ranges.pop() if certain else None)


def test_thousands_of_rules_are_not_compared_each_with_each() -> None:
    """A range of ports for each host, as a provider gives them."""

    def steps(number: int) -> int:
        addresses = [f"203.0.113.{place // 64}" for place in range(number)]
        rules = [rule(LOW, ("from", place), addresses=(one, one)) for place, one in enumerate(addresses)]
        found, bytecodes = effort(lambda: ports_of(rules, addresses[-1], TCP))
        assert found == LOW
        return bytecodes

    assert steps(1000) < 3 * steps(500)


def test_who_says_how_large_a_range_is() -> None:
    ruleset, configured = {("203.0.113.10", "tcp"): 100}, {"203.0.113.10": 50}
    assert port_range("203.0.113.10", "tcp", ruleset, configured) == PortRange(100, "ruleset")
    assert port_range("203.0.113.10", "udp", ruleset, configured) == PortRange(50, "config")
    assert port_range("203.0.113.11", "udp", ruleset, configured) == PortRange(64512, "default")
    assert port_range("203.0.113.11", "icmp", ruleset, configured) == PortRange(65536, "default")
    assert port_range("203.0.113.11", "esp", ruleset, configured) is None
    assert all(port_range("::1", proto, {}, {}) for proto in PROTOCOLS)
