import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import tap
from natobs.kernel.address import AF_INET, AF_INET6
from natobs.wire import stun
from tests.mutate import attempt, damaged
from tests.probe_packets import (
    CLIENT,
    CLIENT6,
    SERVER,
    SERVER6,
    TOKEN,
    echo_packet,
    ip,
    message,
    stamp_packet,
    udp,
)

STUN = ip(CLIENT, SERVER, 17, udp(stun.encode_request(b"abcdefghijkl")))
PACKETS = {
    "STAMP": stamp_packet(CLIENT, SERVER),
    "STAMP, 40 bytes of options": stamp_packet(CLIENT, SERVER, options=b"\x01" * 40),
    "STAMP, IPv6": stamp_packet(CLIENT6, SERVER6),
    "STAMP, first fragment": stamp_packet(CLIENT, SERVER, fragment=0x2000),
    "echo request": echo_packet(CLIENT, SERVER),
    "echo reply": echo_packet(CLIENT, SERVER, reply=True),
    "echo request, IPv6": echo_packet(CLIENT6, SERVER6),
    "echo reply, IPv6": echo_packet(CLIENT6, SERVER6, reply=True),
}


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_a_packet_is_known_by_its_token(packet: bytes) -> None:
    seen = tap.parse(message(packet, at=1_700_000_000_123_456_789, out=True, device="eth1", lost=9))
    six = packet[0] >> 4 == 6
    assert seen == tap.Sighting(
        1_700_000_000_123_456_789,
        "eth1",
        True,
        AF_INET6 if six else AF_INET,
        bytes.fromhex("fd00000a000100000000000000000011") if six else bytes([10, 0, 1, 11]),
        bytes.fromhex("20010db8005100000000000000000001") if six else bytes([198, 51, 100, 1]),
        TOKEN,
        9,
    )


@pytest.mark.parametrize("packet", PACKETS.values(), ids=PACKETS)
def test_what_the_filter_keeps_of_a_packet_is_enough(packet: bytes) -> None:
    assert tap.parse(message(packet[:128])).token == TOKEN


def test_the_token_of_stun_is_in_its_transaction() -> None:
    assert tap.parse(message(STUN)).token == b"abcdefgh"


@pytest.mark.parametrize(
    ("packet", "complaint"),
    [
        (b"", "IPv4 packet of 0 bytes"),
        (stamp_packet(CLIENT, SERVER)[:19], "IPv4 packet of 19 bytes"),
        (stamp_packet(CLIENT6, SERVER6)[:39], "IPv6 packet of 39 bytes"),
        (b"\x44" + stamp_packet(CLIENT, SERVER)[1:], "header of 16 bytes"),
        (stamp_packet(CLIENT, SERVER, options=bytes(40))[:50], "header of 60 bytes"),
        (b"\x55" + stamp_packet(CLIENT, SERVER)[1:], "header of 20 bytes"),
        (stamp_packet(CLIENT, SERVER, fragment=0x2001), "fragment"),
        (stamp_packet(CLIENT, SERVER)[:83], "without a token"),
        (ip(CLIENT, SERVER, 6, udp(bytes(100))), "IP protocol 6 without a token"),
        (ip(CLIENT, SERVER, 1, b"\x03\x01" + bytes(6) + TOKEN), "without a token"),
        (ip(CLIENT, SERVER, 1, b""), "without a token"),
        (ip(CLIENT6, SERVER6, 58, b""), "without a token"),
    ],
)
def test_anything_else_is_a_format_error(packet: bytes, complaint: str) -> None:
    with pytest.raises(FormatError, match=complaint):
        tap.parse(message(packet))


def test_bytes_beyond_the_packet_s_own_length_do_not_count() -> None:
    with pytest.raises(FormatError, match="without a token"):
        tap.parse(message(ip(CLIENT, SERVER, 17, udp(bytes(48))) + TOKEN))


@pytest.mark.parametrize("size", [0, 1, tap.HEADER_BYTES - 1])
def test_a_message_without_its_header_is_a_format_error(size: int) -> None:
    with pytest.raises(FormatError, match="header alone"):
        tap.parse(message(PACKETS["STAMP"])[:size])


@pytest.mark.parametrize("place", [("eth0", 0x0806, 0), ("eth0", 0x0800, 3), ("eth0", 0x0800, 1)])
def test_what_is_not_for_this_machine_and_not_ip_is_a_format_error(place: tuple[str, int, int]) -> None:
    with pytest.raises(FormatError):
        tap.parse(tap.message(1, 0, place, PACKETS["STAMP"]))


@pytest.mark.parametrize("nanoseconds", [0, -1, 2**62])
def test_impossible_times_are_a_format_error(nanoseconds: int) -> None:
    with pytest.raises(FormatError):
        tap.parse(message(PACKETS["STAMP"], at=nanoseconds))


@given(damaged(*map(message, PACKETS.values()), message(STUN)))
def test_damaged_messages_are_a_format_error_or_a_sighting(data: bytes) -> None:
    seen = attempt(tap.parse, data)
    assert seen is None or (len(seen.token) == 8 and len(seen.source) == len(seen.destination))


@given(st.binary(max_size=200))
def test_junk_is_a_format_error(data: bytes) -> None:
    assert attempt(tap.parse, data) is None
