"""Destroy events of conntrack: recorded ones (Linux 6.18), and others put together attribute by attribute."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from natobs.kernel.netlink import attribute

TCP, UDP, ICMP, SCTP = 6, 17, 1, 132
ESTABLISHED, TIME_WAIT = 3, 7
ASSURED, ANSWERED = 0x39E, 0x39A
"""Values of CTA_STATUS: confirmed, translated, dying, answered; only the first has IPS_ASSURED."""

FLUSHED_TCP = bytes.fromhex(
    "a40000000201000000000000be700000020000003400018014000180080001000a00010208000200c63364011c0002800500010006000000"
    "06000200040000000600030001bb0000340002801400018008000100c633640108000200cb0071011c000280050001000600000006000200"
    "01bb0000060003000400000008000c009ee669ae080003000000039e0800070000000e0f100004800c0001800500010003000000"
)
EXPIRED_TCP = bytes.fromhex(
    "9c000000020100000000000000000000020000003400018014000180080001000a00010208000200c63364011c0002800500010006000000"
    "06000200040000000600030001bb0000340002801400018008000100c633640108000200cb0071011c000280050001000600000006000200"
    "01bb0000060003000400000008000c002583ae81080003000000039e100004800c0001800500010003000000"
)
DELETED_UDP6 = bytes.fromhex(
    "c40000000201000000000000d92f93be0a0000004c0001802c00018014000300fd00000a0001000000000000000000111400040020010db8"
    "0051000000000000000000011c000280050001001100000006000200040000000600030001bb00004c0002802c0001801400030020010db8"
    "0051000000000000000000011400040020010db80113000000000000000000101c0002800500010011000000060002000001bb0006000300"
    "0400000008000c00b4e94f02080003000000039e0800070000000e0f"
)


@dataclass(frozen=True)
class Event:
    """What a destroy event says.

    Args:
        proto: number of the transport protocol.
        port: nlmsg_pid: who asked for it, 0 for nobody.
        status: CTA_STATUS; None leaves it out.
        left: CTA_TIMEOUT; None leaves it out.
        state: CTA_PROTOINFO_TCP_STATE; None leaves CTA_PROTOINFO out.
        ipv6: family.
    """

    proto: int = TCP
    port: int = 0
    status: int | None = ASSURED
    left: int | None = None
    state: int | None = ESTABLISHED
    ipv6: bool = False

    def parts(self) -> list[bytes]:
        """The attributes, as the kernel orders them."""
        nested = 0x8000
        size, first = (16, 3) if self.ipv6 else (4, 1)
        addresses = attribute(first, bytes(range(size))) + attribute(first + 1, bytes(range(size)))
        ports = attribute(1, bytes([self.proto])) + attribute(2, b"\x04\x00") + attribute(3, b"\x01\xbb")
        flow = attribute(nested | 1, addresses) + attribute(nested | 2, ports)
        parts = [attribute(nested | 1, flow), attribute(nested | 2, flow), attribute(12, b"\x9e\xe6\x69\xae")]
        if self.status is not None:
            parts.append(attribute(3, self.status.to_bytes(4, "big")))
        if self.left is not None:
            parts.append(attribute(7, self.left.to_bytes(4, "big")))
        if self.state is not None:
            state = attribute(nested | 1, attribute(1, bytes([self.state])))
            parts.append(attribute(nested | 4, state))
        return parts

    def datagram(self, order: Sequence[int] = (), extra: Sequence[bytes] = ()) -> bytes:
        """The message.

        Args:
            order: numbers to sort the attributes by; without it they are in the kernel's order.
            extra: attributes before them.
        """
        parts = self.parts()
        if order:
            parts = [part for _number, part in sorted(zip(order, parts, strict=False))]
        body = b"".join([struct.pack(">BBH", 10 if self.ipv6 else 2, 0, 0), *extra, *parts])
        return struct.pack("=IHHII", 16 + len(body), 0x102, 0, 0, self.port) + body
