"""Datagrams of exact size that nobody may fragment: which of them come back, and who says that they are too big.

Goes to one address and needs no privilege: IP_PMTUDISC_PROBE sets "don't fragment" and disregards the
path MTU that the kernel has learnt; the error queue (ip(7), IP_RECVERR) gives
the ICMP errors. A datagram is a STAMP packet, so any echo or STAMP reflector
that answers with as many bytes will do. Sizes are whole IP packets in bytes.
Refuses to know which sizes to try, and what the result means.
"""

import contextlib
import errno
import os
import secrets
import socket
import sys
import time
from collections.abc import Iterable

from natobs.errors import FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes import arrival
from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import IcmpError, Outcome
from natobs.probes.resolve import Address
from natobs.probes.sockets import connect, open_socket
from natobs.wire import stamp, timestamps, token

HEADERS = {socket.AF_INET: 20 + 8, socket.AF_INET6: 40 + 8}
"""Bytes of IP and UDP headers."""
LARGEST_PACKET = 65_535

_IP_MTU_DISCOVER = 10
_IPV6_MTU_DISCOVER = 23
_PMTUDISC_PROBE = 3
_IP_RECVFRAGSIZE = 25
_IPV6_RECVFRAGSIZE = 77
_OPTIONS = {
    socket.AF_INET: (socket.IPPROTO_IP, _IP_MTU_DISCOVER, timestamps.IP_RECVERR, _IP_RECVFRAGSIZE),
    socket.AF_INET6: (socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, timestamps.IPV6_RECVERR, _IPV6_RECVFRAGSIZE),
}
_FRAGMENT = {(level, fragments) for level, _discover, _errors, fragments in _OPTIONS.values()}
_ORIGINS = (timestamps.ORIGIN_ICMP, timestamps.ORIGIN_ICMP6)
_MOST_READ = 64
_TOKEN = slice(token.STAMP_OFFSET, token.STAMP_OFFSET + token.SIZE)
_BUFFER_BYTES = 1 << 18


class Datagrams:
    """A socket to one address.

    Args:
        settings: of the probe.
        address: of an echo or a STAMP reflector.

    Raises:
        OSError: no route, and so on.
    """

    def __init__(self, settings: ProbeSettings, address: Address) -> None:
        family, destination = address
        self.headers = HEADERS[family]
        self.smallest = self.headers + stamp.PADDED_SIZE
        self.told: IcmpError | None = None
        """The smallest packet-too-big that came."""
        self.local_limit = LARGEST_PACKET
        """What this host itself lets out, as far as it is known."""
        self.fragment = 0
        """Size of the largest fragment of an answer that came back in pieces; 0 as long as none did."""
        self.failure: Outcome | None = None
        """What another ICMP error, or one of the kernel's own, says."""
        self.newest = 0
        """The number of the newest packet that was answered; they are numbered from 1."""
        self.arrived = 0.0
        """When the newest answer came, in seconds of the monotonic clock."""
        self._peer = destination[0]
        self._begun = time.monotonic()
        self._sent: dict[bytes, tuple[int, int]] = {}
        """Number and size by token."""
        self._sequence = 0
        self._socket = open_socket(settings, family, socket.SOCK_DGRAM)
        try:
            level, discover, errors, fragments = _OPTIONS[family]
            self._socket.setsockopt(level, discover, _PMTUDISC_PROBE)
            self._socket.setsockopt(level, errors, 1)
            with contextlib.suppress(OSError):  # before Linux 4.10
                self._socket.setsockopt(level, fragments, 1)
            with contextlib.suppress(OSError):  # before Linux 5.1: no stamps
                self._socket.setsockopt(socket.SOL_SOCKET, timestamps.SO_TIMESTAMPING_NEW, timestamps.RECEIVE)
            # A round of jumbo frames: an answer must not be lost for want of room here.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            connect(self._socket, destination)
        except BaseException:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """The descriptor to wait for."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def interface_mtu(self) -> int:
        """The MTU of the interface towards the address, which the kernel tells when asked to send too much.

        Nothing is sent, unless the interface takes packets of the largest size there is, as loopback does.
        """
        self.send((LARGEST_PACKET,))
        return self.local_limit

    def send(self, sizes: Iterable[int]) -> int:
        """Send one packet of each size, and give the number of the last.

        One that this host does not let out shows in ``local_limit``.
        """
        for size in sizes:
            key = secrets.token_bytes(token.SIZE)  # without the mark of packets whose way is followed: these may vanish
            self._sequence += 1
            packet = stamp.encode_request(self._sequence, time.time_ns(), key, size - self.headers)
            self._sent[key] = self._sequence, size
            for _again in range(2):  # an ICMP error that has come meanwhile is reported instead of sending
                try:
                    self._socket.send(packet)
                except BlockingIOError:
                    break  # no room: as good as lost
                except OSError as error:
                    self._read_errors()
                    if error.errno != errno.EMSGSIZE and self.failure is None:
                        raise
                    if self.local_limit < size or self.failure is not None:
                        break
                else:
                    break
        return self._sequence

    def receive(self) -> list[int]:
        """The sizes that were answered since, in one piece; what else came is in the other attributes."""
        answered: list[int] = []
        for _ in range(_MOST_READ):
            try:
                data, ancillary, _flags, _peer = self._socket.recvmsg(LARGEST_PACKET, timestamps.CONTROL_BYTES)
            except BlockingIOError:
                break
            except OSError:
                continue  # one error is given like this, and all of them by the queue
            number, size = self._sent.get(data[_TOKEN], (0, 0))
            if len(data) + self.headers == size:
                fragment = _fragment(ancillary)
                self.fragment = max(self.fragment, fragment)
                if not fragment:
                    answered.append(size)
                self.newest = max(self.newest, number)
                self.arrived = arrival.moment(ancillary, self._begun)
        self._read_errors()
        return answered

    def _read_errors(self) -> None:
        for _ in range(_MOST_READ):
            try:
                _data, ancillary, _flags, _peer = self._socket.recvmsg(0, timestamps.CONTROL_BYTES, socket.MSG_ERRQUEUE)
            except OSError:
                return
            with contextlib.suppress(FormatError):
                error = timestamps.extended_error(ancillary)
                if error is not None:
                    self._note(error)

    def _note(self, error: timestamps.ExtendedError) -> None:
        if error.origin not in _ORIGINS:
            if error.errno == errno.EMSGSIZE and error.info:
                self.local_limit = min(self.local_limit, error.info)
            return
        icmp = IcmpError(error.type, error.code, error.offender)
        if error.errno == errno.EMSGSIZE:
            if self.told is None or error.info < self.told.mtu:
                self.told = IcmpError(error.type, error.code, error.offender, error.info)
        elif self.failure is None:
            self.failure = outcome_of(OSError(error.errno, os.strerror(error.errno)), icmp, self._peer)


def _fragment(ancillary: timestamps.Ancillary) -> int:
    """Size of the largest fragment that a datagram was put together from, headers included; 0 where it came whole."""
    for level, kind, data in ancillary:
        if (level, kind) in _FRAGMENT:
            return int.from_bytes(data, sys.byteorder)
    return 0
