"""The message that closes a connection, against one that is put together attribute by attribute."""

import struct
from ipaddress import IPv4Address

from natobs.kernel import netlink
from natobs.kernel.netlink import attribute, attributes, headers
from natobs.lab.closing import message

NESTED = 0x8000


def test_a_message_names_the_connection_its_state_and_its_time() -> None:
    made = message(("10.0.1.11", 40001, "198.51.100.7", 8443), 3)
    ((kind, flags, _sequence, body),) = headers(made)
    assert (kind, flags) == (0x100, netlink.NLM_F_REQUEST)  # neither made anew, nor acknowledged
    assert bytes(body[:4]) == b"\x02\0\0\0"
    found = attributes(body, 4)
    wanted = attribute(
        1 | NESTED, attribute(1, IPv4Address("10.0.1.11").packed) + attribute(2, IPv4Address("198.51.100.7").packed)
    ) + attribute(
        2 | NESTED,
        attribute(1, b"\x06") + attribute(2, struct.pack("!H", 40001)) + attribute(3, struct.pack("!H", 8443)),
    )
    assert bytes(found[1]) == wanted
    state = attributes(attributes(found[4])[1])
    assert bytes(state[1]) == b"\x07"
    assert netlink.number(found[7], ">") == 3
