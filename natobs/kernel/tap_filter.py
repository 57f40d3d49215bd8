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
"""

from natobs.kernel.bpf import (
    ANCILLARY,
    ANY_BIT,
    AT_LEAST,
    BYTE,
    EQUAL,
    HALF,
    HEADER_LENGTH_TO_X,
    LENGTH,
    RETURN,
    WORD,
    WORD_AT_X,
    Step,
    assemble,
)
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

_PROTOCOL = ANCILLARY + 0
_PACKET_TYPE = ANCILLARY + 4
_HARDWARE = ANCILLARY + 28

_DROP, _WAY = "drop", "way"


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _probe(name: str, place: int, icmp: int) -> tuple[Step, ...]:
    """The tests behind the IP header, entered by the labels ``udp-NAME`` and ``icmp-NAME``.

    Args:
        name: makes labels unique.
        place: where the header behind IP's begins; 0 if X says so, which costs the kernel a call for each load.
        icmp: ICMP or ICMPV6.
    """
    mode = 0 if place else WORD_AT_X - WORD
    word, half, byte = WORD + mode, HALF + mode, BYTE + mode
    request, reply = ECHO[icmp]
    echo, binding = f"echo-{name}", f"stun-{name}"
    return (
        Step(byte, place, label=f"icmp-{name}"),
        Step(EQUAL, request, yes=echo),
        Step(EQUAL, reply, no=_DROP),
        Step(word, place + _ICMP_HEADER + ECHO_OFFSET, label=echo),
        Step(EQUAL, _number(MAGIC), yes=_WAY, no=_DROP),
        # STUN first: its responses may end before the place of STAMP's token, and then the load would refuse them.
        Step(word, place + _UDP_HEADER + STUN_COOKIE_OFFSET, label=f"udp-{name}"),
        Step(EQUAL, _number(STUN_COOKIE), yes=binding),
        Step(LENGTH, 0),  # a load that fails costs more than to ask first
        Step(AT_LEAST, place + _UDP_HEADER + STAMP_OFFSET + SIZE, no=_DROP),
        Step(word, place + _UDP_HEADER + STAMP_OFFSET),
        Step(EQUAL, _number(MAGIC), yes=_WAY, no=_DROP),
        Step(half, place + _UDP_HEADER, label=binding),
        Step(EQUAL, _BINDING_SUCCESS, yes=_WAY),
        Step(EQUAL, _BINDING_ERROR, yes=_WAY),
        Step(EQUAL, _BINDING_REQUEST, no=_DROP),
        Step(half, place + _UDP_HEADER + _STUN_HEADER),
        Step(EQUAL, _SOFTWARE, no=_DROP),
        Step(word, place + _UDP_HEADER + _STUN_HEADER + 4),
        Step(EQUAL, _number(_SOFTWARE_BEGINS), yes=_WAY, no=_DROP),
    )


_STEPS = (
    Step(WORD, _PROTOCOL),
    Step(EQUAL, ETH_P_IP, no="ipv6"),
    Step(BYTE, 9),
    Step(EQUAL, UDP, yes="first"),
    Step(EQUAL, ICMP, no=_DROP),
    Step(HALF, 6, label="first"),
    Step(ANY_BIT, _FRAGMENT_OFFSET, yes=_DROP),
    Step(BYTE, 0),
    Step(EQUAL, _PLAIN_IPV4, no="options"),
    Step(BYTE, 9),
    Step(EQUAL, UDP, yes="udp-ipv4", no="icmp-ipv4"),
    Step(HEADER_LENGTH_TO_X, 0, label="options"),
    Step(BYTE, 9),
    Step(EQUAL, UDP, yes="udp-options", no="icmp-options"),
    Step(EQUAL, ETH_P_IPV6, no=_DROP, label="ipv6"),
    Step(BYTE, 6),
    Step(EQUAL, UDP, yes="udp-ipv6"),
    Step(EQUAL, ICMPV6, yes="icmp-ipv6", no=_DROP),
    *_probe("ipv4", 20, ICMP),
    *_probe("options", 0, ICMP),
    *_probe("ipv6", 40, ICMPV6),
    Step(WORD, _PACKET_TYPE, label=_WAY),
    Step(EQUAL, PACKET_OUTGOING, yes="device"),
    Step(EQUAL, PACKET_HOST, no=_DROP),
    Step(WORD, _HARDWARE, label="device"),
    Step(EQUAL, _ARPHRD_LOOPBACK, yes=_DROP),
    Step(RETURN, SNAP_BYTES),
    Step(RETURN, 0, label=_DROP),
)


PROGRAM = assemble(_STEPS)
"""The instructions, each a ``struct sock_filter``."""
