"""The vectorised decoder against a slow, obvious one, over entries of every make."""

import ipaddress
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel import flow_shape
from natobs.kernel.flow_decode import _MOST_SHAPES, Decoder, Flows
from natobs.kernel.flow_frames import frame
from tests import flow_messages as make
from tests import flow_oracle as oracle
from tests.mutate import damaged

ADDRESSES = ("src", "dst", "reply_src", "reply_dst")


def plain(flows: Flows) -> list[oracle.Flow]:
    """Records as the oracle would say them."""
    found = []
    for record in flows:
        flow = oracle.Flow(int(record["family"]), {"proto": int(record["proto"])})
        for name in ADDRESSES:
            address = ipaddress.IPv6Address(int(record[f"{name}_hi"]) << 64 | int(record[f"{name}_lo"]))
            flow.values[name] = str(address.ipv4_mapped if flow.family == 2 else address)
        for name, bit in flow_shape.HAS.items():
            if record["has"] & bit:
                flow.values[name] = int(record[name])
            else:
                assert record[name] == 0
        found.append(flow)
    return found


def in_order(flows: list[oracle.Flow]) -> list[str]:
    return sorted(f"{flow.family} {sorted(flow.values.items())}" for flow in flows)


def expected(data: bytes) -> tuple[list[oracle.Flow], int]:
    flows, bad = [], 0
    for message in oracle.messages(data):
        try:
            flows.append(oracle.decode(message))
        except oracle.BadMessageError:
            bad += 1
    return flows, bad


@given(make.dumps())
def test_every_field_is_as_the_slow_decoder_says(data: bytes) -> None:
    decoder = Decoder()
    flows = plain(decoder.decode(frame(data)))
    slow, bad = expected(data)
    assert decoder.malformed == bad == 0
    assert in_order(flows) == in_order(slow)


@given(st.lists(make.dumps(6), min_size=2, max_size=5))
def test_what_is_remembered_from_block_to_block_changes_nothing(blocks: list[bytes]) -> None:
    decoder = Decoder()
    for data in [*blocks, *blocks]:
        assert in_order(plain(decoder.decode(frame(data)))) == in_order(expected(data)[0])


@given(st.data())
def test_a_damaged_entry_is_left_out_and_its_neighbours_are_not(data: st.DataObject) -> None:
    good = data.draw(st.lists(make.entries(), min_size=1, max_size=6))
    body = data.draw(damaged(*(one[16:] for one in good)))
    block = [*good, make.message(body)]
    decoder = Decoder()
    dump = b"".join(data.draw(st.permutations(block)))
    flows = plain(decoder.decode(frame(dump)))
    slow, bad = expected(dump)
    assert decoder.malformed == bad
    assert in_order(flows) == in_order(slow)


@given(damaged(*(make.entry(("10.0.0.1", 1), ("192.0.2.1", 2)) * 3 + make.done() for _ in range(1))))
def test_a_damaged_block_raises_nothing(data: bytes) -> None:
    frames = frame(data)
    flows = Decoder().decode(frames)
    assert len(flows) <= frames.messages <= len(data) // 16


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([], "no tuples"),
        ([1], "no reply"),
        ([1, 2, make.attribute(3, bytes(3))], "status of three bytes"),
        ([1, 2, make.attribute(3, bytes(8))], "status of eight bytes"),
        ([1, 2, struct.pack("=HH", 3, 99)], "attribute shorter than its header"),
        ([1, 2, struct.pack("=HH", 50, 99)], "attribute longer than the message"),
        ([1, 2, make.nest(4, struct.pack("=HH", 50, 1))], "nested attribute longer than its nest"),
        ([1, make.one_way(2, "fd00::1", "fd00::2", 6, (1, 2))], "two families"),
    ],
)
def test_entries_that_contradict_themselves_are_counted_and_left_out(parts: list[int | bytes], why: str) -> None:
    tuples = {number: make.one_way(number, "10.0.0.1", "192.0.2.1", 6, (1, 2)) for number in (1, 2)}
    body = b"".join(part if isinstance(part, bytes) else tuples[part] for part in parts)
    decoder = Decoder()
    flows = decoder.decode(frame(make.message(bytes(4) + body) + make.entry(("10.0.0.1", 1), ("192.0.2.1", 2))))
    assert (len(flows), decoder.malformed) == (1, 1), why


def test_shapes_are_bounded() -> None:
    decoder = Decoder()
    many = [
        make.entry(("10.0.0.1", 1), ("192.0.2.1", 2), more=make.attribute(100 + number, bytes(size)))
        for number in range(40)
        for size in range(0, 80, 4)
    ]
    assert len(decoder.decode(frame(b"".join(many)))) == len(many) > _MOST_SHAPES
    assert sum(map(len, decoder._shapes.values())) <= _MOST_SHAPES
    assert decoder.malformed == 0


def test_a_table_of_one_kind_has_one_shape() -> None:
    decoder = Decoder()
    flows = decoder.decode(frame(b"".join(make.entry(("10.0.0.1", port), ("192.0.2.1", 2)) for port in range(5000))))
    assert sorted(flows["sport"].tolist()) == list(range(5000))
    assert list(map(len, decoder._shapes.values())) == [1]
    assert flows.dtype == flow_shape.RECORD
    assert flows["src_lo"].astype(np.uint64)[0] == 0xFFFF0A000001
