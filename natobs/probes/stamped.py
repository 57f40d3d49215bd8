"""A connected datagram socket whose packets the kernel stamps, and whose ICMP errors it hands over.

Knows the error queue and the two stamps of the packet in flight; refuses to
know what the packets mean. One packet is in flight at a time.
"""

import contextlib
import functools
import os
import socket
import time

from natobs.errors import FormatError
from natobs.probes.sockets import connect
from natobs.wire import timestamps
from natobs.wire.timestamps import ExtendedError

_SMALLEST_BUFFER = 2048
_CONTROL_BYTES = 64
"""Room for three time stamps of 16 bytes each."""
_SETTLE_SECONDS = 0.5
_SETTLE_STEP_SECONDS = 0.002
_MOST_ERRORS = 64
"""Messages read from the error queue at once: bounded, whatever somebody sends."""

_TRUNCATED = int(socket.MSG_TRUNC)
_ERROR_QUEUE = int(socket.MSG_ERRQUEUE)
"""Plain numbers: as members of an enumeration they are joined by Python code, for each packet."""

_RECVERR = {
    socket.AF_INET: (socket.IPPROTO_IP, timestamps.IP_RECVERR),
    socket.AF_INET6: (socket.IPPROTO_IPV6, timestamps.IPV6_RECVERR),
}
_PACKET_NUMBERS = 1 << 32
_FAILED_PACKETS = 1 << 16
"""How far the kernel's count may be ahead of ours: it counts packets that failed to be sent, in some versions."""


class StampedSocket:
    """Wraps a datagram socket, connects it, and asks the kernel for stamps and errors.

    Args:
        opened: non-blocking; belongs to this object from now on.
        peer: numeric address and port; port 0 where the protocol has none.

    Raises:
        OSError: as :func:`natobs.probes.sockets.connect`.
    """

    __slots__ = ("_number", "sent_stamp", "socket")

    def __init__(self, opened: socket.socket, peer: tuple[str, int]) -> None:
        self.socket = opened
        self.sent_stamp: int | None = None
        """When the kernel sent the last packet, once :meth:`read_errors` has found it."""
        self._number = -1
        try:
            opened.setsockopt(*_RECVERR[opened.family], 1)
            hold_stamping()
            _ask_for_stamps(opened)
            connect(opened, peer)
        except BaseException:
            opened.close()
            raise

    @property
    def port(self) -> int:
        """The local port."""
        return int(self.socket.getsockname()[1])

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self.socket.fileno()

    def send(self, payload: bytes) -> None:
        """Send one packet; :attr:`sent_stamp` is then its own.

        Raises:
            OSError: it was not sent.
        """
        self.sent_stamp = None
        self.socket.send(payload)
        self._number = (self._number + 1) % _PACKET_NUMBERS

    def receive(self, size: int) -> tuple[bytes, int | None] | None:
        """One datagram and the kernel's stamp of its arrival; None where there is nothing, or what is longer than size.

        Raises:
            OSError: an error of the socket; the error queue tells more.
            BlockingIOError: nothing is there.
        """
        data, ancillary, flags, _peer = self.socket.recvmsg(max(size, _SMALLEST_BUFFER), timestamps.CONTROL_BYTES)
        if flags & _TRUNCATED:
            return None
        try:
            return data, timestamps.software_stamp(ancillary)
        except FormatError:
            return data, None

    def read_stamp(self) -> list[tuple[ExtendedError, bytes]]:
        """Take one message from the error queue: right after sending it is nearly always the send stamp."""
        return self.read_errors(1)

    def read_errors(self, most: int = _MOST_ERRORS) -> list[tuple[ExtendedError, bytes]]:
        """Empty the error queue: note the send stamp, and give the ICMP errors, each with what it quotes of the packet.

        While something is in the queue, poll(2) wakes at once, whatever it was asked to wait for.
        """
        errors: list[tuple[ExtendedError, bytes]] = []
        for _ in range(most):
            try:
                quoted, ancillary, _flags, _peer = self.socket.recvmsg(
                    _SMALLEST_BUFFER, timestamps.CONTROL_BYTES, _ERROR_QUEUE
                )
            except OSError:
                break  # empty
            try:
                found = timestamps.extended_error(ancillary)
                stamp = timestamps.software_stamp(ancillary)
            except FormatError:
                continue
            if found is None:
                continue
            if found.origin != timestamps.ORIGIN_TIMESTAMPING:
                errors.append((found, quoted))
            elif (found.data - self._number) % _PACKET_NUMBERS <= _FAILED_PACKETS:
                self._number = found.data
                self.sent_stamp = stamp
        return errors

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def _ask_for_stamps(opened: socket.socket) -> None:
    """Ask for the best that the kernel gives; without any, the program's clock has to do, and results say so."""
    for option in (timestamps.SO_TIMESTAMPING_NEW, timestamps.SO_TIMESTAMPING_OLD):
        for flags in (timestamps.SEND_AND_RECEIVE, timestamps.RECEIVE):
            with contextlib.suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, option, flags)
                return


@functools.cache
def hold_stamping() -> None:
    """Keep the kernel stamping received packets for as long as this process lives, and wait until it does.

    It begins some time after the first socket has asked for it, and ends with the last
    (net/core/dev.c, net_enable_timestamp): a socket opened for one packet would get none.
    The one descriptor that this takes is never given back. Where loopback is down there is
    nothing to wait with, and the first round trips may have the program's clock.
    """
    keeper = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    _ask_for_stamps(keeper)
    with contextlib.suppress(OSError):
        keeper.bind(("127.0.0.1", 0))
        keeper.settimeout(_SETTLE_SECONDS)
        _await_stamps(keeper)
    os.set_inheritable(keeper.detach(), False)


def _await_stamps(keeper: socket.socket) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < deadline:
        keeper.sendto(b"", keeper.getsockname())
        _data, ancillary, _flags, _peer = keeper.recvmsg(1, socket.CMSG_SPACE(_CONTROL_BYTES))
        if timestamps.software_stamp(ancillary) is not None:
            return
        time.sleep(_SETTLE_STEP_SECONDS)
