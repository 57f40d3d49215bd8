"""The stream of probe packets: one packet socket for all devices, with a filter that the kernel runs.

Knows the socket; what passes is decided by :mod:`natobs.kernel.tap_filter`, and
what a message looks like by :mod:`natobs.kernel.tap`. One socket rather than one
a device, because the kernel then tells the order of packets across devices,
devices may come and go, and the cost is the same (``python -m benchmarks.taps``).
Sources: packet(7), socket(7), net/packet/af_packet.c.
"""

import contextlib
import ctypes
import os
import socket
import struct
import time
from collections.abc import Callable

from natobs.errors import UnavailableError
from natobs.kernel import tap
from natobs.kernel.machine import FROM_NOW_ON, unavailable
from natobs.kernel.tap_filter import PROGRAM, SNAP_BYTES

_ETH_P_ALL = 3
"""Only this protocol is shown what the machine sends."""
# Values of asm-generic/socket.h, which of the machines that Debian supports none but SPARC and PA-RISC redefine.
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_SO_RXQ_OVFL = 40
_INSTRUCTION_BYTES = 8
_C = ctypes.CDLL(None, use_errno=True)
_FPROG = struct.Struct("@HP")
_TIMESPEC = struct.Struct("@ll")
_LOST = struct.Struct("=I")
_SOCKADDR_LL = struct.Struct("=H2siHBB8s")
"""struct sockaddr_ll: family, protocol in network order, device (0 is all), and what binding ignores."""
_CONTROL_BYTES = 64
"""For one timespec and one 32-bit number, each with a header of 16 bytes."""
PATIENCE_SECONDS = 600.0
"""Of silence, before it rests."""
REST_SECONDS, LISTEN_SECONDS = 8.0, 2.0
_BACKLOG_BYTES = 4 * 1024 * 1024
"""Room for 4,000 packets of 100 bytes while the reader is busy; the kernel charges about 1 kB for each."""


class Rest:
    """When to listen: always, but after a long silence only a part of the time. Pure.

    Args:
        now: on a monotonic clock.
    """

    def __init__(self, now: float) -> None:
        self._heard = now
        self._turn = now
        self.listening = True

    def heard(self, now: float) -> None:
        """A packet came."""
        self._heard = now

    def due(self, now: float) -> bool:
        """Whether to change over now, from listening to rest or back; :attr:`listening` is what to do then."""
        if now < self._turn or (self.listening and now - self._heard < PATIENCE_SECONDS):
            return False
        self.listening = not self.listening
        self._turn = now + (LISTEN_SECONDS if self.listening else REST_SECONDS)
        return True


class ProbePackets:
    """Probe packets at all devices of this network namespace, loopback excepted.

    Nobody waits for it, so that a probe does not wake the reader four times, and a flood costs no more than the reader
    wants to spend: packets queue up until somebody looks. And while nobody probes it rests most of the time, because
    a packet socket costs every forwarded packet about half a microsecond.

    Args:
        clock: monotonic, in seconds.

    Raises:
        OSError: no CAP_NET_RAW, or no packet sockets in the kernel.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._rest = Rest(clock())
        self._socket: socket.socket | None = _open()
        self._announced = False
        self._lost = 0

    def fileno(self) -> int:
        """None to wait for."""
        return -1

    def read(self) -> bytes | None:
        """The next packet as :func:`natobs.kernel.tap.message`, or :data:`natobs.kernel.tap.RESTING`.

        See :meth:`natobs.kernel.machine.Stream.read`.
        """
        if self._socket is None:
            return self._change() if self._rest.due(self._clock()) else None
        if not self._announced:
            self._announced = True
            return FROM_NOW_ON
        try:
            packet, ancillary, _flags, address = self._socket.recvmsg(SNAP_BYTES, _CONTROL_BYTES)
        except BlockingIOError:
            return self._change() if self._rest.due(self._clock()) else None
        except OSError as error:
            raise unavailable("probe packets", error.errno or 0) from error
        self._rest.heard(self._clock())
        stamp = None
        for _level, kind, data in ancillary:
            if kind == _SO_TIMESTAMPNS:
                stamp = _TIMESPEC.unpack(data)
            elif kind == _SO_RXQ_OVFL:
                (self._lost,) = _LOST.unpack(data)
        if stamp is None:
            raise UnavailableError("busy", "probe packets: one came without a time stamp")
        return tap.message(stamp[0] * 1_000_000_000 + stamp[1], self._lost, address[:3], packet)

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _change(self) -> bytes:
        """Open or close the socket, as it is time for."""
        if not self._rest.listening:
            self.close()
            return tap.RESTING
        try:
            self._socket = _open()
        except OSError as error:
            raise unavailable("probe packets", error.errno or 0) from error
        self._lost = 0
        return FROM_NOW_ON


def _open() -> socket.socket:
    # Without a protocol it hears nothing until it is bound, when the filter is in place.
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, 0)
    try:
        attach_filter(opened, PROGRAM)
        opened.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        opened.setsockopt(socket.SOL_SOCKET, _SO_RXQ_OVFL, 1)
        # Up to net.core.rmem_max, and beyond it with CAP_NET_ADMIN.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BACKLOG_BYTES)
        with contextlib.suppress(PermissionError):
            opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BACKLOG_BYTES)
        _bind_to_all(opened)
    except OSError:
        opened.close()
        raise
    return opened


def _bind_to_all(opened: socket.socket) -> None:
    """Hear every device; Python's own ``bind`` wants the name of one.

    Raises:
        OSError: from bind(2).
    """
    address = _SOCKADDR_LL.pack(socket.AF_PACKET, _ETH_P_ALL.to_bytes(2, "big"), 0, 0, 0, 0, b"")
    if _C.bind(opened.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def attach_filter(opened: socket.socket, program: bytes) -> None:
    """Have the kernel drop what a classic BPF program refuses before the socket sees it.

    Args:
        opened: any socket.
        program: instructions as ``struct sock_filter``.

    Raises:
        OSError: the kernel does not accept the program.
    """
    instructions = ctypes.create_string_buffer(program, len(program))
    argument = _FPROG.pack(len(program) // _INSTRUCTION_BYTES, ctypes.addressof(instructions))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, argument)
