from pathlib import Path

import pytest

from natobs.collectors.base import run
from natobs.collectors.firewall import FirewallCollector, clean
from natobs.errors import UnavailableError
from natobs.kernel import nftables, xtables
from natobs.kernel.machine import Xtables
from natobs.kernel.recorded import RecordedMachine
from tests import firewall_oracle as oracle
from tests.fakes import FakeMachine
from tests.nft_messages import ACCEPT, CMP, DROP, IP, base, counter, named, rule, table, userdata, verdict
from tests.test_kernel_xtables import FILTER

RECORDED = Path(__file__).parent / "kernel/firewall"
Values = dict[tuple[str, ...], float]


def nft(*, tables: bytes = b"", chains: bytes = b"", rules: bytes = b"", objects: bytes = b"") -> dict[str, bytes]:
    return {
        nftables.TABLES.key: tables,
        nftables.CHAINS.key: chains,
        nftables.RULES.key: rules,
        nftables.OBJECTS.key: objects,
    }


def values(collector: FirewallCollector, machine: FakeMachine | RecordedMachine) -> Values:
    samples = run(collector, machine).samples
    checked = [sample.metric.sample(sample.value, *sample.labels) for sample in samples]
    found = {(sample.metric.name.removeprefix("natobs_firewall_"), *sample.labels): sample.value for sample in checked}
    assert len(found) == len(samples)
    return found


def packets(collector: FirewallCollector, machine: FakeMachine) -> dict[str, float]:
    """Rules of one chain by id."""
    return {key[-1]: value for key, value in values(collector, machine).items() if key[0] == "rule_packets_total"}


def commented(comment: str, count: int, handle: int = 9, *more: bytes) -> bytes:
    return rule(CMP, counter(count), *more, handle=handle, more=userdata((0, comment.encode() + b"\0")))


def test_a_recorded_machine_with_all_three_backends_agrees_with_nft_and_iptables() -> None:
    outcome = run(FirewallCollector(1000), RecordedMachine(RECORDED))
    samples = [(sample.metric.name, sample.labels, sample.value) for sample in outcome.samples]
    assert outcome.gaps == ()
    expected, counters = oracle.listed(
        (RECORDED / "said/nft.json").read_text(), {("ip", "filter"), ("ip", "mangle"), ("ip6", "filter")}
    )
    policies: oracle.Counters = {}
    for backend in ("nft", "legacy"):
        for family in ("ip", "ip6"):
            text = (RECORDED / f"said/{family}tables-{backend}.txt").read_text()
            rules, chains = oracle.saved(text, f"iptables-{backend}", family)
            expected |= rules
            policies |= chains
    assert oracle.exported(samples, "rule") == expected
    assert oracle.exported(samples, "named") == counters
    read = oracle.exported(samples, "policy")
    assert read == {place: policies[place] for place in read}
    assert {place for place in policies if place[0] == "iptables-legacy"} <= read.keys()
    assert ("iptables-nft", "ip", "filter", "FORWARD") in read
    denies = {key[0]: value for name, key, value in samples if name == "natobs_firewall_denies_total"}
    assert denies["lab: deny"] == sum(value for place, (value, _) in expected.items() if place[-1] == "lab: deny")
    assert denies["denyit"] == expected["iptables-nft", "ip", "filter", "INPUT", "denyit"][0]
    assert denies["iptables-legacy ip filter/INPUT#4"] == 2
    assert denies["iptables-legacy ip filter/FORWARD policy"] == 0
    assert denies["nftables inet edge/input#5"] == expected["nftables", "inet", "edge", "input", "#5 drop"][0] > 0
    assert "nftables inet edge/input#4" not in denies, "its counter stands before the match"
    uncounted = {key[0]: value for name, key, value in samples if name == "natobs_firewall_uncounted_denies"}
    assert uncounted == {"policy": 2, "rule": 2}


def test_ids_are_comments_else_positions() -> None:
    rules = (
        rule(CMP, counter(1), handle=1)
        + commented("named", 2, 2)
        + rule(CMP, verdict(ACCEPT), handle=3)
        + rule(CMP, counter(4), verdict(DROP), handle=4)
        + commented("named", 8, 5)
    )
    found = packets(FirewallCollector(9), FakeMachine(nft(tables=table(IP, "t"), rules=rules)))
    assert found == {"#1": 1, "named": 10, "#4 drop": 4}


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("as it is", "as it is"),
        ("  two  spaces\tand a tab\n", "two spaces and a tab"),
        ("x" * 79 + " y", "x" * 79),
        ("x" * 300, "x" * 80),
        ("\x00\x07", ""),
        (" ", ""),
        ("ümläut", "ümläut"),
    ],
)
def test_comments_are_bounded_lines(comment: str, expected: str) -> None:
    assert clean(comment) == expected


def test_a_rule_inserted_above_does_not_move_the_series_of_a_commented_one() -> None:
    collector = FirewallCollector(9)
    tables = table(IP, "t")
    before = packets(collector, FakeMachine(nft(tables=tables, rules=commented("mine", 5, 1))))
    rules = rule(CMP, counter(0), handle=2) + commented("mine", 6, 1)
    assert before == {"mine": 5}
    assert packets(collector, FakeMachine(nft(tables=tables, rules=rules))) == {"#1": 0, "mine": 6}


def test_denies_stay_with_a_rule_that_moves() -> None:
    def denies(rules: bytes) -> dict[tuple[str, ...], float]:
        found = values(collector, FakeMachine(nft(tables=table(IP, "t"), rules=rules)))
        return {key[1:]: value for key, value in found.items() if key[0] == "denies_total"}

    collector = FirewallCollector(9)
    first = rule(CMP, counter(5), verdict(DROP), handle=1)
    assert denies(first + rule(CMP, counter(1000), verdict(DROP), handle=2)) == {
        ("nftables ip t/c#1",): 5,
        ("nftables ip t/c#2",): 1000,
    }
    assert denies(rule(CMP, counter(1001), verdict(DROP), handle=2)) == {("nftables ip t/c#1",): 6}


def test_a_table_that_was_made_anew_restarts_even_with_higher_counters() -> None:
    """Two rules of the same handle in two tables of the same name: the second one's count is all new."""
    collector = FirewallCollector(1)
    rules = commented("kept", 1, 1) + rule(CMP, counter(10), handle=2)
    other = ("rule_packets_total", "nftables", "ip", "t", "other", "other")
    assert values(collector, FakeMachine(nft(tables=table(IP, "t", handle=1), rules=rules)))[other] == 10
    rules = commented("kept", 1, 1) + rule(CMP, counter(30), handle=2)
    assert values(collector, FakeMachine(nft(tables=table(IP, "t", handle=2), rules=rules)))[other] == 40


def test_commented_and_denying_rules_come_first_and_the_rest_is_other() -> None:
    rules = b"".join(rule(CMP, counter(1), handle=n, place=(IP, "t", f"chain{n % 7}")) for n in range(50))
    rules += commented("a", 1, 91) + rule(CMP, counter(1), verdict(DROP), handle=92) + commented("b", 1, 93)
    found = packets(FirewallCollector(3), FakeMachine(nft(tables=table(IP, "t"), rules=rules)))
    assert found == {"a": 1, "#2 drop": 1, "b": 1, "other": 50}


def test_a_comment_and_a_chain_named_other_are_no_second_series() -> None:
    rules = rule(CMP, counter(3), place=(IP, "t", "other"), more=userdata((0, b"other\0")))
    found = packets(FirewallCollector(1), FakeMachine(nft(tables=table(IP, "t"), rules=rules + rule(counter(4)))))
    assert found == {"#1": 4, "other": 3}


def test_named_counters() -> None:
    found = values(FirewallCollector(9), FakeMachine(nft(tables=table(IP, "t"), objects=named(name="dns"))))
    assert found["named_packets_total", "ip", "t", "dns"] == 2
    assert found["named_bytes_total", "ip", "t", "dns"] == 60


def test_policies_that_drop_without_counting_are_told() -> None:
    chains = base((IP, "t", "in"), 1, 0, DROP) + base((IP, "t", "out"), 3, 0, ACCEPT)
    machine = FakeMachine(nft(tables=table(IP, "t"), chains=chains, rules=rule(CMP, verdict(DROP))))
    assert values(FirewallCollector(9), machine) == {("uncounted_denies", "policy"): 1, ("uncounted_denies", "rule"): 1}


def test_no_firewall_is_nothing_here() -> None:
    names = {xtables.NAMES[False].key: b"", xtables.NAMES[True].key: b""}
    for machine in (FakeMachine(nft() | names), FakeMachine(nft()), FakeMachine()):
        outcome = run(FirewallCollector(9), machine)
        assert outcome.samples == ()
        assert {gap.reason for gap in outcome.gaps} == {"absent"}
        assert outcome.success


def test_no_privilege_for_one_part_leaves_the_others() -> None:
    forbidden = UnavailableError("permission", "not for you")
    machine = FakeMachine({xtables.NAMES[False].key: b"filter\n", Xtables(False, "filter").key: FILTER})
    machine.answers[nftables.TABLES.key] = forbidden
    outcome = run(FirewallCollector(9), machine)
    assert [gap.reason for gap in outcome.gaps] == ["permission", "absent"]
    assert not outcome.success
    assert {sample.labels[0] for sample in outcome.samples if len(sample.labels) > 1} == {"iptables-legacy"}
    machine = FakeMachine(nft(tables=table(IP, "t"), rules=rule(counter(1))))
    machine.answers[xtables.NAMES[False].key] = forbidden
    outcome = run(FirewallCollector(9), machine)
    assert [gap.reason for gap in outcome.gaps] == ["permission", "absent"]
    assert outcome.samples


def test_a_part_that_fails_once_does_not_count_twice() -> None:
    collector = FirewallCollector(1)
    rules = rule(counter(5), handle=1) + rule(counter(7), handle=2)
    machine = FakeMachine(nft(tables=table(IP, "t"), rules=rules))
    before = packets(collector, machine)
    machine.answers[nftables.RULES.key] = UnavailableError("timeout", "no answer in time")
    assert packets(collector, machine) == {}
    machine.answers[nftables.RULES.key] = rules
    assert packets(collector, machine) == before == {"#1": 5, "other": 7}
