"""Classic BPF that passes natobs' own probe packets, requests and replies, and nothing else.

A socket filter runs for every packet of every device, so the order of its tests
is that of what forwarded traffic is made of: TCP is refused by the sixth
instruction. Without IPv4 options every load has a fixed place, which the kernel
does without a call. Offsets count from the IP header, as a cooked packet socket
(SOCK_DGRAM) has it. A load beyond the packet's end refuses the packet.

Passed: UDP with the token of :mod:`natobs.wire.token` in STAMP's padding; STUN
Binding requests whose first attribute is natobs' SOFTWARE, and all Binding
responses (a server does not say whom it answers; who reads must know the
request); ICMP echo with the token. Only what this machine receives for itself
or forwards, and what it sends; nothing on loopback. Packets with IPv6
extension headers, and fragments but the first, are refused: no probe has them.

Sources: Documentation/networking/filter.rst, include/uapi/linux/filter.h.
"""

import struct
from dataclasses import dataclass

from natobs.wire.token import ECHO_OFFSET, MAGIC, SIZE, STAMP_OFFSET, STUN_COOKIE, STUN_COOKIE_OFFSET

SNAP_BYTES = 128
"""What is kept of a packet: the longest IPv4 header (60), UDP (8) and a STAMP packet up to its token (56) are 124."""

_BINDING_REQUEST, _BINDING_SUCCESS, _BINDING_ERROR = 0x0001, 0x0101, 0x0111
_STUN_HEADER = 20
_SOFTWARE = 0x8022
_SOFTWARE_BEGINS = b"nato"
"""The first four bytes of the SOFTWARE in the requests of :mod:`natobs.wire.stun`."""

ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD
PACKET_HOST = 0
PACKET_OUTGOING = 4

ICMP = 1
UDP = 17
ICMPV6 = 58
ECHO = {ICMP: (8, 0), ICMPV6: (128, 129)}
"""Types of echo request and reply."""

_ARPHRD_LOOPBACK = 772
_FRAGMENT_OFFSET = 0x1FFF
_UDP_HEADER = 8
_ICMP_HEADER = 8
_PLAIN_IPV4 = 0x45
"""Version 4, and a header of five words: no options."""

_ANCILLARY = 0xFFFFF000  # SKF_AD_OFF; what is added selects the field
_PROTOCOL = _ANCILLARY + 0
_PACKET_TYPE = _ANCILLARY + 4
_HARDWARE = _ANCILLARY + 28

_WORD, _HALF, _BYTE = 0x20, 0x28, 0x30  # BPF_LD | BPF_ABS, into A
_WORD_AT_X, _HALF_AT_X, _BYTE_AT_X = 0x40, 0x48, 0x50  # BPF_LD | BPF_IND
_HEADER_LENGTH_TO_X = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: four times the low half of a byte
_LENGTH = 0x80  # BPF_LD | BPF_LEN
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45  # BPF_JMP | BPF_JEQ, BPF_JGE, BPF_JSET
_RETURN = 0x06

_LAYOUT = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, number."""
_DROP, _WAY = "drop", "way"


@dataclass(frozen=True, slots=True)
class _Step:
    """One instruction: ``yes`` and ``no`` are labels, empty for what follows."""

    code: int
    number: int
    yes: str = ""
    no: str = ""
    label: str = ""


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _probe(name: str, place: int, icmp: int) -> tuple[_Step, ...]:
    """The tests behind the IP header, entered by the labels ``udp-NAME`` and ``icmp-NAME``.

    Args:
        name: makes labels unique.
        place: where the header behind IP's begins; 0 if X says so, which costs the kernel a call for each load.
        icmp: ICMP or ICMPV6.
    """
    mode = 0 if place else _WORD_AT_X - _WORD
    word, half, byte = _WORD + mode, _HALF + mode, _BYTE + mode
    request, reply = ECHO[icmp]
    echo, binding = f"echo-{name}", f"stun-{name}"
    return (
        _Step(byte, place, label=f"icmp-{name}"),
        _Step(_EQUAL, request, yes=echo),
        _Step(_EQUAL, reply, no=_DROP),
        _Step(word, place + _ICMP_HEADER + ECHO_OFFSET, label=echo),
        _Step(_EQUAL, _number(MAGIC), yes=_WAY, no=_DROP),
        # STUN first: its responses may end before the place of STAMP's token, and then the load would refuse them.
        _Step(word, place + _UDP_HEADER + STUN_COOKIE_OFFSET, label=f"udp-{name}"),
        _Step(_EQUAL, _number(STUN_COOKIE), yes=binding),
        _Step(_LENGTH, 0),  # a load that fails costs more than to ask first
        _Step(_AT_LEAST, place + _UDP_HEADER + STAMP_OFFSET + SIZE, no=_DROP),
        _Step(word, place + _UDP_HEADER + STAMP_OFFSET),
        _Step(_EQUAL, _number(MAGIC), yes=_WAY, no=_DROP),
        _Step(half, place + _UDP_HEADER, label=binding),
        _Step(_EQUAL, _BINDING_SUCCESS, yes=_WAY),
        _Step(_EQUAL, _BINDING_ERROR, yes=_WAY),
        _Step(_EQUAL, _BINDING_REQUEST, no=_DROP),
        _Step(half, place + _UDP_HEADER + _STUN_HEADER),
        _Step(_EQUAL, _SOFTWARE, no=_DROP),
        _Step(word, place + _UDP_HEADER + _STUN_HEADER + 4),
        _Step(_EQUAL, _number(_SOFTWARE_BEGINS), yes=_WAY, no=_DROP),
    )


_STEPS = (
    _Step(_WORD, _PROTOCOL),
    _Step(_EQUAL, ETH_P_IP, no="ipv6"),
    _Step(_BYTE, 9),
    _Step(_EQUAL, UDP, yes="first"),
    _Step(_EQUAL, ICMP, no=_DROP),
    _Step(_HALF, 6, label="first"),
    _Step(_ANY_BIT, _FRAGMENT_OFFSET, yes=_DROP),
    _Step(_BYTE, 0),
    _Step(_EQUAL, _PLAIN_IPV4, no="options"),
    _Step(_BYTE, 9),
    _Step(_EQUAL, UDP, yes="udp-ipv4", no="icmp-ipv4"),
    _Step(_HEADER_LENGTH_TO_X, 0, label="options"),
    _Step(_BYTE, 9),
    _Step(_EQUAL, UDP, yes="udp-options", no="icmp-options"),
    _Step(_EQUAL, ETH_P_IPV6, no=_DROP, label="ipv6"),
    _Step(_BYTE, 6),
    _Step(_EQUAL, UDP, yes="udp-ipv6"),
    _Step(_EQUAL, ICMPV6, yes="icmp-ipv6", no=_DROP),
    *_probe("ipv4", 20, ICMP),
    *_probe("options", 0, ICMP),
    *_probe("ipv6", 40, ICMPV6),
    _Step(_WORD, _PACKET_TYPE, label=_WAY),
    _Step(_EQUAL, PACKET_OUTGOING, yes="device"),
    _Step(_EQUAL, PACKET_HOST, no=_DROP),
    _Step(_WORD, _HARDWARE, label="device"),
    _Step(_EQUAL, _ARPHRD_LOOPBACK, yes=_DROP),
    _Step(_RETURN, SNAP_BYTES),
    _Step(_RETURN, 0, label=_DROP),
)


def _assemble(steps: tuple[_Step, ...]) -> bytes:
    places = {step.label: place for place, step in enumerate(steps) if step.label}
    return b"".join(
        _LAYOUT.pack(
            step.code,
            places[step.yes] - place - 1 if step.yes else 0,
            places[step.no] - place - 1 if step.no else 0,
            step.number,
        )
        for place, step in enumerate(steps)
    )


PROGRAM = _assemble(_STEPS)
"""The instructions, each a ``struct sock_filter``."""
