"""STAMP session-reflector, unauthenticated: RFC 8762, section 4.3.

Stateless it repeats the sender's sequence number; stateful it counts for each
session apart, so that a sender tells loss on the way there from loss on the way
back. T2 is the kernel's time of arrival, T3 is written when all else is done.
Knows sessions and what a reply looks like; the bytes are :mod:`natobs.wire.stamp`.
"""

import time
from collections import OrderedDict

from natobs.probes.reflector.datagrams import Datagram
from natobs.probes.reflector.tally import Drop
from natobs.wire import stamp

SESSIONS = 65_536
"""Sessions that are remembered in stateful mode; the one that was heard least recently is forgotten first."""

SESSION_SECONDS = 900
"""A session that was silent for so long begins anew at 0: REFWAIT of RFC 5357, section 4.2."""

_SECOND = 1_000_000_000
_WINDOW = 3600
"""Seconds around now within which a time betrays a reply that came back; the packet may have been on its way long."""


class StampResponder:
    """Answers STAMP on one socket.

    Args:
        stateful: whether to count for each session.
        sessions: how many are remembered.
    """

    timed = True
    factor = 1.0

    def __init__(self, *, stateful: bool = False, sessions: int = SESSIONS) -> None:
        self._stateful = stateful
        self._most = sessions
        self._sessions: OrderedDict[tuple[str, int, bytes, int], tuple[int, int]] = OrderedDict()

    def answer(self, datagram: Datagram) -> bytearray | Drop:
        """Make the reply; T3 is still missing.

        A datagram that looks like a reply is not answered. Two reflectors, or a reflector and an echo server, would
        else send one forged packet to and fro for ever.
        """
        request = stamp.decode_request(datagram.data)
        if stamp.holds_times_of_reply(datagram.data, datagram.received, _WINDOW):
            return Drop.REPLY
        sequence = self._count(datagram, request.ssid) if self._stateful else None
        return bytearray(stamp.encode_reply(request, datagram.received, 0, datagram.ttl, sequence))

    def seal(self, reply: bytearray) -> None:
        """Write T3."""
        stamp.set_sent(reply, time.time_ns())

    def _count(self, datagram: Datagram, ssid: int) -> int:
        session = (datagram.source, datagram.port, datagram.local, ssid)
        sequence, heard = self._sessions.pop(session, (0, datagram.received))
        if datagram.received - heard > SESSION_SECONDS * _SECOND:
            sequence = 0
        if len(self._sessions) >= self._most:
            self._sessions.popitem(last=False)
        self._sessions[session] = (sequence + 1, datagram.received)
        return sequence
