"""Where messages begin: orderly dumps, and everything else."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.kernel import netlink
from natobs.kernel.flow_frames import frame
from tests import flow_messages as make
from tests import flow_oracle as oracle

ENTRY = make.entry(("10.0.0.1", 1), ("192.0.2.1", 2))


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=20), st.sampled_from([0, 1, 7, 0x100, 0x20100]))
def test_messages_begin_where_the_one_before_ends(bodies: list[bytes], sequence: int) -> None:
    data = b"".join(make.message(body, sequence=sequence) for body in bodies)
    frames = frame(data)
    assert frames.lengths.tolist() == [16 + len(body) for body in bodies]
    assert [4 * start for start in frames.starts.tolist()] == [
        sum(map(len, oracle.messages(data)[:number])) + sum(-len(body) % 4 for body in bodies[:number])
        for number in range(len(bodies))
    ]
    assert (frames.malformed, frames.ending, frames.interrupted, frames.overrun) == (0, None, False, False)


@pytest.mark.parametrize("code", [0, 1, 105])
@pytest.mark.parametrize("kind", [netlink.NLMSG_DONE, netlink.NLMSG_ERROR])
def test_the_end_of_a_dump_and_its_errno(kind: int, code: int) -> None:
    frames = frame(ENTRY + make.message(struct.pack("=i", -code), kind))
    assert (len(frames.starts), frames.messages, frames.ending) == (1, 2, code)


def test_a_block_may_have_room_after_its_end() -> None:
    frames = frame(bytearray(ENTRY * 2 + b"\xff" * 100), 2 * len(ENTRY))
    assert (len(frames.starts), frames.malformed) == (2, 0)


def test_the_kernels_signs_of_trouble() -> None:
    assert frame(make.message(bytes(4), flags=netlink.NLM_F_DUMP_INTR)).interrupted
    assert frame(make.message(b"", netlink.NLMSG_OVERRUN)).overrun
    assert frame(make.message(bytes(4), 0x203)).malformed == 1


@pytest.mark.parametrize("length", [0, 15, len(ENTRY) + 1, 0xFFFFFFFF])
def test_a_broken_chain_loses_the_rest_and_says_so(length: int) -> None:
    frames = frame(ENTRY + struct.pack("=I", length) + ENTRY[4:])
    assert (len(frames.starts), frames.malformed) == (1, 1)


@pytest.mark.parametrize("size", [0, 3, 12])
def test_bytes_too_few_for_a_message(size: int) -> None:
    frames = frame(bytes(size))
    assert (frames.messages, frames.malformed) == (0, int(size > 0))
