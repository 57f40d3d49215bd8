"""This machine: answers queries by asking the running kernel.

Knows which of its parts asks what, and keeps their descriptors open between
scrapes; refuses to know what the answers mean.
"""

import os
import threading

from natobs.kernel.live_ethtool import EthtoolSocket
from natobs.kernel.live_netlink import NetlinkSocket
from natobs.kernel.live_streams import open_stream
from natobs.kernel.live_xtables import ask_xtables
from natobs.kernel.machine import Computed, Ethtool, File, Netlink, Query, Stream, StreamName, Xtables, unavailable

_READ_BYTES = 16 * 1024
"""Holds any file that the agent reads in one system call, on a machine of ordinary size."""


class LiveMachine:
    """The machine that this process runs on, seen from the network namespace that it runs in."""

    def __init__(self) -> None:
        self._netlink: dict[int, NetlinkSocket] = {}
        self._ethtool = EthtoolSocket()
        self._lock = threading.Lock()

    def ask(self, query: Query) -> bytes:
        """The kernel's answer; see :meth:`natobs.kernel.machine.Machine.ask`."""
        match query:
            case File():
                return _read_file(query.path)
            case Netlink():
                with self._lock:
                    connection = self._netlink.get(query.protocol)
                    if connection is None:
                        connection = self._netlink[query.protocol] = NetlinkSocket(query.protocol)
                return connection.ask(query)
            case Ethtool():
                return self._ethtool.ask(query)
            case Xtables():
                return ask_xtables(query)
            case Computed():
                return query.answer()

    def listen(self, name: StreamName) -> Stream:
        """Hear a stream; see :meth:`natobs.kernel.machine.Machine.listen`."""
        return open_stream(name)

    def close(self) -> None:
        """Close every descriptor; the next query opens what it needs again."""
        with self._lock:
            for connection in self._netlink.values():
                connection.close()
            self._ethtool.close()


def _read_file(path: str) -> bytes:
    try:
        # Not open(): files of procfs have no size, and a buffered reader costs twice the system calls.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            chunks = [os.read(descriptor, _READ_BYTES)]
            while chunks[-1]:
                chunks.append(os.read(descriptor, _READ_BYTES))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise unavailable(path, error.errno or 0) from error
    return b"".join(chunks)
