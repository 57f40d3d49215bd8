import errno
import struct
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import live_xtables, xtables
from natobs.kernel.firewall import Policy, Table
from natobs.kernel.machine import Xtables
from natobs.kernel.xtables import TableDecoder
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged

RECORDED = Path(__file__).parent / "kernel/firewall/xtables"
FILTER = (RECORDED / "ip/filter").read_bytes()
FILTER6 = (RECORDED / "ip6/filter").read_bytes()
ACCEPT, DROP, RETURN = -2, -1, -5
Rules = list[tuple[str, int, str, str, int]]


def extension(name: str, payload: bytes) -> bytes:
    payload += bytes(-len(payload) % 8)
    return struct.pack("=H29sB", 32 + len(payload), name.encode(), 0) + payload


def comment(text: str) -> bytes:
    return extension("comment", text.encode().ljust(256, b"\0"))


def goes(verdict: int) -> bytes:
    return extension("", struct.pack("=i", verdict))


def entry(target: bytes, matches: bytes = b"", packets: int = 0, source: int = 0, *, ipv6: bool = False) -> bytes:
    match = struct.pack("=I", source).ljust(136 if ipv6 else 84, b"\0")
    header = 168 if ipv6 else 112
    sizes = struct.pack("=HH", header + len(matches), header + len(matches) + len(target))
    head = match + bytes(4) + sizes + struct.pack("=I", 7) + bytes(4 if ipv6 else 0)
    return head + struct.pack("=QQ", packets, packets * 60) + matches + target


def error(name: str) -> bytes:
    return entry(extension("ERROR", name.encode().ljust(30, b"\0")))


def answer(entries: list[bytes], starts: dict[int, int], feet: dict[int, int], name: bytes = b"filter") -> bytes:
    """A table whose built-in chain of a hook starts and ends at the given indices of entries."""
    offsets = [sum(map(len, entries[:index])) for index in range(len(entries) + 1)]
    hooks = [offsets[starts[hook]] if hook in starts else 0 for hook in range(5)]
    ends = [offsets[feet[hook]] if hook in feet else 0 for hook in range(5)]
    mask = sum(1 << hook for hook in starts)
    info = struct.pack("=32sI5I5III", name, mask, *hooks, *ends, len(entries), offsets[-1])
    return info + struct.pack("=32sI4x", name, offsets[-1]) + b"".join(entries)


def small(*rules: bytes, user: tuple[bytes, ...] = (), policy: int = DROP) -> bytes:
    entries = [*rules, entry(goes(policy), packets=99)]
    entries += [error("mine"), *user, entry(goes(RETURN), packets=1), error("ERROR")]
    return answer(entries, {1: 0}, {1: len(rules)})


def decode(data: bytes, *, ipv6: bool = False) -> Table:
    return TableDecoder().decode(data, "filter", ipv6=ipv6)


def rules_of(table: Table) -> Rules:
    return [
        (count.rule.chain, count.position, count.rule.comment, count.rule.verdict, count.packets or 0)
        for count in table.counts
    ]


def test_chains_rules_and_policies() -> None:
    table = decode(
        small(
            entry(goes(ACCEPT), comment("let in"), packets=5),
            entry(extension("REJECT", bytes(4)), packets=6),
            user=(entry(goes(DROP), packets=7),),
        )
    )
    assert rules_of(table) == [("INPUT", 1, "let in", "", 5), ("INPUT", 2, "", "reject", 6), ("mine", 1, "", "drop", 7)]
    assert [count.denied for count in table.counts] == [None, 6, 7]
    assert [count.bytes for count in table.counts] == [300, 360, 420]
    assert table.policies == [Policy("INPUT", True, 99, 99 * 60)]
    assert (table.backend, table.family, table.name) == ("iptables-legacy", "ip", "filter")


def test_a_users_chain_may_be_empty_or_be_called_like_a_built_in_one_of_another_table() -> None:
    entries = [entry(goes(ACCEPT)), error("PREROUTING"), entry(goes(DROP)), entry(goes(RETURN)), error("ERROR")]
    table = decode(answer(entries, {1: 0}, {1: 0}))
    assert rules_of(table) == [("PREROUTING", 1, "", "drop", 0)]
    assert rules_of(decode(small())) == []


@pytest.mark.parametrize("version", ["ip", "ip6"])
def test_the_recorded_tables_have_what_iptables_save_printed(version: Literal["ip", "ip6"]) -> None:
    table = decode(FILTER if version == "ip" else FILTER6, ipv6=version == "ip6")
    said = (RECORDED.parent / f"said/{version}tables-legacy.txt").read_text().splitlines()
    filters = said[said.index("*filter") :]
    expected = [line.split()[2] for line in filters if " -A " in line]
    assert [count.rule.chain for count in table.counts] == expected
    printed = [f"[{count.packets}:{count.bytes}]" for count in table.counts]
    assert printed == [line.split()[0] for line in filters if " -A " in line]
    assert [f"[{policy.packets}:{policy.bytes}]" for policy in table.policies] == [
        line.split()[2] for line in filters if line.startswith(":") and " - " not in line
    ]


def test_a_rule_keeps_its_identity_when_others_come_and_chains_move() -> None:
    def table(*first: bytes) -> Table:
        jump = sum(map(len, first)) + len(entry(goes(0))) + len(entry(goes(DROP))) + len(error("mine"))
        return decode(small(*first, entry(goes(jump), packets=3), user=(entry(goes(DROP)),)))

    before = {count.rule.identity for count in table().counts}
    after = {count.rule.identity for count in table(entry(goes(ACCEPT), source=1)).counts}
    assert len(before) == 2
    assert len(after) == 3
    assert before < after


def test_alike_rules_are_told_apart_by_their_order() -> None:
    alike = decode(small(*[entry(goes(ACCEPT), packets=packets) for packets in (1, 2, 3)]))
    assert len({count.rule.identity for count in alike.counts}) == 3


def test_a_decoder_that_remembers_sees_new_counters_and_new_rules() -> None:
    decoder = TableDecoder()
    for data in (
        small(entry(goes(ACCEPT), packets=1)),
        small(entry(goes(ACCEPT), packets=2)),
        small(entry(goes(DROP), packets=2)),
        small(entry(goes(ACCEPT), comment("new"), packets=2)),
        small(entry(goes(ACCEPT), packets=1)),
    ):
        assert decoder.decode(data, "filter", ipv6=False) == decode(data)


@given(damaged(FILTER, small(entry(goes(ACCEPT), comment("x")))))
def test_damaged_tables_are_refused_or_read(data: bytes) -> None:
    attempt(decode, data)
    decoder = TableDecoder()
    decoder.decode(FILTER, "filter", ipv6=False)
    assert attempt(lambda it: decoder.decode(it, "filter", ipv6=False), data) == attempt(decode, data)


@given(damaged(FILTER6))
def test_damaged_ip6_tables_are_refused_or_read(data: bytes) -> None:
    attempt(lambda it: decode(it, ipv6=True), data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        FILTER[:100],
        FILTER[:-1],
        answer([entry(goes(ACCEPT)) + b"1234"], {1: 0}, {1: 0}),
        answer([bytes(112)], {1: 0}, {1: 0}),
        answer([entry(goes(ACCEPT), struct.pack("=H29sBq", 8, b"", 0, 0)), entry(goes(ACCEPT))], {1: 0}, {1: 1}),
    ],
)
def test_what_is_no_table_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode(data)


def test_only_tables_that_exist_are_asked_for() -> None:
    machine = FakeMachine({xtables.NAMES[False].key: b"filter\n", Xtables(False, "filter").key: FILTER})
    assert [table.name for table in xtables.read_tables(machine, TableDecoder(), ipv6=False)] == ["filter"]
    assert machine.asked == ["proc/net/ip_tables_names", "xtables/ip/filter"]
    assert xtables.read_tables(FakeMachine({xtables.NAMES[True].key: b""}), TableDecoder(), ipv6=True) == []


@pytest.mark.parametrize("names", [b"../../etc\n", b"filter\x00\n", b"a b\n", b"x" * 32, b"\xff\n"])
def test_a_name_that_could_lead_astray_is_refused(names: bytes) -> None:
    with pytest.raises(FormatError):
        xtables.parse_names(names)


@pytest.mark.parametrize(
    ("refusals", "reason"),
    [
        ([errno.EAGAIN] * 10, "busy"),
        ([0, errno.EAGAIN, 0, errno.EAGAIN, 0, 0], ""),
        ([errno.EPERM], "permission"),
        ([errno.ENOENT], "absent"),
        ([errno.ENOPROTOOPT], "unsupported"),
    ],
)
def test_refusals_of_the_kernel(monkeypatch: pytest.MonkeyPatch, refusals: list[int], reason: str) -> None:
    def ask(_socket: object, _level: int, option: int, content: bytes) -> bytes:
        code = refusals.pop(0)
        if option == 64 and code == errno.EAGAIN:
            code = 0
        if code:
            raise OSError(code, "refused")
        return content

    monkeypatch.setattr(live_xtables, "_ask", ask)
    if not reason:
        assert len(live_xtables.ask_xtables(Xtables(True, "filter"))) == 84 + 40
        return
    with pytest.raises(UnavailableError) as refused:
        live_xtables.ask_xtables(Xtables(False, "filter"))
    assert refused.value.reason == reason
