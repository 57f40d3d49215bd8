"""Messages of nf_tables as the kernel writes them, for tests."""

import struct

from natobs.kernel import netlink

INET, IP, IP6, ARP, BRIDGE = 1, 2, 10, 3, 7
NEWRULE = 10 << 8 | 6
DROP, ACCEPT, JUMP = 0, 1, 0xFFFFFFFD
attribute = netlink.attribute


def message(kind: int, family: int, *parts: bytes, generation: int = 1) -> bytes:
    return netlink.request(10 << 8 | kind, 2, 1, struct.pack(">BBH", family, 0, generation) + b"".join(parts))


def text(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def u32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">I", value & 0xFFFFFFFF))


def u64(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">Q", value))


def expression(name: str, *parts: bytes) -> bytes:
    return attribute(1, text(1, name) + attribute(2, b"".join(parts)))


def counter(packets: int, octets: int = 0) -> bytes:
    return expression("counter", u64(1, octets), u64(2, packets))


def padded_counter(packets: int, octets: int = 0) -> bytes:
    return expression("counter", attribute(3, b""), u64(2, packets), attribute(3, b""), u64(1, octets))


def verdict(code: int, register: int = 0) -> bytes:
    return expression("immediate", u32(1, register), attribute(2, attribute(2, u32(1, code))))


def xt(kind: str, name: str, info: bytes = bytes(8)) -> bytes:
    return expression(kind, text(1, name), u32(2, 0), attribute(3, info))


def xt_comment(words: str) -> bytes:
    return xt("match", "comment", words.encode().ljust(256, b"\0"))


def userdata(*pairs: tuple[int, bytes]) -> bytes:
    return attribute(7, b"".join(bytes([kind, len(value)]) + value for kind, value in pairs))


def rule(
    *expressions: bytes, place: tuple[int, str, str] = (IP, "t", "c"), handle: int = 9, more: bytes = b""
) -> bytes:
    family, table, chain = place
    parts = attribute(4, b"".join(expressions)) if expressions else b""
    return message(6, family, text(1, table), text(2, chain), u64(3, handle), parts, more)


def table(family: int, name: str, handle: int = 1, flags: int = 0, generation: int = 1) -> bytes:
    return message(0, family, text(1, name), u32(3, 1), u64(4, handle), u32(2, flags), generation=generation)


def base(place: tuple[int, str, str], hook: int, priority: int, policy: int = ACCEPT, counted: bytes = b"") -> bytes:
    family, name, chain = place
    hooks = attribute(4, u32(1, hook) + u32(2, priority))
    return message(3, family, text(1, name), text(3, chain), hooks, u32(5, policy), text(7, "filter"), counted)


def named(kind: int = 1, name: str = "n", family: int = IP, owner: str = "t") -> bytes:
    return message(
        18, family, text(1, owner), text(2, name), u32(3, kind), u64(6, 7), attribute(4, u64(1, 60) + u64(2, 2))
    )


CMP = expression("cmp", u32(1, 1), u32(2, 0), attribute(3, attribute(1, b"\x06")))
