"""The filter of the taps, run by an interpreter of classic BPF."""

import struct
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.kernel import tap
from natobs.kernel.tap_filter import PROGRAM, SNAP_BYTES
from natobs.wire import stamp, stun
from natobs.wire.stun import TRANSACTION_SIZE
from tests import bpf
from tests.mutate import damaged
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

TRANSACTION = bytes(range(TRANSACTION_SIZE))
HOST, BROADCAST, OTHERHOST, OUTGOING = 0, 1, 3, 4
ETHERNET, LOOPBACK, NONE = 1, 772, 0xFFFE


@dataclass
class Context:
    """What a packet has beside its bytes."""

    protocol: int
    packet_type: int = HOST
    hardware: int = ETHERNET


def run(packet: bytes, context: Context, program: bytes = PROGRAM) -> tuple[int, int]:
    """What a program returns, and how many instructions it took."""
    return bpf.run(packet, program, {0: context.protocol, 4: context.packet_type, 28: context.hardware})


def kept(packet: bytes, packet_type: int = HOST, hardware: int = ETHERNET) -> int:
    protocol = 0x86DD if packet[:1] and packet[0] >> 4 == 6 else 0x0800
    return run(packet, Context(protocol, packet_type, hardware))[0]


def stun_request(size: int = stun.REQUEST_SIZE) -> bytes:
    return stun.encode_request(TRANSACTION, size)


STUN_RESPONSE = stun.encode_response(stun.Request(TRANSACTION, 60), "203.0.113.10", 4000)
STAMP_REPLY = stamp.encode_reply(stamp.decode_request(stamp.encode_request(1, 5, TOKEN)), 6, 7, 64)

PASSED = {
    "STAMP": stamp_packet(CLIENT, SERVER),
    "STAMP with options": stamp_packet(CLIENT, SERVER, options=b"\x01" * 40),
    "STAMP over IPv6": stamp_packet(CLIENT6, SERVER6),
    "STAMP reply": ip(SERVER, CLIENT, 17, udp(STAMP_REPLY)),
    "STAMP, long": ip(CLIENT, SERVER, 17, udp(stamp.encode_request(1, 0, TOKEN, 1400))),
    "echo": echo_packet(CLIENT, SERVER),
    "echo reply": echo_packet(SERVER, CLIENT, reply=True),
    "echo over IPv6": echo_packet(CLIENT6, SERVER6),
    "echo reply over IPv6": echo_packet(SERVER6, CLIENT6, reply=True),
    "echo with nothing but the token": ip(CLIENT, SERVER, 1, struct.pack(">BBHHH", 8, 0, 0, 1, 1) + TOKEN),
    "STUN request": ip(CLIENT, SERVER, 17, udp(stun_request())),
    "STUN request, short": ip(CLIENT, SERVER, 17, udp(stun_request(36))),
    "STUN request, long": ip(CLIENT, SERVER, 17, udp(stun_request(1400))),
    "STUN response": ip(SERVER, CLIENT, 17, udp(STUN_RESPONSE)),
    "STUN response over IPv6": ip(SERVER6, CLIENT6, 17, udp(STUN_RESPONSE)),
    "STUN error": ip(SERVER, CLIENT, 17, udp(stun.encode_unknown(stun.Request(TRANSACTION, 60, unknown=(3,))))),
}
REFUSED = {
    "nothing": b"",
    "TCP with the token": ip(CLIENT, SERVER, 6, udp(stamp.encode_request(1, 0, TOKEN))),
    "STAMP without a token": ip(CLIENT, SERVER, 17, udp(stamp.encode_request(1, 0))),
    "token elsewhere": ip(CLIENT, SERVER, 17, udp(bytes(47) + TOKEN + bytes(9))),
    "DNS": ip(CLIENT, SERVER, 17, udp(b"\x12\x34\x01\x00\x00\x01" + bytes(24), 40000, 53)),
    "QUIC": ip(CLIENT, SERVER, 17, udp(b"\xc0\x00\x00\x00\x01" + bytes(1200), 40000, 443)),
    "echo of ping": ip(CLIENT, SERVER, 1, struct.pack(">BBHHH", 8, 0, 0, 1, 1) + bytes(56)),
    "ICMP error about a probe": ip(SERVER, CLIENT, 1, bytes([3, 1]) + bytes(6) + stamp_packet(CLIENT, SERVER)),
    "neighbour solicitation": ip(CLIENT6, SERVER6, 58, bytes([135, 0]) + bytes(6) + TOKEN + bytes(8)),
    "STAMP, later fragment": stamp_packet(CLIENT, SERVER, fragment=0x0001),
    "echo, later fragment": ip(
        CLIENT, SERVER, 1, struct.pack(">BBHHH", 8, 0, 0, 1, 1) + TOKEN, fragment=0x2000 | 0x1FFF
    ),
    "IPv6 with a hop-by-hop header": ip(CLIENT6, SERVER6, 0, bytes([17, 0]) + bytes(6) + udp(bytes(48) + TOKEN)),
    "STUN request of WebRTC": ip(
        CLIENT, SERVER, 17, udp(b"\x00\x01\x00\x08\x21\x12\xa4\x42" + TRANSACTION + b"\x00\x06\x00\x04abcd")
    ),
    "STUN request without attributes": ip(
        CLIENT, SERVER, 17, udp(b"\x00\x01\x00\x00\x21\x12\xa4\x42" + TRANSACTION + bytes(80))
    ),
    "STUN request of another program": ip(CLIENT, SERVER, 17, udp(stun_request().replace(b"natobs", b"libice"))),
    "TURN allocation": ip(CLIENT, SERVER, 17, udp(b"\x00\x03" + stun_request()[2:])),
}


@pytest.mark.parametrize("packet", PASSED.values(), ids=PASSED)
def test_probe_packets_pass(packet: bytes) -> None:
    assert kept(packet) == SNAP_BYTES
    assert kept(packet, OUTGOING) == SNAP_BYTES
    assert kept(packet, hardware=NONE) == SNAP_BYTES


@pytest.mark.parametrize("packet", PASSED.values(), ids=PASSED)
@pytest.mark.parametrize("packet_type", [BROADCAST, 2, OTHERHOST, 5, 6])
def test_packets_for_others_do_not_pass(packet: bytes, packet_type: int) -> None:
    assert kept(packet, packet_type) == 0


@pytest.mark.parametrize("packet", PASSED.values(), ids=PASSED)
def test_loopback_does_not_pass(packet: bytes) -> None:
    assert kept(packet, HOST, LOOPBACK) == kept(packet, OUTGOING, LOOPBACK) == 0


@pytest.mark.parametrize("packet", REFUSED.values(), ids=REFUSED)
def test_other_traffic_does_not_pass(packet: bytes) -> None:
    assert kept(packet) == kept(packet, OUTGOING) == 0


@pytest.mark.parametrize("protocol", [0x0806, 0x8100, 0x88CC, 4])
def test_what_is_not_ip_does_not_pass(protocol: int) -> None:
    assert run(stamp_packet(CLIENT, SERVER), Context(protocol))[0] == 0


@pytest.mark.parametrize("packet", PASSED.values(), ids=PASSED)
def test_a_packet_cut_before_its_token_does_not_pass(packet: bytes) -> None:
    lengths = [size for size in range(len(packet) + 1) if kept(packet[:size])]
    assert lengths == list(range(lengths[0], len(packet) + 1))
    assert lengths[0] <= SNAP_BYTES


@pytest.mark.parametrize("packet", PASSED.values(), ids=PASSED)
def test_what_passes_is_understood(packet: bytes) -> None:
    tap.parse(message(packet[:SNAP_BYTES]))


def test_forwarded_tcp_is_refused_early() -> None:
    tcp = ip(CLIENT, SERVER, 6, bytes(1400)), ip(CLIENT6, SERVER6, 6, bytes(1400))
    taken = [run(packet, Context(protocol))[1] for packet, protocol in zip(tcp, (0x0800, 0x86DD), strict=True)]
    assert max(taken) <= 8


@given(damaged(*PASSED.values()))
def test_damaged_packets_pass_only_if_they_still_have_a_token(packet: bytes) -> None:
    if kept(packet):
        try:
            tap.parse(message(packet[:SNAP_BYTES]))
        except FormatError as error:
            # The filter leaves to the parser what IP itself would have refused: versions and lengths that are wrong.
            assert "header" in str(error) or "version" in str(error) or "without a token" in str(error)  # noqa: PT017  none need be


@given(st.binary(max_size=160), st.sampled_from([0x0800, 0x86DD, 0x0806]))
def test_junk_does_not_pass(packet: bytes, protocol: int) -> None:
    assert run(packet, Context(protocol))[0] == 0
