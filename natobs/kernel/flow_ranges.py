"""Prefixes, and which of thousands of addresses are in them.

Knows addresses as two columns of 64 bits, IPv4 as ::ffff:a.b.c.d, and how to
write them; refuses to know what they stand for.

Loads numpy: nothing that the agent imports when it starts may import this.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network

import numpy as np
from numpy.typing import NDArray

Network = IPv4Network | IPv6Network
Address = tuple[NDArray[np.uint64], NDArray[np.uint64]]
"""Upper and lower halves."""
Flags = NDArray[np.bool_]

_HALF = 1 << 64
_IPV4_BITS = 96
_IPV4_ABOVE = np.uint64(0xFFFF)


@dataclass(frozen=True, slots=True)
class Range:
    """A prefix as masks and values of both halves."""

    ipv4: bool
    masks: tuple[np.uint64, np.uint64]
    values: tuple[np.uint64, np.uint64]

    @classmethod
    def of(cls, prefix: Network) -> "Range":
        """The same prefix."""
        value, bits = int(prefix.network_address), prefix.prefixlen
        if isinstance(prefix, IPv4Network):
            value, bits = value | int(_IPV4_ABOVE) << 32, bits + _IPV4_BITS
        mask = (1 << 128) - (1 << (128 - bits))
        return cls(isinstance(prefix, IPv4Network), _halves(mask), _halves(value))


def within(ranges: Iterable[Range], address: Address) -> Flags:
    """Which of these addresses are in any of these prefixes; no IPv4 address is in an IPv6 prefix, not even in ::/0."""
    high, low = address
    found: Flags = np.zeros(len(high), np.bool_)
    short = high == 0
    ipv4 = short & ((low >> np.uint64(32)) == _IPV4_ABOVE)
    for one in ranges:
        match = (low & one.masks[1]) == one.values[1]
        if one.ipv4:
            match &= short  # the rest of ::ffff:0:0/96 is in the lower half
        else:
            match &= ((high & one.masks[0]) == one.values[0]) & ~ipv4
        found |= match
    return found


def differ(one: Address, other: Address) -> Flags:
    """Which of these pairs of addresses are not the same."""
    found: Flags = (one[0] != other[0]) | (one[1] != other[1])
    return found


def text(high: int, low: int) -> str:
    """An address as a person writes it."""
    # Six times as fast as ipaddress, which would be a tenth of the census of a small table.
    if high:
        return socket.inet_ntop(socket.AF_INET6, high.to_bytes(8) + low.to_bytes(8))
    if low >> 32 == _IPV4_ABOVE:
        return socket.inet_ntop(socket.AF_INET, (low & 0xFFFFFFFF).to_bytes(4))
    return str(IPv6Address(low))


def _halves(number: int) -> tuple[np.uint64, np.uint64]:
    return np.uint64(number // _HALF), np.uint64(number % _HALF)
