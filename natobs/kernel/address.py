"""The addresses of this network namespace.

Source: RTM_GETADDR (net/ipv4/devinet.c, inet_fill_ifaddr; net/ipv6/addrconf.c,
inet6_fill_ifaddr), include/uapi/linux/if_addr.h. Lifetimes are not read: an
address that is merely renewed is the same address.
"""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network

from natobs.errors import FormatError
from natobs.kernel import netlink
from natobs.kernel.machine import Machine, Netlink

Network = IPv4Network | IPv6Network

AF_INET = 2
AF_INET6 = 10
BYTES_OF = {AF_INET: 4, AF_INET6: 16}
"""Family to the length of its addresses."""

RTM_NEWADDR = 20
RTM_DELADDR = 21
_RTM_GETADDR = 22
_IFADDRMSG = struct.Struct("=BBBBI")  # family, prefix length, flags, scope, device
_IFA_ADDRESS = 1
_IFA_LOCAL = 2
_RT_SCOPE_UNIVERSE = 0
_RT_SCOPE_LINK = 253

_NOT_ROUTED = (
    (AF_INET, bytes([127]), 8),
    (AF_INET, bytes([169, 254]), 16),
    (AF_INET6, bytes([0xFC]), 7),
    (AF_INET6, bytes([0xFE, 0x80]), 10),
)
"""Loopback, RFC 3927, RFC 4193, RFC 4291. RFC 1918 is not here: behind a 1:1 cloud NAT it is the public address."""

ADDRESSES = Netlink("address", netlink.NETLINK_ROUTE, _RTM_GETADDR, _IFADDRMSG.pack(0, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Address:
    """An address of a device; equal to another when device, family, address and prefix length are.

    Args:
        device: number of the device.
        family: AF_INET or AF_INET6.
        address: 4 or 16 bytes; on a point-to-point link the near end.
        prefix_length: of the network it is in.
        beyond_link: whether its scope reaches beyond the link (``global`` or ``site``).
        expects_default: whether a machine that has it is expected to have a default route of its family:
            global scope, and neither loopback, link-local nor unique-local.
    """

    device: int
    family: int
    address: bytes
    prefix_length: int
    beyond_link: bool
    expects_default: bool


def read(machine: Machine) -> frozenset[Address]:
    """Every address.

    Raises:
        UnavailableError: rtnetlink is not there.
        FormatError: the answer is not what the kernel documents.
    """
    return parse(machine.ask(ADDRESSES))


def parse(data: bytes) -> frozenset[Address]:
    """Decode the answer to RTM_GETADDR; raises FormatError."""
    found = (parse_message(body) for body in netlink.messages(data, RTM_NEWADDR))
    return frozenset(address for address in found if address is not None)


def parse_message(body: memoryview) -> Address | None:
    """Decode one RTM_NEWADDR or RTM_DELADDR; None for a family other than IPv4 and IPv6.

    Raises:
        FormatError: it is truncated, or has no address of its family's length.
    """
    found = netlink.attributes(body, _IFADDRMSG.size)
    family, prefix_length, _flags, scope, device = _IFADDRMSG.unpack_from(body)
    size = BYTES_OF.get(family)
    if size is None:
        return None
    near = found.get(_IFA_LOCAL, found.get(_IFA_ADDRESS))
    if near is None or len(near) != size or prefix_length > 8 * size:
        raise FormatError(f"rtnetlink: an address of device {device} that is none of family {family}")
    address = bytes(near)
    routed = scope == _RT_SCOPE_UNIVERSE and not any(
        family == other and _starts(address, prefix, length) for other, prefix, length in _NOT_ROUTED
    )
    return Address(device, family, address, prefix_length, scope < _RT_SCOPE_LINK, routed)


def _starts(address: bytes, prefix: bytes, length: int) -> bool:
    shift = 8 * len(prefix) - length
    head = int.from_bytes(address[: len(prefix)], "big")
    return head >> shift == int.from_bytes(prefix, "big") >> shift


class Prefixes:
    """A set of prefixes that addresses and networks can be tested against, as bytes.

    Args:
        networks: of either family.
    """

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._of: dict[int, list[tuple[int, int]]] = {AF_INET: [], AF_INET6: []}
        for network in networks:
            shift = network.max_prefixlen - network.prefixlen
            family = AF_INET if isinstance(network, IPv4Network) else AF_INET6
            self._of[family].append((int(network.network_address) >> shift, shift))
        self.first_bytes = {
            family: frozenset(
                byte for byte in range(256) for head, shift in heads if _overlap(byte, head, shift - 8 * size + 8)
            )
            for (family, size), heads in zip(BYTES_OF.items(), self._of.values(), strict=True)
        }
        """By family, the values that the first byte of a contained address may have."""

    def contain(self, family: int, address: bytes) -> bool:
        """Whether an address lies in one of the prefixes."""
        value = int.from_bytes(address, "big")
        return any(value >> shift == head for head, shift in self._of[family])

    def overlap(self, family: int, network: bytes, prefix_length: int) -> bool:
        """Whether a network lies in one of the prefixes, or has one in it."""
        value, room = int.from_bytes(network, "big"), 8 * len(network) - prefix_length
        return any(
            value >> room == head << shift >> room if room > shift else value >> shift == head
            for head, shift in self._of[family]
        )


def _overlap(byte: int, head: int, shift: int) -> bool:
    """Whether a byte agrees with a prefix that leaves ``shift`` of its bits open, or reaches beyond it."""
    return byte >> shift == head if shift >= 0 else byte == head >> -shift
