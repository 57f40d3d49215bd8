"""Which entries of conntrack give way, and the message that removes one, put together attribute by attribute."""

import struct

import pytest

from natobs.kernel import netlink
from natobs.kernel.netlink import attribute, attributes, headers
from natobs.lab.evicting import deletion, gives_way

NESTED = 0x8000
SEEN_REPLY, ASSURED = 1 << 1, 1 << 2
TUPLE = attribute(1 | NESTED, attribute(1, b"\x0a\0\1\x0b") + attribute(2, b"\xc6\x33\x64\1"))


def entry(status: int, state: int | None = None) -> memoryview:
    found = b"\x02\0\0\0" + attribute(1 | NESTED, TUPLE) + attribute(3, struct.pack("!I", status))
    if state is not None:
        found += attribute(4 | NESTED, attribute(1 | NESTED, attribute(1, bytes([state]))))
    return memoryview(found + attribute(12, b"\1\2\3\4"))


@pytest.mark.parametrize(
    ("status", "state", "gone"),
    [
        (0, None, True),
        (SEEN_REPLY, None, True),
        (SEEN_REPLY | ASSURED, None, False),
        (0, 1, True),  # SYN_SENT
        (SEEN_REPLY | ASSURED, 3, False),  # ESTABLISHED
        *((SEEN_REPLY | ASSURED, state, True) for state in (4, 5, 6, 7, 8)),
    ],
)
def test_what_is_not_assured_or_is_being_closed_gives_way(status: int, state: int | None, *, gone: bool) -> None:
    assert gives_way(entry(status, state)) == gone


def test_a_message_names_the_entry_and_its_id() -> None:
    ((kind, flags, _sequence, body),) = headers(deletion(entry(0)))
    assert (kind, flags) == (0x102, netlink.NLM_F_REQUEST)
    assert bytes(body[:4]) == b"\x02\0\0\0"
    found = attributes(body, 4)
    assert found.keys() == {1, 12}
    assert (bytes(found[1]), bytes(found[12])) == (TUPLE, b"\1\2\3\4")
