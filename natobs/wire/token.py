"""The eight bytes by which one packet is known wherever it is seen: at the prober, and at both sides of the NAT.

Addresses, ports and ICMP identifiers change on the way through a NAT; these
bytes do not, and the answer carries them back. Knows where each kind of probe
carries them; refuses to know who looks.

* STAMP over UDP: at ``STAMP_OFFSET`` of the payload, begins with ``MAGIC``.
* ICMP echo: at the beginning of the echo's data, begins with ``MAGIC``.
* STUN over UDP: the first eight bytes of the transaction id, at ``STUN_OFFSET`` of the payload. RFC 8489 (section 6)
  wants them random, so it is STUN's own cookie, at ``STUN_COOKIE_OFFSET``, that tells the packet.
"""

import itertools
import secrets

MAGIC = b"nObs"
RESPONDER_MAGIC = b"nObR"
"""Of probes that a NAT sends on its own account when a prober asks it to: nothing that passes the NAT."""
SIZE = 8

STAMP_OFFSET = 48
"""After the 44 bytes of STAMP and the 4 bytes of the header of an Extra Padding TLV (RFC 8972, section 4.1)."""

ECHO_OFFSET = 0
"""In the data of an ICMP echo, that is behind its 8-byte header."""

STUN_OFFSET = 8
STUN_COOKIE_OFFSET = 4
STUN_COOKIE = 0x2112A442.to_bytes(4, "big")

_NUMBERS = 1 << 32


class Tokens:
    """Tokens, all different until four billion have been given.

    Args:
        magic: what they begin with.
    """

    def __init__(self, magic: bytes = MAGIC) -> None:
        self._magic = magic
        self._numbers = itertools.count(secrets.randbelow(_NUMBERS))

    def next(self) -> bytes:
        """Give the next one, ``SIZE`` bytes."""
        return self._magic + (next(self._numbers) % _NUMBERS).to_bytes(4, "big")


def in_udp(payload: bytes) -> bytes | None:
    """The token in the payload of a UDP datagram, STAMP or STUN; None where there is none."""
    if payload[STAMP_OFFSET : STAMP_OFFSET + len(MAGIC)] == MAGIC:
        return _cut(payload, STAMP_OFFSET)
    if payload[STUN_COOKIE_OFFSET:STUN_OFFSET] == STUN_COOKIE:
        return _cut(payload, STUN_OFFSET)
    return None


def in_echo(data: bytes) -> bytes | None:
    """The token in the data of an ICMP echo (behind the 8-byte header); None where there is none."""
    return _cut(data, ECHO_OFFSET) if data[: len(MAGIC)] == MAGIC else None


def _cut(payload: bytes, offset: int) -> bytes | None:
    token = bytes(payload[offset : offset + SIZE])
    return token if len(token) == SIZE else None
