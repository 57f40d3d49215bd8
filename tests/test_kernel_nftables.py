from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.nfnetlink.nftsocket import (  # type: ignore[import-untyped]  # pyroute2 has no types
    nft_rule_msg,
)

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import netlink, nftables
from natobs.kernel.firewall import Count, Policy
from natobs.kernel.machine import Query
from natobs.kernel.nft_rules import RuleDecoder
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged
from tests.nft_messages import (
    ACCEPT,
    ARP,
    BRIDGE,
    CMP,
    DROP,
    INET,
    IP,
    IP6,
    JUMP,
    NEWRULE,
    attribute,
    base,
    counter,
    expression,
    message,
    named,
    padded_counter,
    rule,
    table,
    text,
    u32,
    u64,
    userdata,
    verdict,
    xt,
    xt_comment,
)

RECORDED = Path(__file__).parent / "kernel/firewall/netlink"
DUMPS = {name: (RECORDED / name).read_bytes() for name in ("nft-tables", "nft-chains", "nft-rules", "nft-objects")}


def only(data: bytes) -> Count:
    (((found,)),) = RuleDecoder().decode(data).counts.values()
    return found


def test_a_rule_has_counters_a_comment_and_a_verdict() -> None:
    found = only(rule(CMP, counter(3, 200), verdict(DROP), more=userdata((0, b"why\0"))))
    assert found == Count(found.rule, 1, 3, 200, 3)
    assert (found.rule.identity, found.rule.chain, found.rule.comment, found.rule.verdict) == (9, "c", "why", "drop")


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        ((counter(1), verdict(DROP)), "drop"),
        ((counter(1), expression("reject", u32(1, 0), attribute(2, b"\x03"))), "reject"),
        ((counter(1), xt("target", "REJECT")), "reject"),
        ((counter(1), xt("target", "DROP")), "drop"),
        ((counter(1), xt("target", "MASQUERADE")), ""),
        ((counter(1), verdict(ACCEPT)), ""),
        ((counter(1), verdict(JUMP)), ""),
        ((counter(1), verdict(DROP, register=1)), ""),
        ((counter(1), expression("immediate", u32(1, 1), attribute(2, attribute(1, bytes(4))))), ""),
        ((counter(1),), ""),
    ],
)
def test_what_denies(expressions: tuple[bytes, ...], expected: str) -> None:
    assert only(rule(*expressions)).rule.verdict == expected


@pytest.mark.parametrize(
    ("more", "expressions", "expected"),
    [
        (userdata((0, b"nft's\0")), (), "nft's"),
        (userdata((1, b"\0\0\0\1"), (0, b"after another\0")), (), "after another"),
        (userdata((1, b"\0\0\0\1")), (), ""),
        (attribute(7, b"\0\xffcut short"), (), "cut short"),
        (attribute(7, b"\0"), (), ""),
        (b"", (xt_comment("iptables' own"),), "iptables' own"),
        (userdata((0, b"old iptables\0")), (), "old iptables"),
        (userdata((0, b"\xff\xfe\0")), (), "\ufffd\ufffd"),
    ],
)
def test_where_comments_are(more: bytes, expressions: tuple[bytes, ...], expected: str) -> None:
    assert only(rule(*expressions, counter(1), more=more)).rule.comment == expected


def test_several_counters_are_summed_and_the_last_one_counts_denies() -> None:
    found = only(rule(counter(10, 100), CMP, counter(4, 40), verdict(DROP)))
    assert (found.packets, found.bytes, found.denied) == (14, 140, 4)


def test_a_counter_before_a_match_does_not_count_denies() -> None:
    assert only(rule(counter(10), CMP, verdict(DROP))).denied is None
    assert only(rule(CMP, counter(10), expression("log"), verdict(DROP))).denied == 10


def test_a_rule_without_counter_has_no_value_but_a_place() -> None:
    data = rule(CMP, verdict(ACCEPT), handle=1) + rule(verdict(DROP), handle=2) + rule(counter(0), handle=3)
    ((denies, counts),) = RuleDecoder().decode(data).counts.values()
    assert (denies.position, denies.packets, denies.bytes, denies.denied) == (2, None, None, None)
    assert (counts.position, counts.packets) == (3, 0)


def test_a_reference_to_a_named_counter_is_no_counter_of_the_rule() -> None:
    assert RuleDecoder().decode(rule(expression("objref", u32(1, 1), text(2, "n")), verdict(ACCEPT))).counts == {}


def test_reordered_padded_and_unknown_attributes_and_families() -> None:
    assert only(rule(padded_counter(3, 7), expression("", b""), expression("from the future", u32(77, 1)))).packets == 3
    assert RuleDecoder().decode(rule(counter(1), place=(99, "t", "c"))).counts == {}


@pytest.mark.parametrize(
    "data",
    [
        message(6, IP, text(1, "t"), text(2, "c")),
        message(6, IP),
        rule(expression("counter", u64(1, 1))),
        rule(expression("counter", attribute(1, b"abc"), u64(2, 1))),
        rule(counter(1))[:-3],
        b"\x01",
    ],
)
def test_what_is_no_rule_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        RuleDecoder().decode(data)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2**64 - 1)), max_size=8))
def test_a_decoder_that_remembers_says_what_a_new_one_says(read: list[tuple[int, int]]) -> None:
    forms = (
        lambda value: rule(CMP, counter(value, value // 2), verdict(DROP)),
        lambda value: rule(padded_counter(value), verdict(DROP)),
        lambda value: rule(counter(value), counter(1), verdict(DROP)),
        lambda value: rule(counter(1), more=userdata((0, counter(value)))),
        lambda value: rule(more=userdata((0, counter(value)))),
        lambda value: rule(padded_counter(1), more=userdata((0, counter(value)))),
    )
    remembers = RuleDecoder()
    for form, value in read:
        data = forms[form](value)
        for _ in range(2):
            assert remembers.decode(data) == RuleDecoder().decode(data)


def test_only_the_rules_of_the_last_dump_are_remembered() -> None:
    decoder = RuleDecoder()
    for handle in range(50):
        decoder.decode(rule(counter(1), handle=handle))
    assert len(decoder._known) == 1


@given(damaged(DUMPS["nft-rules"]))
def test_damaged_rules_are_refused_or_read_never_worse(data: bytes) -> None:
    decoder = RuleDecoder()
    attempt(decoder.decode, DUMPS["nft-rules"])
    assert attempt(decoder.decode, data) == attempt(RuleDecoder().decode, data)


@pytest.mark.parametrize(
    ("parse", "dump"),
    [
        (nftables.parse_tables, "nft-tables"),
        (nftables.parse_chains, "nft-chains"),
        (nftables.parse_objects, "nft-objects"),
    ],
)
def test_damaged_dumps_are_refused_or_read(parse: object, dump: str) -> None:
    assert callable(parse)
    assert attempt(parse, DUMPS[dump])

    @given(damaged(DUMPS[dump]))
    def check(data: bytes) -> None:
        attempt(parse, data)

    check()


def test_pyroute2_reads_the_same_counters_in_the_recorded_rules() -> None:
    expected: dict[tuple[tuple[int, str], int], tuple[int, int]] = {}
    for kind, _flags, _sequence, body in netlink.headers(DUMPS["nft-rules"]):
        if kind == NEWRULE:
            decoded = nft_rule_msg(netlink.request(kind, 0, 0, bytes(body)))
            decoded.decode()
            key = ((body[0], decoded.get_attr("NFTA_RULE_TABLE")), decoded.get_attr("NFTA_RULE_HANDLE"))
            for one in decoded.get_attr("NFTA_RULE_EXPRESSIONS"):
                if one.get_attr("NFTA_EXPR_NAME") == "counter":
                    values = one.get_attr("NFTA_EXPR_DATA")
                    packets, octets = values.get_attr("NFTA_COUNTER_PACKETS"), values.get_attr("NFTA_COUNTER_BYTES")
                    before = expected.get(key, (0, 0))
                    expected[key] = (before[0] + packets, before[1] + octets)
    found = {
        (owner, count.rule.identity): (count.packets, count.bytes)
        for owner, counts in RuleDecoder().decode(DUMPS["nft-rules"]).counts.items()
        for count in counts
        if count.packets is not None
    }
    assert found == expected
    assert sum(packets for packets, _octets in expected.values()) > 100


def answers(*, tables: bytes, chains: bytes = b"", rules: bytes = b"", objects: bytes = b"") -> FakeMachine:
    return FakeMachine(
        {
            nftables.TABLES.key: tables,
            nftables.CHAINS.key: chains,
            nftables.RULES.key: rules,
            nftables.OBJECTS.key: objects,
        }
    )


IPTABLES = (IP, "filter", "FORWARD")
OWN_RULE = rule(xt_comment("x"), counter(1), verdict(ACCEPT), place=IPTABLES)


@pytest.mark.parametrize(
    ("owner", "chains", "rules", "objects", "backend"),
    [
        ((IP, "filter"), base(IPTABLES, 2, 0), OWN_RULE, b"", "iptables-nft"),
        ((IP, "nat"), base((IP, "nat", "POSTROUTING"), 4, 100), b"", b"", "iptables-nft"),
        ((IP6, "raw"), base((IP6, "raw", "PREROUTING"), 0, -300), b"", b"", "iptables-nft"),
        ((ARP, "filter"), base((ARP, "filter", "OUTPUT"), 1, 0), b"", b"", "iptables-nft"),
        ((BRIDGE, "filter"), base((BRIDGE, "filter", "INPUT"), 1, -200), b"", b"", "iptables-nft"),
        # another family, name, chain, hook or priority
        ((INET, "filter"), base((INET, "filter", "FORWARD"), 2, 0), b"", b"", "nftables"),
        ((IP, "mine"), base((IP, "mine", "FORWARD"), 2, 0), b"", b"", "nftables"),
        ((IP, "filter"), base((IP, "filter", "forward"), 2, 0), b"", b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 1, 0), b"", b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, -1), b"", b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, 0) + base((IP, "filter", "mine"), 2, 0), b"", b"", "nftables"),
        # no base chain, a named object, an expression or a missing counter that iptables would not write
        ((IP, "filter"), b"", OWN_RULE, b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, 0), b"", named(kind=2, owner="filter"), "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, 0), rule(counter(1), expression("ct"), place=IPTABLES), b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, 0), rule(verdict(ACCEPT), place=IPTABLES), b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, 0), rule(counter(1), expression("lookup"), place=IPTABLES), b"", "nftables"),
        ((IP, "filter"), base(IPTABLES, 2, 0), rule(counter(1), expression("log"), place=IPTABLES), b"", "nftables"),
        (
            (IP, "filter"),
            base(IPTABLES, 2, 0),
            rule(counter(1), expression("log", attribute(1, b"\0\1")), place=IPTABLES),
            b"",
            "iptables-nft",
        ),
    ],
)
def test_whose_a_table_is(owner: tuple[int, str], chains: bytes, rules: bytes, objects: bytes, backend: str) -> None:
    machine = answers(tables=table(*owner), chains=chains, rules=rules, objects=objects)
    (found,) = nftables.read_tables(machine, RuleDecoder())
    assert (found.name, found.backend) == (owner[1], backend)


def test_policies_that_count_and_policies_that_cannot() -> None:
    chains = (
        base((IP, "t", "counts"), 1, 0, DROP, attribute(8, u64(1, 70) + u64(2, 7)))
        + base((IP, "t", "silent"), 1, 0, DROP)
        + base((IP, "t", "lets pass"), 1, 0, ACCEPT)
        + base((IP, "t", "ends in a drop"), 1, 0, DROP)
        + message(3, IP, text(1, "t"), text(3, "no base chain"))
    )
    rules = rule(CMP, verdict(DROP), place=(IP, "t", "silent")) + rule(verdict(DROP), place=(IP, "t", "ends in a drop"))
    (found,) = nftables.read_tables(answers(tables=table(IP, "t"), chains=chains, rules=rules), RuleDecoder())
    assert found.policies == [Policy("counts", True, 7, 70), Policy("silent", True, None, None)]
    (dormant,) = nftables.read_tables(answers(tables=table(IP, "t", flags=1), chains=chains), RuleDecoder())
    assert [policy.chain for policy in dormant.policies] == ["counts"]


def test_named_counters_and_no_other_objects() -> None:
    machine = answers(tables=table(IP, "t", handle=5), objects=named(name="a") + named(kind=2, name="a quota"))
    (found,) = nftables.read_tables(machine, RuleDecoder())
    assert [(one.name, one.packets, one.bytes) for one in found.counters] == [("a", 2, 60)]
    assert found.identity == (IP, "t", 5)


def test_kernels_before_4_16_have_no_table_handle_and_no_object_handle() -> None:
    tables = message(0, IP, text(1, "t"), u32(2, 0), u32(3, 0))
    objects = message(18, IP, text(1, "t"), text(2, "n"), u32(3, 1), attribute(4, u64(2, 1) + u64(1, 9)))
    (found,) = nftables.read_tables(answers(tables=tables, objects=objects), RuleDecoder())
    assert found.identity == (IP, "t", None)
    assert found.counters[0].packets == 1


def test_no_tables_at_all() -> None:
    assert nftables.read_tables(answers(tables=b""), RuleDecoder()) == []


class Settling(FakeMachine):
    """Becomes one generation of the ruleset at the second reading."""

    def ask(self, query: Query) -> bytes:
        self.asked.append(query.key)
        if query == nftables.TABLES:
            return table(IP, "t", generation=2)
        return message(3, 99, generation=1 if len(self.asked) <= 4 else 2)


def test_a_ruleset_that_changes_while_it_is_read_is_read_again() -> None:
    chains = message(3, 99, generation=2)
    mixed = answers(tables=table(IP, "t", generation=1), chains=chains)
    with pytest.raises(UnavailableError) as refused:
        nftables.read_tables(mixed, RuleDecoder())
    assert refused.value.reason == "busy"
    assert len(mixed.asked) == 12
    settling = Settling()
    assert [found.name for found in nftables.read_tables(settling, RuleDecoder())] == ["t"]
    assert len(settling.asked) == 8
