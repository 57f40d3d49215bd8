"""Classic BPF for socket filters: single instructions with labels, put together to a program.

Knows the opcodes that the filters of this package use; refuses to know what
they look for. Source: Documentation/networking/filter.rst, include/uapi/linux/filter.h.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

ANCILLARY = 0xFFFFF000
"""SKF_AD_OFF: a load from here is no byte of the packet; what is added selects what it is."""
NLATTR = ANCILLARY + 12
"""Loads into A the place of the first netlink attribute of type X among those that begin at place A; 0 for none."""
NLATTR_NEST = ANCILLARY + 16
"""The same inside of the attribute at place A."""

WORD, HALF, BYTE = 0x20, 0x28, 0x30  # BPF_LD | BPF_ABS, into A; in network order
WORD_AT_X, HALF_AT_X, BYTE_AT_X = 0x40, 0x48, 0x50  # BPF_LD | BPF_IND
HEADER_LENGTH_TO_X = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: four times the low half of a byte
LENGTH = 0x80  # BPF_LD | BPF_LEN
NUMBER, NUMBER_TO_X = 0x00, 0x01  # BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM
A_TO_X = 0x07  # BPF_MISC | BPF_TAX
EQUAL, AT_LEAST, ANY_BIT = 0x15, 0x35, 0x45  # BPF_JMP | BPF_JEQ, BPF_JGE, BPF_JSET
RETURN = 0x06

_LAYOUT = struct.Struct("=HBBI")
"""struct sock_filter: code, jump if true, jump if false, number."""


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: ``yes`` and ``no`` are labels, empty for what follows."""

    code: int
    number: int
    yes: str = ""
    no: str = ""
    label: str = ""


def assemble(steps: Iterable[Step]) -> bytes:
    """A program: instructions, each a ``struct sock_filter``.

    Raises:
        KeyError: a label that no instruction has.
    """
    steps = tuple(steps)
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
