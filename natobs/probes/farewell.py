"""Ends connections as well-behaved clients do: FIN, and a while for what is still under way.

``close`` alone answers data that comes later (a banner, a TLS session ticket)
with RST, and so would every probe of such a service: resets in somebody's
statistics, and for some middleboxes a reason to forget or to block. So our half
is shut, and the socket is kept until others push it out. Costs at most
``MOST`` descriptors.
"""

import contextlib
import socket
from collections import deque

MOST = 128
_ENDED_TOGETHER = 32
"""Once one is too many: closing several in a row takes a third of what each takes alone, with the caches cold."""
_DRAINED = 65_536


class Farewell:
    """Sockets whose sending half is shut; shared by the probers of a kind."""

    def __init__(self) -> None:
        self._leaving: deque[tuple[object, socket.socket]] = deque()

    def leave(self, opened: socket.socket, prober: object) -> None:
        """Say goodbye; the socket is no longer the caller's, which says who it is."""
        with contextlib.suppress(OSError):  # reset meanwhile
            opened.shutdown(socket.SHUT_WR)
        self._leaving.append((prober, opened))
        if len(self._leaving) > MOST:
            for _ in range(_ENDED_TOGETHER):
                _end(self._leaving.popleft()[1])

    def close(self, prober: object) -> None:
        """Close those of one prober; the others' go on leaving."""
        for each in [each for each in self._leaving if each[0] is prober]:
            self._leaving.remove(each)
            _end(each[1])


def _end(opened: socket.socket) -> None:
    with contextlib.suppress(OSError):
        opened.recv(_DRAINED)  # what lies unread turns close into RST
    opened.close()
