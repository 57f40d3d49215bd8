import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl import marshal  # type: ignore[import-untyped]  # pyroute2 has no types

from natobs.errors import FormatError
from natobs.kernel import netlink, qdisc
from natobs.kernel.live import LiveMachine

NEWQDISC = 36
ROOT = 0xFFFFFFFF
INGRESS = 0xFFFFFFF1


def stats2(drops: int, backlog: int) -> bytes:
    queue = struct.pack("=IIIII", 1, backlog, drops, 7, 8)
    basic = netlink.attribute(1, struct.pack("=QIxxxx", 1000, 10))
    return netlink.attribute(7, basic + netlink.attribute(3, queue))


def stats(drops: int, backlog: int) -> bytes:
    return netlink.attribute(3, struct.pack("=QIIIIIIIxxxx", 1000, 10, drops, 8, 0, 0, 1, backlog))


def message(device: int, handle: int, parent: int, *parts: bytes) -> bytes:
    head = struct.pack("=BxxxiIII", 0, device, handle, parent, 2)
    return netlink.request(NEWQDISC, netlink.NLM_F_MULTI, 1, head + b"".join(parts))


def entry(device: int, kind: str, handle: int, parent: int, counters: tuple[int, int] = (0, 0)) -> bytes:
    name = netlink.attribute(1, kind.encode() + b"\0")
    return message(device, handle, parent, name, netlink.attribute(2, bytes(24)), stats(0, 0), stats2(*counters))


def test_new_and_old_attributes() -> None:
    name = netlink.attribute(1, b"pfifo_fast\0")
    expected = qdisc.Qdisc(2, "pfifo_fast", 0x10000, ROOT, 5, 600)
    assert qdisc.parse_qdiscs(message(2, 0x10000, ROOT, name, stats(1, 1), stats2(5, 600))) == (expected,)
    assert qdisc.parse_qdiscs(message(2, 0x10000, ROOT, stats2(5, 600), stats(1, 1), name)) == (expected,)
    assert qdisc.parse_qdiscs(message(2, 0x10000, ROOT, name, stats(5, 600))) == (expected,)


def test_what_has_no_queue_or_no_counters_is_passed_over() -> None:
    data = entry(1, "noqueue", 0, ROOT) + message(2, 0, ROOT, netlink.attribute(1, b"x\0"))
    assert qdisc.parse_qdiscs(data) == ()
    assert qdisc.parse_qdiscs(b"") == ()


@pytest.mark.parametrize(
    "data",
    [
        message(1, 0, ROOT, stats2(1, 1)),
        message(1, 0, ROOT, netlink.attribute(1, b"x\0"), netlink.attribute(7, netlink.attribute(3, bytes(19)))),
        message(1, 0, ROOT, netlink.attribute(1, b"x\0"), netlink.attribute(3, bytes(35))),
        netlink.request(NEWQDISC, 0, 1, bytes(19)),
    ],
)
def test_another_answer_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        qdisc.parse_qdiscs(data)


@pytest.mark.parametrize(
    ("entries", "kinds"),
    [
        ([entry(1, "fq_codel", 0, ROOT)], ["fq_codel"]),
        # As Linux sets up a card with two queues: mq without a handle, children by minor number.
        ([entry(1, "mq", 0, ROOT), entry(1, "fq_codel", 0, 2), entry(1, "fq_codel", 0, 1)], ["fq_codel"] * 2),
        ([entry(1, "fq", 0x80010000, 0x10001), entry(1, "mqprio", 0x10000, ROOT)], ["fq"]),
        # A classful qdisc counts its children's drops itself.
        ([entry(1, "htb", 0x10000, ROOT), entry(1, "fq_codel", 0x100000, 0x10010)], ["htb"]),
        ([entry(1, "mq", 0, ROOT), entry(1, "htb", 0x20000, 1), entry(1, "pfifo", 0x30000, 0x20001)], ["htb"]),
        ([entry(1, "noqueue", 0, ROOT), entry(1, "clsact", 0xFFFF0000, INGRESS)], ["clsact"]),
        # The handle of another device's mq means nothing here.
        ([entry(2, "mq", 0x10000, ROOT), entry(1, "prio", 0x10000, ROOT), entry(1, "sfq", 0x20000, 0x10001)], ["prio"]),
    ],
)
def test_each_packet_is_counted_once(entries: list[bytes], kinds: list[str]) -> None:
    assert [found.kind for found in qdisc.topmost(qdisc.parse_qdiscs(b"".join(entries)))] == kinds


VALID = entry(1, "mq", 0, ROOT) + entry(1, "fq_codel", 0, 1, (3, 4))


@given(st.binary(max_size=120), st.integers(0, 400), st.integers(0, 400))
def test_hostile_input_is_a_format_error_or_nothing_else(junk: bytes, start: int, end: int) -> None:
    for data in (junk, VALID[:start], VALID[:start] + junk + VALID[end:]):
        try:
            qdisc.topmost(qdisc.parse_qdiscs(data))
        except FormatError:
            continue


def test_pyroute2_reads_the_same_in_the_same_bytes() -> None:
    machine = LiveMachine()
    live = machine.ask(qdisc.QDISCS)
    machine.close()
    data = VALID + entry(7, "tbf", 0x10000, ROOT, (11, 12)) + live
    oracle = [
        (
            found["index"],
            found.get_attr("TCA_KIND"),
            found["handle"],
            found["parent"],
            found.get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE")["drops"],
            found.get_attr("TCA_STATS2").get_attr("TCA_STATS_QUEUE")["backlog"],
        )
        for found in marshal.MarshalRtnl().parse(data)
        if found["header"]["type"] == NEWQDISC and found.get_attr("TCA_KIND") != "noqueue"
    ]
    found = [(one.device, one.kind, one.handle, one.parent, one.drops, one.backlog) for one in qdisc.parse_qdiscs(data)]
    assert found == oracle
    assert len(found) >= 3
