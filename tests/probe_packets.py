"""Packets of probes from the IP header on, and messages of the tap, written by hand for tests."""

import struct
from ipaddress import ip_address
from typing import TypedDict, Unpack

from natobs.kernel import tap
from natobs.kernel.tap_filter import ETH_P_IP, ETH_P_IPV6, PACKET_HOST, PACKET_OUTGOING
from natobs.wire import stamp

TOKEN = b"nObs\x00\x00\x00\x07"
CLIENT, SNAT, SERVER = "10.0.1.11", "203.0.113.10", "198.51.100.1"
CLIENT6, SNAT6, SERVER6 = "fd00:a:1::11", "2001:db8:113::10", "2001:db8:51::1"


def token(number: int) -> bytes:
    return b"nObs" + number.to_bytes(4, "big")


class IPv4(TypedDict, total=False):
    """What only an IPv4 header has."""

    options: bytes
    fragment: int


def ip(source: str, destination: str, protocol: int, body: bytes, **ipv4: Unpack[IPv4]) -> bytes:
    near, far = ip_address(source), ip_address(destination)
    if near.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(body), protocol, 64) + near.packed + far.packed + body
    options = ipv4.get("options", b"")
    words = 5 + len(options) // 4
    length, fragment = words * 4 + len(body), ipv4.get("fragment", 0)
    head = struct.pack(">BBHHHBBH", 4 << 4 | words, 0, length, 1, fragment, 64, protocol, 0)
    return head + near.packed + far.packed + options + body


def udp(payload: bytes, source_port: int = 40000, destination_port: int = 862) -> bytes:
    return struct.pack(">HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def stamp_packet(source: str, destination: str, mark: bytes = TOKEN, **ipv4: Unpack[IPv4]) -> bytes:
    return ip(source, destination, 17, udp(stamp.encode_request(1, 0, mark)), **ipv4)


def echo_packet(source: str, destination: str, mark: bytes = TOKEN, *, reply: bool = False) -> bytes:
    if ":" in source:
        return ip(source, destination, 58, struct.pack(">BBHHH", 128 + reply, 0, 0, 1, 1) + mark + bytes(40))
    return ip(source, destination, 1, struct.pack(">BBHHH", 0 if reply else 8, 0, 0, 1, 1) + mark + bytes(40))


def message(
    packet: bytes, *, at: int = 1_700_000_000_000_000_000, out: bool = False, device: str = "eth0", lost: int = 0
) -> bytes:
    protocol = ETH_P_IPV6 if packet[:1] and packet[0] >> 4 == 6 else ETH_P_IP
    return tap.message(at, lost, (device, protocol, PACKET_OUTGOING if out else PACKET_HOST), packet)
