"""Rules that translate sources, as each backend writes them."""

import socket
import struct

import pytest
from hypothesis import given

from natobs.errors import UnavailableError
from natobs.kernel import nft_nat, port_ranges, xt_nat, xtables
from natobs.kernel.nat_rules import NatRule, ports_of
from tests import nft_messages as nft
from tests import test_kernel_xtables as xt
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged

TCP, UDP, ICMP = 6, 17, 1
LOW = (1024, 2047)


def value(data: bytes) -> bytes:
    return nft.attribute(1, data)


def immediate(register: int, data: bytes) -> bytes:
    return nft.expression("immediate", nft.u32(1, register), nft.attribute(2, value(data)))


def port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def load(name: str, key: int) -> bytes:
    return nft.expression(name, nft.u32(1, 1), nft.u32(2, key))


def payload(offset: int, length: int, base: int = 1) -> bytes:
    return nft.expression("payload", nft.u32(1, 1), nft.u32(2, base), nft.u32(3, offset), nft.u32(4, length))


def equals(data: bytes, operation: int = 0) -> bytes:
    return nft.expression("cmp", nft.u32(1, 1), nft.u32(2, operation), nft.attribute(3, value(data)))


def lookup(name: str, *more: bytes) -> bytes:
    return nft.expression("lookup", nft.text(1, name), nft.u32(2, 1), *more)


def masquerade(low: int = 0, high: int = 0) -> bytes:
    return nft.expression("masq", *(nft.u32(kind, register) for kind, register in ((2, low), (3, high)) if register))


def translate(*registers: int, kind: int = 0, family: int = 2) -> bytes:
    words = [nft.u32(3 + place, register) for place, register in enumerate(registers) if register]
    return nft.expression("nat", nft.u32(1, kind), nft.u32(2, family), *words)


SETS = {
    "__set0": frozenset({value(value(b"\x06")), value(value(b"\x11"))}),
    "__set1": frozenset({value(value(b"\x0a\x00\x01\x00"))}),
    "__set2": frozenset({value(value(b"\x0a\x00\x01\x00"))}),
    "__set3": frozenset({value(value(b"\x06")), value(value(b"\x12")) + nft.u32(3, 1)}),
}
L4PROTO = load("meta", 16)
FROM_SET = payload(12, 4)


def parsed(*rules: bytes) -> list[NatRule]:
    return nft_nat.parse(b"".join(rules), lambda family, table, name: SETS.get(name))


def only(*expressions: bytes, family: int = nft.IP) -> NatRule:
    (found,) = parsed(nft.rule(nft.CMP, nft.counter(1), *expressions, place=(family, "nat", "post")))
    return found


def test_masquerade_of_nftables() -> None:
    assert only(masquerade()).ports is None
    assert only(immediate(1, port(1024)), immediate(2, port(2047)), masquerade(1, 2)).ports == LOW
    assert only(immediate(1, port(1024)), masquerade(1)).ports == (1024, 1024)
    # registers of 32 bits, which the first four of 128 bits are made of
    assert only(immediate(8, port(1024)), immediate(12, port(2047)), masquerade(1, 2)).ports == LOW


def test_snat_of_nftables() -> None:
    first, last = bytes([203, 0, 113, 10]), bytes([203, 0, 113, 13])
    numbers = [immediate(1, first), immediate(2, last), immediate(3, port(1024)), immediate(4, port(2047))]
    found = only(*numbers, translate(1, 2, 3, 4))
    assert (found.addresses, found.ports, found.ipv6) == ((first, last), LOW, False)
    found = only(immediate(1, first), translate(1))
    assert (found.addresses, found.ports, found.known) == ((first, first), None, True)
    found = only(immediate(1, bytes(16)), translate(1, family=10), family=nft.INET)
    assert (found.addresses, found.ipv6) == ((bytes(16), bytes(16)), True)
    assert parsed(nft.rule(immediate(1, first), translate(1, kind=1))) == []


def test_what_is_computed_is_not_known() -> None:
    found = only(load("numgen", 1), masquerade(1))
    assert (found.ports, found.known) == (None, False)
    found = only(immediate(1, port(1024)), load("numgen", 1), masquerade(1))
    assert not found.known
    found = only(immediate(1, port(1024)), FROM_SET, lookup("__map0", nft.u32(3, 1)), translate(1, 0, 1))
    assert (found.addresses, found.known) == (None, False)


@pytest.mark.parametrize(
    ("match", "protocols"),
    [
        ([L4PROTO, equals(b"\x06")], {TCP}),
        ([L4PROTO, lookup("__set0")], {TCP, UDP}),
        ([payload(9, 1), equals(b"\x11")], {UDP}),
        ([L4PROTO, lookup("__set0"), L4PROTO, equals(b"\x06")], {TCP}),
        ([L4PROTO, equals(b"\x06", 1)], None),  # not equal
        ([L4PROTO, lookup("__set0", nft.u32(5, 1))], None),  # not in
        ([L4PROTO, lookup("__set3")], None),  # an interval
        ([L4PROTO, lookup("named")], None),
        ([payload(6, 1), equals(b"\x11")], None),  # the protocol of IPv6, in an IPv4 table
    ],
)
def test_protocols_of_a_rule(match: list[bytes], protocols: set[int] | None) -> None:
    assert only(*match, masquerade()).protocols == (None if protocols is None else frozenset(protocols))


def test_the_family_that_an_inet_rule_asks_for() -> None:
    for family, ipv6 in ((2, False), (10, True)):
        found = only(load("meta", 15), equals(bytes([family])), masquerade(), family=nft.INET)
        assert found.ipv6 is ipv6
    assert only(masquerade(), family=nft.INET).ipv6 is None


def test_sets_of_equal_content_are_one_condition() -> None:
    """What nft writes for ``ip saddr { ... } meta l4proto { tcp, udp } masquerade to :1024-2047`` and its rest."""
    ranged = [FROM_SET, lookup("__set1"), L4PROTO, lookup("__set0"), immediate(1, port(1024)), immediate(2, port(2047))]
    rules = parsed(
        nft.rule(*ranged, nft.counter(5), masquerade(1, 2)), nft.rule(FROM_SET, lookup("__set2"), masquerade())
    )
    assert rules[0].conditions == rules[1].conditions != frozenset()
    assert [ports_of(rules, "203.0.113.10", proto) for proto in (TCP, UDP, ICMP)] == [LOW, LOW, None]
    rules = parsed(nft.rule(*ranged, masquerade(1, 2)), nft.rule(FROM_SET, lookup("named"), masquerade()))
    assert ports_of(rules, "203.0.113.10", TCP) is None


def compat(flags: int, low: int = 0, high: int = 0, *between: str) -> bytes:
    addresses = b"".join(map(socket.inet_aton, between)).ljust(8, b"\0")
    return struct.pack("=II", 1, flags) + addresses + port(low) + port(high)


def wide(flags: int, low: int = 0, high: int = 0, first: bytes = b"", last: bytes = b"") -> bytes:
    return struct.pack("=I16s16s", flags, first, last) + port(low) + port(high)


def xt_target(name: str, info: bytes, revision: int = 0) -> bytes:
    return nft.expression("target", nft.text(1, name), nft.u32(2, revision), nft.attribute(3, info))


@pytest.mark.parametrize(
    ("target", "family", "addresses", "ports"),
    [
        (xt_target("MASQUERADE", compat(0)), nft.IP, None, None),
        (xt_target("MASQUERADE", compat(2, 1024, 2047)), nft.IP, None, LOW),
        (xt_target("MASQUERADE", wide(2, 1024, 2047)), nft.IP6, None, LOW),
        (xt_target("SNAT", compat(3, 1024, 2047, "1.2.3.4", "1.2.3.7")), nft.IP, (b"\1\2\3\4", b"\1\2\3\7"), LOW),
        (xt_target("SNAT", wide(1, 0, 0, b"\1\2\3\4", b"\1\2\3\7"), 2), nft.IP, (b"\1\2\3\4", b"\1\2\3\7"), None),
        (xt_target("SNAT", wide(3, 1024, 2047, b"a" * 16, b"b" * 16), 1), nft.IP6, (b"a" * 16, b"b" * 16), LOW),
    ],
)
def test_targets_of_iptables_nft(
    target: bytes, family: int, addresses: tuple[bytes, bytes] | None, ports: tuple[int, int] | None
) -> None:
    found = only(nft.xt_comment("words"), target, family=family)
    assert (found.addresses, found.ports, len(found.conditions)) == (addresses, ports, 1)


def legacy(*rules: bytes) -> bytes:
    entries = [*rules, xt.entry(xt.goes(xt.ACCEPT)), xt.error("ERROR")]
    return xt.answer(entries, {4: 0}, {4: len(rules)}, b"nat")


def entry(name: str, info: bytes, proto: int = 0, comment: str = "", *, revision: int = 0, source: int = 0) -> bytes:  # noqa: PLR0913  a rule has so many parts
    body = bytearray(xt.entry(xt.extension(name, info), xt.comment(comment) if comment else b"", source=source))
    struct.pack_into("=I", body, 8, 0xFFFFFFFF if source else 0)
    struct.pack_into("=H", body, 80, proto)
    target = len(body) - len(xt.extension(name, info))
    body[target + 31] = revision
    return bytes(body)


def test_iptables_legacy() -> None:
    table = legacy(
        entry("MASQUERADE", compat(2, 1024, 2047), TCP, "for TCP", source=7),
        entry("MASQUERADE", compat(2, 1024, 2047), UDP, source=7),
        entry("MASQUERADE", compat(0), 0, "the rest", source=7),
        entry("SNAT", wide(3, 5, 9, b"\1\2\3\4", b"\1\2\3\4"), TCP, revision=2, source=8),
        entry("DNAT", compat(0)),
    )
    rules = xt_nat.parse_table(table, ipv6=False)
    assert [rule.protocols and set(rule.protocols) for rule in rules] == [{TCP}, {UDP}, None, {TCP}]
    assert [ports_of(rules, "203.0.113.10", proto) for proto in (TCP, UDP, ICMP)] == [LOW, LOW, None]
    assert ports_of(rules, "1.2.3.4", TCP) is None  # LOW from one network, 5-9 from another
    assert rules[3].addresses == (b"\1\2\3\4", b"\1\2\3\4")
    assert rules[0].conditions == rules[2].conditions != rules[3].conditions


def test_all_backends_of_a_machine() -> None:
    ranged = nft.rule(immediate(1, port(1024)), immediate(2, port(2047)), masquerade(1, 2))
    machine = FakeMachine({nft_nat.RULES.key: ranged})
    assert ports_of(port_ranges.read(machine), "203.0.113.10", TCP) == LOW
    machine.answers[xtables.NAMES[False].key] = b"filter\nnat\n"
    machine.answers["xtables/ip/nat"] = legacy(entry("MASQUERADE", compat(2, 2048, 4095), TCP))
    assert ports_of(port_ranges.read(machine), "203.0.113.10", TCP) is None
    machine.answers[nft_nat.RULES.key] = UnavailableError("permission", "no")
    with pytest.raises(UnavailableError):
        port_ranges.read(machine)
    assert port_ranges.read(FakeMachine()) == []


def test_elements_of_anonymous_sets_are_read_from_the_machine() -> None:
    words = [L4PROTO, lookup("__set0"), immediate(1, port(1024)), immediate(2, port(2047)), masquerade(1, 2)]
    question = nft_nat.elements_of(nft.IP, "t", "__set0").key
    elements = nft.attribute(3, b"".join(nft.attribute(1, element) for element in sorted(SETS["__set0"])))
    machine = FakeMachine({nft_nat.RULES.key: nft.rule(*words), question: nft.message(12, nft.IP, elements)})
    (found,) = nft_nat.read(machine)
    assert found.protocols == frozenset({TCP, UDP})
    del machine.answers[question]
    (found,) = nft_nat.read(machine)
    assert (found.protocols, len(found.conditions)) == (None, 1)


WHOLE = nft.rule(
    *(FROM_SET, lookup("__set1"), L4PROTO, lookup("__set0"), nft.xt_comment("x"), immediate(1, port(1024))),
    *(immediate(2, port(2047)), nft.counter(5), masquerade(1, 2)),
)
ADDRESSED = nft.rule(*(immediate(one, bytes(4)) for one in (1, 2, 3, 4)), translate(1, 2, 3, 4))
TARGETED = nft.rule(xt_target("SNAT", compat(3, 1, 2)))
LEGACY = legacy(entry("MASQUERADE", compat(2, 1024, 2047), TCP, "for TCP"), entry("SNAT", compat(1)))


@given(damaged(WHOLE, ADDRESSED, TARGETED, WHOLE + ADDRESSED + TARGETED))
def test_damaged_rules_of_nftables_raise_only_the_one_error(data: bytes) -> None:
    attempt(parsed, data)


@given(damaged(LEGACY))
def test_damaged_tables_of_iptables_raise_only_the_one_error(data: bytes) -> None:
    attempt(lambda data: xt_nat.parse_table(data, ipv6=False), data)
    attempt(lambda data: xt_nat.parse_table(data, ipv6=True), data)


@given(damaged(nft.message(12, nft.IP, nft.attribute(3, nft.attribute(1, value(value(b"\x06")))))))
def test_damaged_elements_raise_only_the_one_error(data: bytes) -> None:
    attempt(nft_nat.parse_elements, data)
