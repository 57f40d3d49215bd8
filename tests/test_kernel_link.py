import itertools
import json
import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl import marshal  # type: ignore[import-untyped]  # pyroute2 has no types

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import link, netlink
from natobs.kernel.device import MOST_DEVICES
from natobs.kernel.live import LiveMachine
from tests.fakes import FakeMachine

NEWLINK = 16
NEWSTATS = 92
UP_RUNNING = 0x1 | 0x40
LOOPBACK = 0x8
ERAS = (23, 24, 25)
"""Fields of struct rtnl_link_stats64 in Linux 2.6.35, 4.6 and 5.19."""


def counters(count: int, start: int = 1, code: str = "Q") -> bytes:
    return struct.pack(f"={count}{code}", *range(start, start + count))


def attributes(**given: object) -> list[bytes]:
    kinds = {"name": 3, "mtu": 4, "stats": 7, "master": 10, "operstate": 16, "info": 18, "stats64": 23}
    kinds |= {"carrier": 33, "changes": 35, "bus": 56}
    payloads: list[bytes] = []
    for key, value in given.items():
        match value:
            case bytes():
                payload = value
            case str():
                payload = value.encode() + b"\0"
            case int():
                payload = struct.pack("=B" if key in ("operstate", "carrier") else "=I", value)
            case _:
                raise AssertionError(key)
        payloads.append(netlink.attribute(kinds[key], payload))
    return payloads


def message(index: int, flags: int, *parts: bytes) -> bytes:
    head = struct.pack("=BxHiII", 0, 1, index, flags, 0)
    return netlink.request(NEWLINK, netlink.NLM_F_MULTI, 1, head + b"".join(parts))


def device(
    index: int, name: str, kind: str = "", flags: int = UP_RUNNING, stats64: bytes | None = None, **more: object
) -> bytes:
    """One RTM_NEWLINK as the kernel writes it: unknown attributes among the known ones."""
    info = {"info": netlink.attribute(1, kind.encode() + b"\0")} if kind else {}
    parts = attributes(name=name, **more, **info, stats64=counters(25) if stats64 is None else stats64)
    return message(index, flags, netlink.attribute(61, bytes(4)), *parts, netlink.attribute(26, bytes(812)))


LO = device(1, "lo", flags=UP_RUNNING | LOOPBACK)


def test_a_network_card() -> None:
    [found] = link.parse_links(
        device(4, "eth0", mtu=1500, operstate=6, carrier=1, changes=2, bus="0000:00:05.0", master=9)
    )
    assert found == link.Link(
        index=4,
        name="eth0",
        kind="",
        bus="0000:00:05.0",
        flags=UP_RUNNING,
        operstate="up",
        mtu=1500,
        master=9,
        carrier=True,
        carrier_changes=2,
        traffic=link.Traffic(1, 2, 3, 4, 5, 6, 7, 8, 16),
    )
    assert found.hardware
    assert found.running
    assert not found.loopback


@pytest.mark.parametrize("fields", ERAS)
def test_counters_of_every_kernel_era(fields: int) -> None:
    [found] = link.parse_links(device(2, "eth0", stats64=counters(fields)))
    assert found.traffic == link.Traffic(1, 2, 3, 4, 5, 6, 7, 8, 16)
    [old] = link.parse_links(message(2, 0, *attributes(name="eth0", stats=counters(fields, code="I"))))
    assert old.traffic == found.traffic


def test_what_a_kernel_does_not_say_is_missing_and_not_zero() -> None:
    [found] = link.parse_links(message(2, 0, *attributes(name="eth0")))
    assert (found.traffic, found.carrier, found.carrier_changes, found.mtu) == (None, None, None, None)
    assert found.operstate == "unknown"
    assert not found.running


def test_wide_counters_win_over_narrow_ones_in_any_order() -> None:
    parts = attributes(name="eth0", stats=counters(24, 100, "I"), stats64=counters(24))
    for order in itertools.permutations(parts):
        [found] = link.parse_links(message(2, 0, *order))
        assert found.traffic is not None
        assert found.traffic.rx_packets == 1


@pytest.mark.parametrize(
    ("kind", "bus", "flags", "hardware"),
    [
        ("", "", UP_RUNNING, True),
        ("", "", UP_RUNNING | LOOPBACK, False),
        ("veth", "", UP_RUNNING, False),
        ("ipoib", "mlx5_0", UP_RUNNING, True),
    ],
)
def test_hardware_is_told_by_its_bus_or_by_having_no_kind(kind: str, bus: str, flags: int, hardware: bool) -> None:  # noqa: FBT001  a column of the table
    [found] = link.parse_links(device(2, "x", kind, flags, bus=bus))
    assert found.hardware is hardware


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../../etc", "a b", "a:b", "x" * 16])
def test_a_name_that_the_kernel_forbids_is_a_format_error(name: str) -> None:
    with pytest.raises(FormatError):
        link.parse_links(device(2, name))


def test_a_name_that_is_no_text_does_not_hide_the_others() -> None:
    odd = message(2, 0, netlink.attribute(3, b"\xff" * 15 + b"\0"))
    assert [found.name for found in link.parse_links(odd + device(3, "eth0"))] == [
        "\N{REPLACEMENT CHARACTER}" * 15,
        "eth0",
    ]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        netlink.request(netlink.NLMSG_DONE, 0, 1, bytes(4)),
        netlink.request(NEWLINK, 0, 1, bytes(15)),
        message(2, 0, *attributes(name="eth0", stats64=counters(15))),
        message(2, 0, *attributes(name="eth0", mtu=b"abc")),
    ],
)
def test_another_answer_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        link.parse_links(data)


def test_counters_alone_by_index() -> None:
    def stats(index: int, *parts: bytes) -> bytes:
        return netlink.request(NEWSTATS, 0, 1, struct.pack("=BxHII", 0, 0, index, 1) + b"".join(parts))

    data = stats(2, netlink.attribute(1, counters(25))) + stats(3, netlink.attribute(2, b"")) + stats(4)
    assert link.parse_counters(data, range(10)) == {2: link.Traffic(1, 2, 3, 4, 5, 6, 7, 8, 16)}
    assert link.parse_counters(data, ()) == {}
    for broken in (netlink.request(NEWSTATS, 0, 1, bytes(8)), stats(2, netlink.attribute(1, counters(15)))):
        with pytest.raises(FormatError):
            link.parse_counters(broken, {0, 2})


def test_too_many_devices_are_left_out_virtual_ones_first() -> None:
    data = LO
    data += b"".join(device(index, f"veth{index}", "veth", master=2 if index % 2 else 0) for index in range(10, 100))
    data += device(200, "eth1") + device(201, "eth0")
    chosen, left_out = link.foremost(link.parse_links(data))
    assert left_out == 92 - MOST_DEVICES
    assert [found.name for found in chosen[:3]] == ["eth1", "eth0", "veth10"]
    assert len(chosen) == MOST_DEVICES
    assert [found.master for found in chosen[2:]] == [0] * 45 + [2] * 17
    assert link.foremost(link.parse_links(LO)) == ([], 0)
    assert [found.name for found in link.foremost(link.parse_links(device(9, "v", "veth") + device(8, "e")))[0]] == [
        "v",
        "e",
    ]


VALID = device(2, "eth0", "veth", mtu=1500, operstate=6, carrier=1, changes=2) + LO
VALID_COUNTERS = netlink.request(NEWSTATS, 0, 1, struct.pack("=BxHII", 0, 0, 2, 1) + netlink.attribute(1, counters(25)))


@given(st.binary(max_size=120), st.integers(0, 1400), st.integers(0, 1400))
def test_hostile_input_is_a_format_error_or_nothing_else(junk: bytes, start: int, end: int) -> None:
    for valid in (VALID, VALID_COUNTERS):
        for data in (junk, valid[:start], valid[:start] + junk + valid[end:]):
            for parse in (link.parse_links, lambda data: link.parse_counters(data, range(1 << 16))):
                try:
                    parse(data)
                except FormatError:
                    continue


@given(
    st.permutations(attributes(name="eth0", mtu=9001, operstate=6, stats64=counters(25), bus="x")),
    st.binary(max_size=9),
)
def test_order_and_unknown_attributes_change_nothing(parts: list[bytes], unknown: bytes) -> None:
    [found] = link.parse_links(message(2, UP_RUNNING, *parts[:2], netlink.attribute(999, unknown), *parts[2:]))
    assert (found.name, found.mtu, found.operstate, found.bus) == ("eth0", 9001, "up", "x")
    assert found.traffic == link.Traffic(1, 2, 3, 4, 5, 6, 7, 8, 16)


def test_pyroute2_reads_the_same_in_the_same_bytes() -> None:
    machine = LiveMachine()
    data = machine.ask(link.LINKS)
    machine.close()
    oracle = {
        found["index"]: found for found in marshal.MarshalRtnl().parse(data) if found["header"]["type"] == NEWLINK
    }
    links = link.parse_links(data)
    assert len(links) == len(oracle) >= 1
    for found in links:
        other = oracle[found.index]
        stats = other.get_attr("IFLA_STATS64")
        info = other.get_attr("IFLA_LINKINFO")
        assert found.name == other.get_attr("IFLA_IFNAME")
        assert found.flags == other["flags"]
        assert found.mtu == other.get_attr("IFLA_MTU")
        assert found.operstate.upper() == other.get_attr("IFLA_OPERSTATE")
        assert found.carrier == bool(other.get_attr("IFLA_CARRIER"))
        assert found.carrier_changes == other.get_attr("IFLA_CARRIER_CHANGES")
        assert found.kind == ((info and info.get_attr("IFLA_INFO_KIND")) or "")
        assert found.traffic is not None
        for field in ("packets", "bytes", "errors", "dropped"):
            for way in ("rx", "tx"):
                assert getattr(found.traffic, f"{way}_{field}") == stats[f"{way}_{field}"]
        assert found.traffic.rx_missed == stats["rx_missed_errors"]


def test_ip_link_shows_the_same_devices() -> None:
    machine = LiveMachine()
    found = {one.index: one for one in link.read_links(machine)}
    narrow = link.read_counters(machine, found)
    machine.close()
    shown = json.loads(subprocess.run(["ip", "-j", "link"], check=True, capture_output=True).stdout)
    assert {one["ifindex"]: one["ifname"] for one in shown} == {index: one.name for index, one in found.items()}
    assert {one["ifindex"]: one["operstate"].lower() for one in shown} == {
        index: one.operstate for index, one in found.items()
    }
    assert narrow.keys() == found.keys()


def test_a_refusal_passes_through() -> None:
    for read in (link.read_links, lambda machine: link.read_counters(machine, ())):
        with pytest.raises(UnavailableError):
            read(FakeMachine())
