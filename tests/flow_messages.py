"""Entries of a connection tracking table as the kernel would dump them, made of random values in random order."""

import ipaddress
import struct

from hypothesis import strategies as st

from natobs.kernel import netlink

FLOW = 0x100
NESTED = 0x8000
PROTOCOLS = (1, 6, 17, 33, 47, 50, 58, 132, 136, 2, 255)
ICMP, ICMPV6 = 1, 58


def message(payload: bytes, kind: int = FLOW, flags: int = netlink.NLM_F_MULTI, sequence: int = 7) -> bytes:
    """One message, padded to where the next may begin."""
    head = struct.pack("=IHHII", 16 + len(payload), kind, flags, sequence, 4711)
    return head + payload + bytes(-len(payload) % 4)


def done(code: int = 0) -> bytes:
    """The end of a dump."""
    return message(struct.pack("=i", -code), netlink.NLMSG_DONE)


def attribute(kind: int, payload: bytes) -> bytes:
    return netlink.attribute(kind, payload)


def nest(kind: int, *parts: bytes) -> bytes:
    return netlink.attribute(kind | NESTED, b"".join(parts))


def be(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def one_way(kind: int, src: str, dst: str, proto: int, ports: tuple[int, int]) -> bytes:
    """CTA_TUPLE_ORIG (1) or CTA_TUPLE_REPLY (2); for ICMP the first port is the identifier."""
    addresses = [ipaddress.ip_address(address).packed for address in (src, dst)]
    first = 1 if len(addresses[0]) == 4 else 3
    match proto:
        case 1 | 58:
            base = 4 if proto == 1 else 7
            parts = [attribute(base, be(ports[0], 2)), attribute(base + 1, be(8, 1)), attribute(base + 2, be(0, 1))]
        case 2 | 50 | 255:
            parts = []
        case _:
            parts = [attribute(2, be(ports[0], 2)), attribute(3, be(ports[1], 2))]
    return nest(
        kind,
        nest(1, attribute(first, addresses[0]), attribute(first + 1, addresses[1])),
        nest(2, attribute(1, be(proto, 1)), *parts),
    )


def entry(  # noqa: PLR0913  the fields of an entry, by name
    src: tuple[str, int],
    dst: tuple[str, int],
    given: tuple[str, int] | None = None,
    *,
    proto: int = 6,
    status: int = 0x1AE,
    state: int | None = 3,
    mark: int = 0,
    more: bytes = b"",
) -> bytes:
    """One ordinary entry: from, to, and what the source is translated to."""
    given = given or src
    back = (given[1], 0) if proto in (ICMP, ICMPV6) else (dst[1], given[1])
    parts = [
        one_way(1, src[0], dst[0], proto, (src[1], dst[1])),
        one_way(2, dst[0], given[0], proto, back),
        attribute(3, be(status, 4)),
        attribute(7, be(120, 4)),
        attribute(8, be(mark, 4)),
    ]
    if state is not None and proto == 6:
        parts.append(nest(4, nest(1, attribute(1, be(state, 1)), attribute(2, b"\7"), attribute(4, b"\0\0"))))
    family = 2 if "." in src[0] else 10
    return message(bytes([family, 0, 0, 0]) + b"".join(parts) + more)


def shuffled(draw: st.DrawFn, parts: list[bytes]) -> bytes:
    return b"".join(draw(st.permutations(parts)))


@st.composite
def tuples(draw: st.DrawFn, kind: int, pool: list[bytes], proto: int) -> bytes:
    """CTA_TUPLE_ORIG or CTA_TUPLE_REPLY, its parts in any order, with or without ports, zone and strangers."""
    first = 1 if len(pool[0]) == 4 else 3
    addresses = [attribute(first + number, draw(st.sampled_from(pool))) for number in (0, 1)]
    ports = st.sampled_from([0, 53, 443, 1024, 40000, 65535])
    inner = [attribute(1, be(proto, 1))]
    if proto in (ICMP, ICMPV6):
        base = 4 if proto == ICMP else 7
        inner.append(attribute(base, be(draw(ports), 2)))
        inner += [attribute(base + number, be(draw(st.integers(0, 255)), 1)) for number in (1, 2)]
    elif draw(st.booleans()):
        inner += [attribute(number, be(draw(ports), 2)) for number in (2, 3)]
    parts = [nest(1, shuffled(draw, addresses)), nest(2, shuffled(draw, inner))]
    if draw(st.booleans()):
        parts.append(attribute(3, be(draw(st.integers(0, 3)), 2)))
    if draw(st.booleans()):
        parts.append(attribute(draw(st.integers(4, 9)), draw(st.binary(max_size=9))))
    return nest(kind, shuffled(draw, parts))


@st.composite
def optional(draw: st.DrawFn, kind: int) -> bytes:
    """Any attribute of an entry but the tuples."""
    match kind:
        case 3:
            bits = draw(st.sets(st.sampled_from([1, 2, 3, 4, 5, 7, 9, 10, 14, 15])))
            return attribute(3, be(sum(1 << bit for bit in bits), 4))
        case 4:
            state = attribute(1, be(draw(st.integers(0, 11)), 1))
            rest = [attribute(number, bytes(draw(st.integers(0, 9)))) for number in (2, 3, 4)]
            return nest(4, nest(draw(st.integers(1, 4)), shuffled(draw, [state, *rest])))
        case 9 | 10 | 20:
            return nest(kind, *(attribute(number, draw(st.binary(min_size=8, max_size=8))) for number in (1, 2)))
        case 7 | 8 | 12:
            return attribute(kind, be(draw(st.sampled_from([0, 1, 42, 0xDEADBEEF])), 4))
        case 18:
            return attribute(18, be(draw(st.integers(0, 3)), 2))
        case _:
            # help, nat seq adj, secctx, labels, synproxy, use, and what is yet to be invented
            return attribute(kind | draw(st.sampled_from([0, NESTED])), draw(st.binary(max_size=40)))


POOLS = (
    [bytes([10, 0, 0, number]) for number in (1, 2)]
    + [bytes([192, 168, 1, 1]), bytes([198, 51, 100, 7]), bytes([203, 0, 113, 10])],
    [
        ipaddress.ip_address(address).packed
        for address in ("fd00:a:1::11", "fd00:a:2::11", "2001:db8:51::1", "2001:db8:113::10", "::1")
    ],
)


@st.composite
def entries(draw: st.DrawFn) -> bytes:
    """One entry with any of the optional attributes, in any order."""
    pool = draw(st.sampled_from(POOLS))
    proto = draw(st.sampled_from(PROTOCOLS))
    parts = [draw(tuples(1, pool, proto)), draw(tuples(2, pool, proto))]
    kinds = draw(st.lists(st.sampled_from([3, 3, 4, 7, 8, 9, 10, 11, 12, 15, 18, 19, 20, 22, 24, 40]), unique=True))
    parts += [draw(optional(kind)) for kind in kinds]
    family = 2 if len(pool[0]) == 4 else 10
    return message(bytes([family, 0, 0, 0]) + shuffled(draw, parts))


@st.composite
def dumps(draw: st.DrawFn, most: int = 25) -> bytes:
    """A block of entries, many of which share a shape: each is repeated with other values."""
    found = []
    for one in draw(st.lists(entries(), max_size=most)):
        found += [one] * draw(st.integers(1, 3))
    return b"".join(draw(st.permutations(found)))
