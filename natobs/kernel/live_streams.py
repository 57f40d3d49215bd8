"""Streams of this machine: the kernel log, the events of rtnetlink, probe packets and conntrack deaths, as messages.

Sources: Documentation/ABI/testing/dev-kmsg, include/uapi/linux/rtnetlink.h.
Reading never blocks; messages that the kernel threw away are reported, not hidden.
Each stream says once, by an empty message, where its past ends
(:data:`~natobs.kernel.machine.FROM_NOW_ON`).
"""

import contextlib
import errno
import os
import socket
from collections.abc import Callable

from natobs.errors import UnavailableError
from natobs.kernel import netlink
from natobs.kernel.live_conntrack_events import ConntrackDeaths
from natobs.kernel.live_tap import ProbePackets
from natobs.kernel.machine import FROM_NOW_ON, Stream, StreamName, unavailable

_RECORD_BYTES = 8 * 1024
"""CONSOLE_EXT_LOG_MAX in kernel/printk/internal.h: no record of /dev/kmsg is longer."""
_EVENT_BYTES = 64 * 1024
_EVENT_BACKLOG_BYTES = 4 * 1024 * 1024
"""Room for some 10,000 events while the reader is busy; the kernel charges about 400 bytes for each."""
_SO_RCVBUFFORCE = 33
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE."""


def open_stream(name: StreamName) -> Stream:
    """Start to hear a stream.

    Raises:
        UnavailableError: the kernel has no such stream, or does not let this process hear it.
    """
    try:
        return _OPEN[name]()
    except OSError as error:
        raise unavailable(_WHAT[name], error.errno or 0, _HINTS.get(name, "")) from error


_WHAT = {
    StreamName.KERNEL_LOG: "/dev/kmsg",
    StreamName.ROUTE_EVENTS: "rtnetlink events",
    StreamName.PROBE_PACKETS: "probe packets",
    StreamName.CONNTRACK_DEATHS: "conntrack events",
}
_HINTS = {
    StreamName.KERNEL_LOG: "needs CAP_SYSLOG",
    StreamName.PROBE_PACKETS: "needs CAP_NET_RAW",
    StreamName.CONNTRACK_DEATHS: "needs CAP_NET_ADMIN, and Linux 4.12 or later",
}


class KernelLog:
    """``/dev/kmsg``: one record a read, from the oldest that the ring buffer still holds."""

    def __init__(self) -> None:
        self._descriptor = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._caught_up = False

    def fileno(self) -> int:
        """The descriptor of the device."""
        return self._descriptor

    def read(self) -> bytes | None:
        """The next record; see :meth:`natobs.kernel.machine.Stream.read`."""
        try:
            return os.read(self._descriptor, _RECORD_BYTES)
        except BlockingIOError:
            if self._caught_up:
                return None
            self._caught_up = True
            return FROM_NOW_ON
        except BrokenPipeError as error:
            raise UnavailableError("busy", "/dev/kmsg: records were overwritten before they were read") from error
        except OSError as error:
            raise unavailable("/dev/kmsg", error.errno or 0) from error

    def close(self) -> None:
        """Close the device."""
        os.close(self._descriptor)


class RouteEvents:
    """Link, address and route events of this network namespace, a datagram a read."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, netlink.NETLINK_ROUTE
        )
        self._announced = False
        try:
            # Up to net.core.rmem_max, and beyond it with CAP_NET_ADMIN.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _EVENT_BACKLOG_BYTES)
            with contextlib.suppress(PermissionError):
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _EVENT_BACKLOG_BYTES)
            self._socket.bind((0, _GROUPS))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor of the socket."""
        return self._socket.fileno()

    def read(self) -> bytes | None:
        """The next datagram; see :meth:`natobs.kernel.machine.Stream.read`."""
        if not self._announced:
            self._announced = True
            return FROM_NOW_ON
        try:
            return self._socket.recv(_EVENT_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.ENOBUFS:
                raise UnavailableError("busy", "rtnetlink events: more came than could be queued") from error
            raise unavailable("rtnetlink events", error.errno or 0) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


_OPEN: dict[StreamName, Callable[[], Stream]] = {
    StreamName.KERNEL_LOG: KernelLog,
    StreamName.ROUTE_EVENTS: RouteEvents,
    StreamName.PROBE_PACKETS: ProbePackets,
    StreamName.CONNTRACK_DEATHS: ConntrackDeaths,
}
