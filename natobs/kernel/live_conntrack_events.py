"""The stream of conntrack deaths: the kernel counts them, in sockets that nobody empties.

A netlink socket whose buffer is full drops what comes, and counts what it drops
(net/netlink/af_netlink.c, do_one_broadcast and netlink_overrun). Its filter is
asked before. So a socket with a filter for one kind of death and the smallest
buffer counts that kind exactly, whatever the rate, and nobody is woken: what it
dropped, and the few events that it had room for, are all of them.

Knows the sockets; which deaths they count is in :mod:`natobs.kernel.conntrack_filter`.
Sources: netlink(7), socket(7), include/uapi/linux/sock_diag.h (SK_MEMINFO_DROPS).
"""

import errno
import socket
import struct

from natobs.errors import FormatError
from natobs.kernel import conntrack_events, netlink
from natobs.kernel.conntrack_filter import PROGRAMS, Death
from natobs.kernel.live_tap import attach_filter
from natobs.kernel.machine import FROM_NOW_ON, unavailable
from natobs.kernel.wrapping import increment

_GROUP_DESTROY = 1 << 2
"""NFNLGRP_CONNTRACK_DESTROY is group 3."""
_SO_MEMINFO = 55  # asm-generic/socket.h, since Linux 4.12
_MEMINFO = struct.Struct("=9I")
_DROPS = 8
_EVENT_BYTES = 4096
_MOST_READS = 16
"""An emptied socket takes new events at once; what is left is counted at the next look."""


class _Tally:
    """One socket, which counts one kind of death."""

    def __init__(self, death: Death) -> None:
        self.death = death
        self.total = 0
        self.sample: bytes | None = None
        self._drops = 0
        self._socket = socket.socket(
            socket.AF_NETLINK,
            socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK,
            netlink.NETLINK_NETFILTER,
        )
        try:
            attach_filter(self._socket, PROGRAMS[death])
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)  # the kernel makes it SOCK_MIN_RCVBUF
            self._dropped()  # an old kernel says here that it does not count
            self._socket.bind((0, _GROUP_DESTROY))
        except OSError:
            self._socket.close()
            raise

    def look(self) -> None:
        """Bring the total up to date; a sample is the last event of which the bytes were seen.

        Raises:
            OSError: the socket broke.
        """
        for _read in range(_MOST_READS):
            try:
                self.sample = self._socket.recv(_EVENT_BYTES)
                self.total += 1
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:  # which says that it was full: what it is for
                    raise
        dropped = self._dropped()
        self.total += increment(self._drops, dropped)
        self._drops = dropped

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _dropped(self) -> int:
        drops: int = _MEMINFO.unpack(self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size))[_DROPS]
        return drops


class ConntrackDeaths:
    """Totals of all kinds of death in this network namespace since it was opened, one message a look.

    Raises:
        OSError: no CAP_NET_ADMIN, no ctnetlink in the kernel, or one older than 4.12.
    """

    def __init__(self) -> None:
        self._tallies: list[_Tally] = []
        self._announced = False
        self._told = False
        self._detailed: bool | None = None
        try:
            for death in Death:
                self._tallies.append(_Tally(death))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """None to wait for."""
        return -1

    def read(self) -> bytes | None:
        """The totals as :func:`natobs.kernel.conntrack_events.message`, then None once; and so on."""
        if not self._announced:
            self._announced = True
            return FROM_NOW_ON
        self._told = not self._told
        if not self._told:
            return None
        try:
            for tally in self._tallies:
                tally.look()
        except OSError as error:
            raise unavailable("conntrack events", error.errno or 0) from error
        if self._detailed is None:
            self._detailed = self._examine()
        return conntrack_events.message(
            conntrack_events.Deaths({tally.death: tally.total for tally in self._tallies}, self._detailed)
        )

    def close(self) -> None:
        """Close the sockets."""
        for tally in self._tallies:
            tally.close()

    def _examine(self) -> bool | None:
        samples = (tally.sample for tally in self._tallies if tally.death is Death.ANY_TCP)
        sample = next(samples)
        if sample is None:
            return None
        try:
            return conntrack_events.is_detailed(sample)
        except FormatError:
            return None
