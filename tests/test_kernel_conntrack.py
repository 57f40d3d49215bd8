import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import conntrack, netlink
from natobs.kernel.machine import Machine
from tests.fakes import FakeMachine

HEAD = struct.pack(">BBH", 0, 0, 0)


def u32(kind: int, value: int) -> bytes:
    return netlink.attribute(kind, value.to_bytes(4, "big"))


def stats(*attributes: bytes) -> bytes:
    return netlink.request(conntrack.STATS.type, 0, 1, HEAD + b"".join(attributes))


def stats_cpu(cpu: int, *attributes: bytes) -> bytes:
    head = struct.pack(">BBH", 0, 0, cpu)
    return netlink.request(conntrack.STATS_CPU.type, netlink.NLM_F_MULTI, 1, head + b"".join(attributes))


PROCFS_5_15 = b"""entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop \
icmp_error  expect_new expect_create expect_delete search_restart
0000000a  00000001 00000002 00000000 00000003 00000000 00000000 00000004 00000005 00000006 00000007 00000008 \
00000009  00000000 00000000 00000000 0000000b
0000000a  00000000 00000000 00000000 00000001 00000000 00000000 00000000 00000000 00000000 00000000 00000000 \
00000000  00000000 00000000 00000000 ffffffff
"""
PROCFS_4_4 = b"""entries  searched found new invalid ignore delete delete_list insert insert_failed drop early_drop \
icmp_error  expect_new expect_create expect_delete search_restart
00000002  00000010 00000011 00000012 00000013 00000000 00000000 00000000 00000005 00000006 00000007 00000008 \
00000009  00000000 00000000 00000000 00000001
"""


def test_usage_with_and_without_a_limit() -> None:
    assert conntrack.parse_stats(stats(u32(1, 42), u32(2, 4096))) == conntrack.Usage(42, 4096)
    assert conntrack.parse_stats(stats(u32(1, 42))) == conntrack.Usage(42, None)
    with pytest.raises(FormatError):
        conntrack.parse_stats(stats(u32(2, 4096)))


def test_all_ten_fields_of_each_cpu() -> None:
    numbers = dict(zip((2, 4, 8, 9, 10, 11, 12, 13, 14, 15), range(100, 110), strict=True))
    data = stats_cpu(0, *(u32(kind, value) for kind, value in numbers.items())) + stats_cpu(3, u32(10, 5), u32(77, 1))
    cpus = conntrack.parse_stats_cpu(data)
    assert cpus == {0: dict(zip(conntrack.FIELDS, range(100, 110), strict=True)), 3: {"drop": 5}}


def test_procfs_of_two_kernel_eras() -> None:
    new = conntrack.parse_stat_file(PROCFS_5_15)
    assert new[0] == {
        "found": 2,
        "invalid": 3,
        "insert": 5,
        "insert_failed": 6,
        "drop": 7,
        "early_drop": 8,
        "error": 9,
        "search_restart": 11,
        "clash_resolve": 1,
        "chain_toolong": 4,
    }
    assert new[1]["search_restart"] == 0xFFFFFFFF
    old = conntrack.parse_stat_file(PROCFS_4_4)
    assert set(conntrack.FIELDS) - set(old[0]) == {"clash_resolve", "chain_toolong"}


@pytest.mark.parametrize("data", [b"", b"\n", b"entries drop\n1", b"entries drop\n1 zz", b"drop", b"a b\n1 2", b"\xff"])
def test_another_file_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        conntrack.parse_stat_file(data)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_hostile_input_is_a_format_error_or_nothing_else(junk: bytes, cut: int) -> None:
    valid = stats_cpu(1, u32(10, 5)) + stats(u32(1, 42))
    for data in (junk, valid[:cut] + junk, valid[: cut // 2] + junk + valid[cut:]):
        for parser in (conntrack.parse_stats, conntrack.parse_stats_cpu, conntrack.parse_stat_file):
            try:
                parser(data)
            except FormatError:
                continue


def test_procfs_answers_where_netlink_is_refused() -> None:
    machine = FakeMachine(
        {
            conntrack.STATS.key: UnavailableError("permission", "needs CAP_NET_ADMIN"),
            conntrack.STATS_CPU.key: UnavailableError("permission", "needs CAP_NET_ADMIN"),
            conntrack.COUNT_FILE.key: b"7\n",
            conntrack.MAX_FILE.key: b"4096\n",
            conntrack.STAT_FILE.key: PROCFS_5_15,
        }
    )
    assert conntrack.read_usage(machine) == conntrack.Usage(7, 4096)
    assert conntrack.read_counters(machine).source == "procfs"


def test_a_limit_that_ctnetlink_does_not_tell_comes_from_procfs_or_is_unknown() -> None:
    machine = FakeMachine({conntrack.STATS.key: stats(u32(1, 42)), conntrack.MAX_FILE.key: b"512\n"})
    assert conntrack.read_usage(machine) == conntrack.Usage(42, 512)
    del machine.answers[conntrack.MAX_FILE.key]
    assert conntrack.read_usage(machine) == conntrack.Usage(42, None)


@pytest.mark.parametrize(
    ("read", "files"),
    [
        (conntrack.read_counters, "proc/net/stat/nf_conntrack"),
        (conntrack.read_usage, "proc/sys/net/netfilter/nf_conntrack_count"),
    ],
)
def test_when_neither_source_answers_both_are_named(read: Callable[[Machine], object], files: str) -> None:
    refusal = UnavailableError("permission", "needs CAP_NET_ADMIN")
    machine = FakeMachine({conntrack.STATS.key: refusal, conntrack.STATS_CPU.key: refusal})
    with pytest.raises(UnavailableError, match=f"CAP_NET_ADMIN; {files}") as caught:
        read(machine)
    assert caught.value.reason == "permission"
