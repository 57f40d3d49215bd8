"""An interpreter of classic BPF, written from Documentation/networking/filter.rst."""

import operator
import struct
from collections.abc import Callable, Mapping

import pytest

ANCILLARY = 0xFFFFF000
NLATTR, NLATTR_NEST = 12, 16
JUMPS: dict[int, Callable[[int, int], bool]] = {
    0x15: operator.eq,
    0x35: operator.ge,
    0x45: lambda a, number: bool(a & number),
}


def run(packet: bytes, program: bytes, ancillary: Mapping[int, int]) -> tuple[int, int]:
    """What a program returns, and how many instructions it took.

    Args:
        packet: as the socket filter sees it.
        program: instructions as ``struct sock_filter``.
        ancillary: what is loaded from beyond SKF_AD_OFF, by the number that is added.
    """
    steps = list(struct.iter_unpack("=HBBI", program))
    a = x = place = 0
    for count in range(1, len(steps) + 1):  # classic BPF cannot jump back
        code, yes, no, number = steps[place]
        place += 1
        if code & 0x07 == 0x06:
            return number, count
        if code in JUMPS:
            place += yes if JUMPS[code](a, number) else no
        elif code == 0x07:
            x = a
        elif code == 0x01:
            x = number
        else:
            value = load(packet, code, number, (a, x), ancillary)
            if value is None:
                return 0, count
            if code == 0xB1:
                x = 4 * (value & 0x0F)
            else:
                a = value
    pytest.fail("the program did not return")


def load(packet: bytes, code: int, number: int, registers: tuple[int, int], ancillary: Mapping[int, int]) -> int | None:
    """What an instruction loads; None for what is beyond the packet's end."""
    a, x = registers
    if code in (0x00, 0x80):
        return number if code == 0x00 else len(packet)
    if number in (ANCILLARY + NLATTR, ANCILLARY + NLATTR_NEST):
        return find(packet, a, x, nested=number == ANCILLARY + NLATTR_NEST)
    if number >= ANCILLARY:
        return ancillary[number - ANCILLARY]
    assert code == 0xB1 or code & 0xE7 in (0x20, 0x40)
    size = {0x00: 4, 0x08: 2, 0x10: 1}[code & 0x18]
    start = number + (x if code & 0xE0 == 0x40 else 0)
    return int.from_bytes(packet[start : start + size], "big") if start + size <= len(packet) else None


def find(packet: bytes, start: int, kind: int, *, nested: bool) -> int:
    """The place of an attribute, or 0, as net/core/filter.c (bpf_skb_get_nlattr and _nest) and nla_find have it."""
    if start > len(packet) - 4:
        return 0
    end = len(packet)
    if nested:
        (length,) = struct.unpack_from("=H", packet, start)
        if length > len(packet) - start:
            return 0
        start, end = start + 4, start + length
    while end - start >= 4:
        length, found = struct.unpack_from("=HH", packet, start)
        if not 4 <= length <= end - start:
            return 0
        if found & 0x3FFF == kind:
            return start
        start += (length + 3) & ~3
    return 0
