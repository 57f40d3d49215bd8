import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import netlink

ATTRIBUTES = st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=8)


def message(kind: int, body: bytes, sequence: int = 7) -> bytes:
    return netlink.request(kind, netlink.NLM_F_MULTI, sequence, body)


@given(ATTRIBUTES)
def test_what_is_built_is_found_again(attributes: list[tuple[int, bytes]]) -> None:
    body = b"HEAD" + b"".join(netlink.attribute(kind, payload) for kind, payload in attributes)
    [found] = netlink.messages(message(40, body), 40)
    assert [(kind, bytes(payload)) for kind, payload in netlink.attribute_list(found, 4)] == attributes
    assert {kind: bytes(payload) for kind, payload in netlink.attributes(found, 4).items()} == dict(attributes)


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_a_format_error(data: bytes) -> None:
    try:
        bodies = [body for _kind, _flags, _sequence, body in netlink.headers(data)]
        for body in bodies:
            netlink.attributes(body)
    except FormatError:
        return
    assert sum(16 + len(body) for body in bodies) <= len(data)


def test_types_that_are_not_wanted_are_passed_over() -> None:
    data = message(netlink.NLMSG_DONE, b"\0\0\0\0") + message(40, b"abcd") + message(41, b"efgh")
    assert [bytes(body) for body in netlink.messages(data, 40)] == [b"abcd"]


def test_flag_bits_of_an_attribute_are_no_part_of_its_type() -> None:
    nested = struct.pack("=HH", 8, 5 | 0x8000) + b"abcd"
    assert list(netlink.attributes(memoryview(nested))) == [5]


@pytest.mark.parametrize(
    "data",
    [b"\x10", message(40, b"abcd")[:-1], struct.pack("=IHHII", 8, 40, 0, 0, 0), struct.pack("=IHHII", 99, 40, 0, 0, 0)],
)
def test_a_message_that_does_not_fit_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        list(netlink.headers(data))


@pytest.mark.parametrize("data", [struct.pack("=HH", 3, 1), struct.pack("=HH", 9, 1) + b"abcd"])
def test_an_attribute_that_does_not_fit_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        netlink.attributes(memoryview(data))


def test_numbers_and_texts() -> None:
    assert netlink.number(memoryview(b"\0\0\1\2"), ">") == 258
    assert netlink.number(memoryview((77).to_bytes(8, sys.byteorder))) == 77
    assert netlink.text(memoryview(b"eth0\0junk")) == "eth0"
    assert netlink.text(memoryview(b"\xff\0")) == "�"
    with pytest.raises(FormatError):
        netlink.number(memoryview(b"abc"))


@given(ATTRIBUTES, st.sets(st.integers(0, 0x3FFF)), st.binary(max_size=9))
def test_picking_some_attributes_is_walking_all_of_them(
    attributes: list[tuple[int, bytes]], wanted: set[int], junk: bytes
) -> None:
    wanted |= {kind for kind, _payload in attributes[::2]}
    data = memoryview(b"HEAD" + b"".join(netlink.attribute(kind, payload) for kind, payload in attributes) + junk)
    try:
        every = netlink.attributes(data, 4)
    except FormatError:
        with pytest.raises(FormatError):
            netlink.pick(data, wanted, 4)
    else:
        assert netlink.pick(data, wanted, 4) == {kind: payload for kind, payload in every.items() if kind in wanted}
