import errno
import socket
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.wire import timestamps
from tests.mutate import attempt, damaged

STAMPS = struct.pack("=6q", 1_732_363_200, 123_456_789, 0, 0, 0, 0)
STAMPS32 = struct.pack("=6i", 1_732_363_200, 5, 0, 0, 0, 0)
PORT_UNREACHABLE = struct.pack("=IBBBxII", errno.ECONNREFUSED, 2, 3, 3, 0, 0) + struct.pack(
    "=HH4s8x", socket.AF_INET, 0, bytes([198, 51, 100, 1])
)
TOO_BIG6 = struct.pack("=IBBBxII", errno.EMSGSIZE, 3, 2, 0, 1280, 0) + struct.pack(
    "=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, "2001:db8::1"), 0
)
SENT = struct.pack("=IBBBxII", errno.ENOMSG, 4, 0, 0, 0, 17) + bytes(16)


def test_stamps_of_both_widths_are_read() -> None:
    assert timestamps.parse_stamps(STAMPS) == 1_732_363_200_123_456_789
    assert timestamps.parse_stamps(STAMPS32) == 1_732_363_200_000_000_005
    assert timestamps.parse_stamps(bytes(48)) is None


@pytest.mark.parametrize(
    "data", [b"", STAMPS[:47], struct.pack("=6q", -1, *[0] * 5), struct.pack("=6q", 1, 10**9, *[0] * 4)]
)
def test_impossible_stamps_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        timestamps.parse_stamps(data)


def test_the_stamp_is_found_among_control_messages() -> None:
    other = (socket.IPPROTO_IP, 8, b"\0\0\0\0")
    for option in (timestamps.SO_TIMESTAMPING_NEW, timestamps.SO_TIMESTAMPING_OLD):
        found = timestamps.software_stamp([other, (socket.SOL_SOCKET, option, STAMPS)])
        assert found == 1_732_363_200_123_456_789
    assert timestamps.software_stamp([other]) is None


def test_icmp_errors_name_their_sender() -> None:
    refused = timestamps.extended_error([(socket.IPPROTO_IP, timestamps.IP_RECVERR, PORT_UNREACHABLE)])
    assert refused == timestamps.ExtendedError(errno.ECONNREFUSED, 2, 3, 3, 0, 0, "198.51.100.1")
    too_big = timestamps.extended_error([(socket.IPPROTO_IPV6, timestamps.IPV6_RECVERR, TOO_BIG6)])
    assert too_big == timestamps.ExtendedError(errno.EMSGSIZE, 3, 2, 0, 1280, 0, "2001:db8::1")
    assert timestamps.extended_error([(socket.SOL_SOCKET, timestamps.SO_TIMESTAMPING_NEW, STAMPS)]) is None


def test_a_send_stamp_carries_the_number_of_its_packet() -> None:
    found = timestamps.parse_extended_error(SENT)
    assert (found.origin, found.data, found.offender) == (timestamps.ORIGIN_TIMESTAMPING, 17, "")


@pytest.mark.parametrize("data", [b"", PORT_UNREACHABLE[:15], PORT_UNREACHABLE[:21], TOO_BIG6[:30]])
def test_an_error_that_is_cut_off_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        timestamps.parse_extended_error(data)


@given(st.one_of(st.binary(max_size=70), damaged(STAMPS, STAMPS32, PORT_UNREACHABLE, TOO_BIG6, SENT)))
def test_hostile_input_is_a_format_error_or_nothing_else(data: bytes) -> None:
    stamp = attempt(timestamps.parse_stamps, data)
    assert stamp is None or stamp > 0
    attempt(timestamps.parse_extended_error, data)


def test_this_kernel_stamps_as_documented() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        other.bind(("127.0.0.1", 0))
        one.connect(other.getsockname())
        one.setsockopt(socket.SOL_SOCKET, timestamps.SO_TIMESTAMPING_NEW, timestamps.SEND_AND_RECEIVE)
        before = time.time_ns()
        for _ in range(3):
            one.send(b"x")
        after = time.time_ns()
        for number in range(3):
            _data, ancillary, _flags, _peer = one.recvmsg(64, timestamps.CONTROL_BYTES, socket.MSG_ERRQUEUE)
            error, stamp = timestamps.extended_error(ancillary), timestamps.software_stamp(ancillary)
            assert error is not None
            assert stamp is not None
            assert (error.origin, error.data) == (timestamps.ORIGIN_TIMESTAMPING, number)
            assert before <= stamp <= after
