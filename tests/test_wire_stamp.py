import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.wire import stamp
from natobs.wire.token import Tokens
from tests.mutate import attempt, damaged

NOON = 1_732_363_200_000_000_000
TOKEN = Tokens().next()
REQUEST = stamp.encode_request(7, NOON, TOKEN)
REPLY = stamp.encode_reply(stamp.decode_request(REQUEST), NOON + 1000, NOON + 3500, 61)

TIMES = st.integers(0, 4_000_000_000 * 10**9)


def test_a_request_has_the_fields_of_rfc_8762_figure_2() -> None:
    packet = stamp.encode_request(0x01020304, 1_500_000_000)
    assert len(packet) == 44
    assert packet[:4] == b"\x01\x02\x03\x04"
    assert packet[4:12] == struct.pack(">II", 2_208_988_801, 1 << 31)
    assert packet[12:14] == b"\x00\x01"
    assert packet[14:] == bytes(30)


def test_a_reply_has_the_fields_of_rfc_8762_figure_4() -> None:
    request = stamp.Request(9, 0x1122334455667788, 0x8101, 0xABCD, b"")
    reply = stamp.encode_reply(request, 0, 1_500_000_000, 63, sequence=5)
    assert len(reply) == 44
    assert reply[:4] == b"\0\0\0\5"
    assert reply[4:12] == struct.pack(">II", 2_208_988_801, 1 << 31)
    assert reply[12:16] == b"\x00\x01\xab\xcd"
    assert reply[16:24] == struct.pack(">II", 2_208_988_800, 0)
    assert reply[24:28] == b"\0\0\0\x09"
    assert reply[28:36] == b"\x11\x22\x33\x44\x55\x66\x77\x88"
    assert reply[36:40] == b"\x81\x01\0\0"
    assert reply[40:] == b"\x3f\0\0\0"


def test_padding_is_an_extra_padding_tlv_of_rfc_8972_that_begins_with_the_token() -> None:
    assert REQUEST[44:48] == b"\x80\x01\x00\x08"
    assert REQUEST[48:] == TOKEN
    assert stamp.decode_request(REQUEST).token == TOKEN
    assert REPLY[44:48] == b"\x00\x01\x00\x08"
    assert stamp.decode_reply(REPLY).token == TOKEN


def test_unknown_tlvs_and_padding_that_is_none_come_back_as_they_were() -> None:
    foreign = b"\x80\x63\x00\x02ab" + b"\x80\x01\x00\x01x"
    answer = stamp.encode_reply(stamp.decode_request(REQUEST[:44] + foreign), 0, 0)
    assert answer[44:] == b"\x80\x63\x00\x02ab" + b"\x00\x01\x00\x01x"
    noise = bytes(range(255, 200, -1))
    assert stamp.encode_reply(stamp.decode_request(REQUEST[:44] + noise), 0, 0)[44:] == noise


@given(st.integers(0, 2**32 - 1), TIMES, st.integers(56, 3000), TIMES, TIMES, st.integers(0, 255))
def test_what_is_written_is_read(sequence: int, time: int, size: int, received: int, sent: int, ttl: int) -> None:  # noqa: PLR0913, PLR0917 - one argument for each field
    packet = stamp.encode_request(sequence, time, TOKEN, size)
    request = stamp.decode_request(packet)
    assert len(packet) == size
    assert (request.sequence, request.timestamp, request.token) == (sequence, stamp.to_ntp(time), TOKEN)
    answer = bytearray(stamp.encode_reply(request, received, 0, ttl))
    stamp.set_sent(answer, sent)
    reply = stamp.decode_reply(bytes(answer))
    assert len(answer) == size
    assert (reply.sequence, reply.sender_sequence, reply.sender_timestamp) == (sequence, sequence, request.timestamp)
    assert (reply.received, reply.sent, reply.ttl, reply.token) == (received, sent, ttl, TOKEN)
    assert reply.residence == sent - received


@given(st.integers(0, 2**32 * 10**9 - 1))
def test_ntp_keeps_every_nanosecond_of_136_years(time: int) -> None:
    assert stamp.from_ntp(stamp.to_ntp(time)) == time


def test_a_reflector_may_use_ptp_times() -> None:
    times = struct.pack(">IIH2xII", 100, 900, 0x4001, 99, 999_999_900)
    reply = stamp.decode_reply(REPLY[:4] + times + REPLY[24:])
    assert reply.residence == 1000


@pytest.mark.parametrize("parse", [stamp.decode_request, stamp.decode_reply])
def test_truncated_packets_and_impossible_estimates_are_refused(parse: object) -> None:
    assert callable(parse)
    for data in (b"", REQUEST[:43], REQUEST[:12] + b"\0\0" + REQUEST[14:]):
        with pytest.raises(FormatError):
            parse(data)


@given(st.one_of(st.binary(max_size=120), damaged(REQUEST, REPLY)))
def test_hostile_input_is_a_format_error_or_nothing_else(data: bytes) -> None:
    attempt(stamp.decode_reply, data)
    request = attempt(stamp.decode_request, data)
    if request is not None:
        assert len(stamp.encode_reply(request, 1, 2)) == len(data)
