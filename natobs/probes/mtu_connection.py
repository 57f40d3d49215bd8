"""Whether TCP gets full-size segments across: some data to any TCP service, and what the kernel says became of it.

Nothing has to answer but the other side's TCP. Knows TCP_INFO; refuses to know
what the path does to other packets. Sizes are bytes.
"""

import contextlib
import socket
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum, auto

from natobs.errors import FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes.connect import connect, read_info
from natobs.probes.model import Wait
from natobs.probes.progress import FailedError, Progress
from natobs.probes.resolve import Address
from natobs.wire.tcp_info import TcpInfo

_TIMESTAMP_BYTES = 12
_HEADERS = {socket.AF_INET: 20 + 20, socket.AF_INET6: 40 + 20}
_SEGMENTS = 3
_ENOUGH_RETRANSMITS = 2
"""The first may be bad luck."""


class Fate(Enum):
    """What became of the data."""

    UNKNOWN = auto()
    PASSED = auto()
    STUCK = auto()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What TCP shows.

    Args:
        fate: of the data.
        packet: bytes of the largest IP packets that TCP sends here.
        offered: MSS that this side offered.
        used: MSS that was agreed on: lower when the other side, or somebody on the way, wanted it so.
        unacked: segments without an acknowledgement.
        retransmits: segments sent again.
    """

    fate: Fate
    packet: int = 0
    offered: int = 0
    used: int = 0
    unacked: int = 0
    retransmits: int = 0

    @property
    def clamped(self) -> bool:
        """Whether smaller segments were agreed on than this side could have sent."""
        return self.used < self.offered


class Connection:
    """A connection that data was sent on.

    Args:
        opened: connected; belongs to this object from now on.
        full: bytes of a full packet.
    """

    def __init__(self, opened: socket.socket, full: int) -> None:
        self._socket = opened
        self._start = read_info(opened)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = opened.send(bytes(_SEGMENTS * full))

    def evidence(self) -> Evidence:
        """What is known by now."""
        start = self._start
        options = _TIMESTAMP_BYTES if start.timestamps else 0  # the kernel has taken them off both
        used = start.snd_mss + options
        try:
            info = read_info(self._socket)
        except (OSError, FormatError):
            info = start
        retransmits = info.total_retrans - start.total_retrans
        return Evidence(
            self._fate(info, retransmits),
            used + _HEADERS[self._socket.family],
            start.advmss + options,
            used,
            info.unacked,
            retransmits,
        )

    def _fate(self, info: TcpInfo, retransmits: int) -> Fate:
        acked = (info.bytes_acked or 0) - (self._start.bytes_acked or 0)
        if acked >= min(self._start.snd_mss, self._sent):
            return Fate.PASSED
        # The timer has gone off, so there was time for an answer to what had been sent again before.
        stuck = info.unacked and info.retransmits and retransmits >= _ENOUGH_RETRANSMITS
        return Fate.STUCK if stuck else Fate.UNKNOWN

    def close(self) -> None:
        """Close it; with what it has not sent yet."""
        with contextlib.suppress(OSError):
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()


def begin(settings: ProbeSettings, address: Address, full: int) -> Generator[Wait, None, Connection | None]:
    """Connect and send three full packets' worth; None where no connection came to stand."""
    try:
        opened = yield from connect(settings, address, Progress())
    except (FailedError, OSError):
        return None
    try:
        return Connection(opened, full)
    except (OSError, FormatError):
        opened.close()
        return None
