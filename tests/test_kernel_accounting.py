"""What the kernel says of the accounting table, decoded."""

from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given, settings

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import accounting, accounting_table, nft_intervals, nft_sets
from natobs.kernel.accounting import Destination, TableMark
from natobs.kernel.nft_intervals import Interval
from natobs.kernel.nft_rules import RuleDecoder
from natobs.kernel.nftables import CHAINS, OBJECTS, RULES, TABLES, read_tables
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged
from tests.nft_messages import INET, IP, attribute, message, named, table, text, u32, userdata

RECORDED = Path(__file__).parent / "kernel/accounting"
SAID = {path.name: path.read_bytes() for path in RECORDED.iterdir()}
MACHINE = FakeMachine({f"netlink/{name}": data for name, data in SAID.items()})
FIRST = str(ip_address(0))
MARKED = b"natobs accounting 0123456789abcdef\0"


def commented(comment: bytes, family: int = INET, name: str = "natobs", handle: int = 7) -> bytes:
    parts = attribute(6, bytes([0, len(comment)]) + comment)
    return message(0, family, text(1, name), u32(3, 1), attribute(4, handle.to_bytes(8, "big")), u32(2, 0), parts)


def test_the_table_of_a_real_nat() -> None:
    found = accounting.read_table(MACHINE)
    assert found is not None
    assert accounting_table.owns(accounting_table.FAMILY, accounting_table.NAME, found.comment)
    assert found.handle > 0


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (table(IP, "natobs"), None),
        (table(INET, "nat"), None),
        (table(INET, "natobs", handle=3), TableMark("", 3)),
        (table(IP, "natobs") + commented(MARKED), TableMark(MARKED[:-1].decode(), 7)),
        (commented(MARKED, name="natobs2"), None),
    ],
)
def test_which_table_it_is(data: bytes, expected: TableMark | None) -> None:
    assert accounting.parse_table(data) == expected


@pytest.mark.parametrize(
    ("family", "name", "comment", "ours"),
    [
        (1, "natobs", "natobs accounting 0123", True),
        (1, "natobs", "natobs", False),
        (1, "natobs", "", False),
        (2, "natobs", "natobs accounting 0123", False),
        (1, "nat", "natobs accounting 0123", False),
    ],
)
def test_whose_a_table_is(family: int, name: str, comment: str, ours: bool) -> None:  # noqa: FBT001 - a parameter
    assert accounting_table.owns(family, name, comment) == ours


def test_the_counters_of_a_real_nat() -> None:
    found = accounting.read_counters(MACHINE)
    assert len(found) == 31
    packets = {name: packets for name, (packets, _bytes) in found.items()}
    assert (packets["attempts_tcp"], packets["answered_tcp"], packets["refused_tcp"]) == (147, 119, 9)
    assert packets["offered_tcp"] == packets["tracked_tcp"] == packets["attempts_tcp"] + packets["repeated_tcp"]
    assert found["attempts_tcp"][1] > 40 * 147


def test_objects_of_other_tables_and_kinds_are_passed_over() -> None:
    ours = named(1, "attempts_tcp", INET, "natobs")
    others = named(1, "x", IP, "natobs") + named(1, "y", INET, "nat") + named(2, "quota", INET, "natobs")
    assert accounting.parse_counters(others + ours) == {"attempts_tcp": (2, 60)}


@pytest.mark.parametrize(
    "broken",
    [
        message(18, INET, text(1, "natobs"), text(2, "c")),
        message(18, INET, text(1, "natobs"), text(2, "c"), u32(3, 1), attribute(4, b"")),
        message(18, INET, text(1, "natobs"), text(2, "c"), u32(3, 1), attribute(4, u32(1, 1))),
    ],
)
def test_a_counter_without_values(broken: bytes) -> None:
    with pytest.raises(FormatError):
        accounting.parse_counters(broken)


def test_sizes_and_rules_of_a_real_nat() -> None:
    sizes = accounting.read_sizes(MACHINE)
    assert {name: size for name, size in sizes.items() if not name.startswith("__")} == {
        **dict.fromkeys(("attempts4", "attempts6", "answers4", "answers6"), 16_384),
        **dict.fromkeys(("hosts4", "hosts6"), 4096),
    }
    assert accounting.count_rules(MACHINE) > 60


def test_elements_of_both_ip_versions_come_together() -> None:
    answers = {f"netlink/{name}": data for name, data in SAID.items()}
    answers["netlink/nft-set-natobs-answers6"] = b""
    machine = FakeMachine(answers)
    hosts = {accounting.host_of(key): packets for key, _octets, packets in accounting.read_elements(machine, "hosts")}
    assert hosts == {"10.0.2.11": 73, "10.0.1.11": 112, "fd00:a:2::11": 79, "fd00:a:1::11": 119}
    attempts = {accounting.destination_of(k): n for k, _octets, n in accounting.read_elements(machine, "attempts")}
    assert len(attempts) == 20
    assert attempts[Destination("198.51.100.1", 17, 7)] == 65
    assert attempts[Destination("2001:db8:51::250", 6, 81)] == 3
    assert sum(attempts.values()) == 147 + 193
    assert accounting.read_elements(machine, "answers")


def test_without_the_table_nothing_is_made_up() -> None:
    with pytest.raises(UnavailableError):
        accounting.read_counters(FakeMachine())
    with pytest.raises(UnavailableError):
        accounting.read_elements(FakeMachine(), "hosts")


@pytest.mark.parametrize("length", [0, 4, 11, 13, 16, 23, 25])
def test_a_destination_of_another_length(length: int) -> None:
    with pytest.raises(FormatError, match=f"a destination of {length} bytes"):
        accounting.destination_of(bytes(length))


def test_ranges_of_a_real_nat() -> None:
    found = [str(one) for one in nft_intervals.parse(SAID["nft-set-natobs-quarantine4"])]
    assert found == [
        '10.0.1.7 comment "ticket 8: slow"',
        "10.9.0.0-10.9.255.255",
        "255.255.255.0-255.255.255.255",
    ]
    assert [str(one) for one in nft_intervals.parse(SAID["nft-set-natobs-quarantine6"])] == ["fd00:a:1::7-fd00:a:1::9"]


def edge(address: str, *, end: bool = False, comment: bytes = b"") -> bytes:
    flags = u32(3, 1) if end else b""
    more = attribute(6, userdata((0, comment))[4:]) if comment else b""
    return attribute(1, attribute(1, attribute(1, ip_address(address).packed)) + flags + more)


def ranges(*edges: bytes) -> bytes:
    return message(12, INET, text(1, "natobs"), text(2, "q"), attribute(3, b"".join(edges)))


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ([], []),
        ([edge(FIRST, end=True)], []),
        ([edge(FIRST)], ["0.0.0.0-255.255.255.255"]),
        ([edge("10.0.0.2", end=True), edge("10.0.0.1"), edge(FIRST, end=True)], ["10.0.0.1"]),
        ([edge("10.0.0.1"), edge("10.0.0.2", end=True), edge("10.0.0.2")], ["10.0.0.1", "10.0.0.2-255.255.255.255"]),
        ([edge("::1"), edge("::2", end=True)], ["::1"]),
        ([edge("10.0.0.1", comment=b'a"b\0'), edge("10.0.0.2", end=True)], ["10.0.0.1"]),
        ([edge("10.0.0.1", comment=b"a\nb\0"), edge("10.0.0.2", end=True)], ["10.0.0.1"]),
    ],
)
def test_ranges(edges: list[bytes], expected: list[str]) -> None:
    assert [str(one) for one in nft_intervals.parse(ranges(*edges))] == expected
    assert [str(one) for one in nft_intervals.parse(ranges(*edges[::-1]))] == expected


@pytest.mark.parametrize(
    "broken", [ranges(attribute(1, b"")), ranges(edge("::1"), edge("10.0.0.1")), ranges(attribute(1, u32(1, 1)))]
)
def test_ranges_that_are_none(broken: bytes) -> None:
    with pytest.raises(FormatError):
        nft_intervals.parse(broken)


PARSERS: dict[str, Callable[[bytes], object]] = {
    "nft-tables": accounting.parse_table,
    "nft-accounting": accounting.parse_counters,
    "nft-accounting-sets": accounting.parse_sizes,
    "nft-set-natobs-quarantine4": nft_intervals.parse,
    "nft-set-natobs-quarantine6": nft_intervals.parse,
    "nft-set-natobs-attempts4": lambda data: [accounting.destination_of(key) for key, _b, _p in nft_sets.parse(data)],
}


@pytest.mark.parametrize("name", PARSERS)
def test_damaged_answers_raise_one_error(name: str) -> None:
    @given(damaged(SAID[name]))
    @settings(max_examples=60, deadline=None)
    def check(data: bytes) -> None:
        attempt(PARSERS[name], data)

    check()
    for end in range(0, len(SAID[name]), 3):
        attempt(PARSERS[name], SAID[name][:end])


def test_ranges_name_their_addresses() -> None:
    one = Interval(ip_address("10.0.0.1"), ip_address("10.0.0.1"), "why")
    assert str(one) == '10.0.0.1 comment "why"'


def test_the_table_is_no_firewall() -> None:
    machine = FakeMachine(
        {
            TABLES.key: commented(MARKED) + table(INET, "filter", handle=9),
            CHAINS.key: b"",
            RULES.key: b"",
            OBJECTS.key: named(1, "attempts_tcp", INET, "natobs") + named(1, "mine", INET, "filter"),
        }
    )
    assert [(found.name, len(found.counters)) for found in read_tables(machine, RuleDecoder())] == [("filter", 1)]
    machine.answers[TABLES.key] = table(INET, "natobs") + table(INET, "filter", handle=9)
    assert {found.name for found in read_tables(machine, RuleDecoder())} == {"natobs", "filter"}
