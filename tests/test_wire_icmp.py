import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.wire import icmp
from natobs.wire.icmp import Echo
from tests.mutate import attempt, damaged


def plain_checksum(data: bytes) -> int:
    """As RFC 1071 puts it, word by word."""
    padded = data + b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - int(total)


@given(st.binary(max_size=200))
def test_the_checksum_is_that_of_rfc_1071(data: bytes) -> None:
    assert icmp.checksum(data) == plain_checksum(data)


@pytest.mark.parametrize("data", [b"", bytes(8), b"\xff" * 8, b"\xff\xff\x00\x01\xff\xfe"])
def test_the_checksum_of_zeros_and_ones(data: bytes) -> None:
    assert icmp.checksum(data) == plain_checksum(data)


@given(st.sampled_from([4, 6]), st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=100))
def test_what_is_written_is_read(version: int, identifier: int, sequence: int, data: bytes) -> None:
    echo = Echo(identifier, sequence, data)
    assert icmp.decode_reply(version, icmp.encode_reply(version, echo)) == echo
    request = icmp.encode_request(version, echo)
    assert request[0] == {4: 8, 6: 128}[version]
    with pytest.raises(FormatError):
        icmp.decode_reply(version, request)


def test_damage_is_seen_unless_the_kernel_has_looked() -> None:
    right = icmp.encode_reply(4, Echo(1, 2, b"data"))
    reply = right[:-1] + bytes([right[-1] ^ 1])
    with pytest.raises(FormatError):
        icmp.decode_reply(4, reply)
    assert icmp.decode_reply(4, reply, checked=True).sequence == 2


def test_the_ipv4_header_of_a_raw_socket_is_taken_off() -> None:
    assert icmp.strip_ipv4(b"\x45" + bytes(19) + b"rest") == b"rest"
    assert icmp.strip_ipv4(b"\x46" + bytes(23) + b"rest") == b"rest"
    for packet in (b"", b"\x45" + bytes(18), b"\x44" + bytes(40), b"\x4f" + bytes(30)):
        with pytest.raises(FormatError):
            icmp.strip_ipv4(packet)


@given(st.sampled_from([4, 6]), st.one_of(st.binary(max_size=60), damaged(icmp.encode_reply(4, Echo(1, 2, b"abc")))))
def test_hostile_input_is_a_format_error_or_nothing_else(version: int, data: bytes) -> None:
    found = attempt(lambda given_data: icmp.decode_reply(version, given_data), data)
    assert found is None or len(found.data) == len(data) - icmp.HEADER_SIZE
    attempt(icmp.strip_ipv4, data)
