import subprocess
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import snmp
from natobs.kernel.live import LiveMachine
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged

SNMP_4_9 = b"""Ip: Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams OutNoRoutes FragFails
Ip: 1 64 4558 1 2 3000000000000 4 5
Icmp: InMsgs InErrors InCsumErrors InDestUnreachs OutDestUnreachs
Icmp: 9 8 7 6 5
IcmpMsg: InType3 OutType3
IcmpMsg: 6 5
Tcp: RtoAlgorithm RtoMin RtoMax MaxConn RetransSegs OutRsts
Tcp: 1 200 120000 -1 11 12
Udp: InDatagrams NoPorts InErrors
Udp: 77 1 2
"""
SNMP_6_18 = SNMP_4_9.replace(
    b"InCsumErrors InDest", b"InCsumErrors OutRateLimitGlobal OutRateLimitHost InDest"
).replace(b"9 8 7 6 5", b"9 8 7 21 22 6 5")
LINES = SNMP_6_18.splitlines(keepends=True)
NETSTAT = b"""TcpExt: SyncookiesSent ListenOverflows IPReversePathFilter
TcpExt: 0 3 18446744073709551615
IpExt: InNoRoutes InTruncatedPkts
IpExt: 17 0
MPTcpExt:
MPTcpExt:
"""
SNMP6 = b"""Ip6InReceives                   \t1
Ip6InNoRoutes                   \t42
Icmp6InType1                    \t1
Udp6NoPorts                     \t3
"""


def test_fields_are_called_as_nstat_calls_them() -> None:
    fields = snmp.parse_table(SNMP_4_9, "snmp")
    assert fields["IpForwDatagrams"] == 3000000000000
    assert fields["TcpMaxConn"] == -1
    assert fields["IcmpMsgInType3"] == 6
    assert len(fields) == 8 + 5 + 2 + 6 + 3
    assert "IcmpOutRateLimitGlobal" not in fields


def test_fields_of_newer_kernels_do_not_move_the_others() -> None:
    old, new = snmp.parse_table(SNMP_4_9, "snmp"), snmp.parse_table(SNMP_6_18, "snmp")
    assert new == old | {"IcmpOutRateLimitGlobal": 21, "IcmpOutRateLimitHost": 22}


def test_extensions_and_a_protocol_without_fields() -> None:
    fields = snmp.parse_table(NETSTAT, "netstat")
    assert fields["IpExtInNoRoutes"] == 17
    assert fields["TcpExtIPReversePathFilter"] == 2**64 - 1
    assert len(fields) == 5


def test_ipv6_is_one_field_a_line() -> None:
    assert snmp.parse_snmp6(SNMP6) == {"Ip6InReceives": 1, "Ip6InNoRoutes": 42, "Icmp6InType1": 1, "Udp6NoPorts": 3}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"Ip Forwarding\n",
        b"Ip: Forwarding\n",
        b"Ip: Forwarding\nIp: 1 2\n",
        b"Ip: Forwarding\nIp: x\n",
        b"Ip: Forwarding\nIp: 18446744073709551616\n",
        b"Ip: Forwarding\nIp: " + b"9" * 5000 + b"\n",
        SNMP_4_9[:-40],
    ],
)
def test_what_is_no_table(text: bytes) -> None:
    with pytest.raises(FormatError):
        snmp.parse_table(text, "snmp")


@pytest.mark.parametrize("text", [b"", b"Ip6InReceives\n", b"Ip6InReceives 1 Ip6X\n", b"Ip6InReceives x\n"])
def test_what_is_no_list(text: bytes) -> None:
    with pytest.raises(FormatError):
        snmp.parse_snmp6(text)


@given(st.permutations([b"".join(pair) for pair in zip(LINES[::2], LINES[1::2], strict=True)]))
def test_the_order_of_protocols_does_not_matter(pairs: list[bytes]) -> None:
    assert snmp.parse_table(b"".join(pairs), "snmp") == snmp.parse_table(SNMP_6_18, "snmp")


@given(st.binary(max_size=80) | damaged(SNMP_4_9, NETSTAT, SNMP6))
def test_damaged_files_raise_only_format_errors(data: bytes) -> None:
    for found in attempt(partial(snmp.parse_table, origin="file"), data), attempt(snmp.parse_snmp6, data):
        assert found is None or all(abs(value) < 1 << 64 for value in found.values())


def test_this_machine_agrees_with_nstat() -> None:
    machine = LiveMachine()
    before = snmp.read_snmp(machine) | snmp.read_netstat(machine) | snmp.read_snmp6(machine)
    lines = subprocess.run(["nstat", "-asz"], capture_output=True, text=True, check=True).stdout.splitlines()
    after = snmp.read_snmp(machine) | snmp.read_netstat(machine) | snmp.read_snmp6(machine)
    compared = 0
    for name, value, *_rate in (line.split() for line in lines if not line.startswith("#")):
        if name in before:
            assert min(before[name], after[name]) <= int(value) <= max(before[name], after[name]), name
            compared += 1
    assert compared > 200


def test_only_what_is_wanted_is_looked_at() -> None:
    wanted = frozenset({"TcpRetransSegs", "IcmpMsgInType3", "Ip6InNoRoutes"})
    found = snmp.parse_table(SNMP_4_9.replace(b"4558", b"junk"), "snmp", wanted)
    assert found == {"TcpRetransSegs": 11, "IcmpMsgInType3": 6}
    assert snmp.parse_snmp6(SNMP6, wanted) == {"Ip6InNoRoutes": 42}
    assert snmp.parse_table(NETSTAT, "netstat", wanted) == {}


def test_each_file_is_read_by_its_own_function() -> None:
    machine = FakeMachine({snmp.SNMP_FILE.key: SNMP_4_9, snmp.NETSTAT_FILE.key: NETSTAT, snmp.SNMP6_FILE.key: SNMP6})
    assert snmp.read_snmp(machine)["TcpRetransSegs"] == 11
    assert snmp.read_netstat(machine)["TcpExtListenOverflows"] == 3
    assert snmp.read_snmp6(machine)["Udp6NoPorts"] == 3
