"""STUN Binding over UDP: tells who asks the address and port that it was seen with. RFC 8489, without authentication.

Knows when not to answer; the bytes are :mod:`natobs.wire.stun`.
"""

from natobs.probes.reflector.datagrams import Datagram
from natobs.probes.reflector.tally import Drop
from natobs.wire import stun

ANY_FACTOR = 2.2
"""The longest answer to the shortest request: 44 bytes with an IPv6 address, for a header of 20."""


class StunResponder:
    """Answers STUN on one socket.

    Args:
        answer_short: also answer requests that are shorter than the response, as most clients send them.
    """

    timed = False

    def __init__(self, *, answer_short: bool = False) -> None:
        self.factor = ANY_FACTOR if answer_short else 1.0

    def answer(self, datagram: Datagram) -> bytearray | Drop:
        """Make the response, or the error that names attributes that were not understood."""
        request = stun.decode_request(datagram.data)
        if request.unknown:
            return bytearray(stun.encode_unknown(request))
        return bytearray(stun.encode_response(request, datagram.source, datagram.port))

    def seal(self, reply: bytearray) -> None:
        """Nothing: a response carries no time."""
