"""Probe packets as this machine's network devices see them: where, when, and which.

Decodes the messages of :attr:`natobs.kernel.machine.StreamName.PROBE_PACKETS`.
Each is a header of our own, what a packet socket tells beside the bytes, and the
first bytes of the packet from its IP header on. Refuses to know what a packet
means to a NAT (:mod:`natobs.kernel.residence`).

The time of a received packet is taken when the softirq takes it from the driver
(net/core/dev.c, net_timestamp_check in netif_receive_skb), that of a sent one
when it is given to the driver (dev_queue_xmit_nit). Both are CLOCK_REALTIME.
"""

import struct
from dataclasses import dataclass

from natobs.errors import FormatError
from natobs.kernel.address import AF_INET, AF_INET6
from natobs.kernel.tap_filter import ECHO, ETH_P_IP, ETH_P_IPV6, ICMP, ICMPV6, PACKET_HOST, PACKET_OUTGOING, UDP
from natobs.wire import token as tokens

_HEADER = struct.Struct("=qIHB16sx")
"""Time in nanoseconds, packets lost so far, protocol, packet type, name of the device (IFNAMSIZ)."""
HEADER_BYTES = _HEADER.size

RESTING = b"\0"
"""The message after which packets are not listened for, until FROM_NOW_ON comes again."""

_IPV4_BYTES, _IPV6_BYTES = 20, 40
_TRANSPORT_BYTES = 8
"""Of a UDP header, and of an ICMP echo's."""
_IPV4 = struct.Struct(">BxHxxHxBxx4s4s")  # version and length, total length, fragment, protocol, source, destination
_IPV6 = struct.Struct(">IHBx16s16s")  # version, payload length, next header, source, destination
_FRAGMENT_OFFSET = 0x1FFF
_NEAREST, _FARTHEST = 0, 2**62
"""Nanoseconds since 1970; the latter is in 2116."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A probe packet at one device.

    Args:
        nanoseconds: when, since the epoch.
        device: name; empty when the device has gone since.
        outgoing: whether this machine sent it, else it received it.
        family: AF_INET or AF_INET6.
        source: 4 or 16 bytes, as they were at this device.
        destination: likewise.
        token: the eight bytes that stay the same on the way (:mod:`natobs.wire.token`).
        lost: packets that the kernel dropped since FROM_NOW_ON because nobody read in time, modulo 2^32.
    """

    nanoseconds: int
    device: str
    outgoing: bool
    family: int
    source: bytes
    destination: bytes
    token: bytes
    lost: int


def message(nanoseconds: int, lost: int, place: tuple[str, int, int], packet: bytes) -> bytes:
    """One message of the stream.

    Args:
        nanoseconds: when, since the epoch.
        lost: see :class:`Sighting`.
        place: name of the device, protocol (ETH_P_IP or ETH_P_IPV6) and packet type (PACKET_HOST or PACKET_OUTGOING).
        packet: from the IP header on.
    """
    device, protocol, packet_type = place
    return _HEADER.pack(nanoseconds, lost, protocol, packet_type, device.encode("utf-8", "surrogateescape")) + packet


def parse(data: bytes) -> Sighting:
    """Decode one message.

    Raises:
        FormatError: it is truncated, or holds no probe packet.
    """
    if len(data) < _HEADER.size:
        raise FormatError(f"tap: message of {len(data)} bytes, its header alone has {_HEADER.size}")
    nanoseconds, lost, protocol, packet_type, device = _HEADER.unpack_from(data)
    if packet_type not in (PACKET_HOST, PACKET_OUTGOING) or not _NEAREST < nanoseconds < _FARTHEST:
        raise FormatError(f"tap: packet of type {packet_type} at {nanoseconds} ns")
    packet = data[_HEADER.size :]
    if protocol == ETH_P_IP:
        family, (transport, source, destination, body) = AF_INET, _ipv4(packet)
    elif protocol == ETH_P_IPV6:
        family, (transport, source, destination, body) = AF_INET6, _ipv6(packet)
    else:
        raise FormatError(f"tap: packet of protocol {protocol:#06x}")
    token = _token(transport, body)
    if token is None:
        raise FormatError(f"tap: packet of IP protocol {transport} without a token")
    name = device.split(b"\0", 1)[0].decode("utf-8", "replace")
    return Sighting(nanoseconds, name, packet_type == PACKET_OUTGOING, family, source, destination, token, lost)


def _ipv4(packet: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Protocol, source, destination, and what follows the header."""
    if len(packet) < _IPV4_BYTES:
        raise FormatError(f"tap: IPv4 packet of {len(packet)} bytes")
    first, total, fragment, protocol, source, destination = _IPV4.unpack_from(packet)
    header = (first & 0x0F) * 4
    if first >> 4 != 4 or header < _IPV4_BYTES or total < header or len(packet) < header:  # noqa: PLR2004  IP version
        raise FormatError(f"tap: IPv4 header of {header} bytes in a packet of {total}, {len(packet)} of them seen")
    if fragment & _FRAGMENT_OFFSET:
        raise FormatError("tap: IPv4 fragment that is not the first")
    return protocol, source, destination, packet[header:total]


def _ipv6(packet: bytes) -> tuple[int, bytes, bytes, bytes]:
    """Next header, source, destination, and what follows the header."""
    if len(packet) < _IPV6_BYTES:
        raise FormatError(f"tap: IPv6 packet of {len(packet)} bytes")
    first, length, protocol, source, destination = _IPV6.unpack_from(packet)
    if first >> 28 != 6:  # noqa: PLR2004  IP version
        raise FormatError(f"tap: IPv6 packet of version {first >> 28}")
    return protocol, source, destination, packet[_IPV6_BYTES : _IPV6_BYTES + length]


def _token(transport: int, body: bytes) -> bytes | None:
    payload = body[_TRANSPORT_BYTES:]
    if transport == UDP:
        return tokens.in_udp(payload)
    if transport in (ICMP, ICMPV6) and body[:1] and body[0] in ECHO[transport]:
        return tokens.in_echo(payload)
    return None
