"""The fixed set of channels to one target, used in turn: different source ports try different equal-cost paths.

Knows when a channel is opened anew; refuses to know packets.
"""

import errno
from collections.abc import Callable
from typing import Generic, TypeVar

from natobs.probes.environment import Environment
from natobs.probes.exchange import Channel, Read
from natobs.probes.model import Target
from natobs.probes.resolve import Address
from natobs.probes.stamped import StampedSocket

T = TypeVar("T")

Open = Callable[[Address, int], StampedSocket]
"""Opens a socket to an address from a source port; 0 lets the kernel choose."""


class Rotation(Generic[T]):
    """Channels in turn.

    Args:
        target: whom.
        environment: where late answers are reported.
        count: how many channels.
        opening: opens a socket.
        read: reads an answer, for late ones.
        size: bytes of the longest answer.
        compared_from: see :class:`~natobs.probes.exchange.Channel`.
    """

    def __init__(  # noqa: PLR0913 - a value object in all but name: each is a fact of the kind
        self,
        target: Target,
        environment: Environment,
        *,
        count: int,
        opening: Open,
        read: Read[T],
        size: int,
        compared_from: int = 0,
    ) -> None:
        self._target = target
        self._environment = environment
        self._open = opening
        self._read = read
        self._size = size
        self._compared_from = compared_from
        self._channels: list[Channel | None] = [None] * count
        self._ports = [0] * count
        self._turn = -1

    def next(self, address: Address) -> Channel:
        """The channel whose turn it is, connected to an address.

        One that failed is opened anew, from the same source port: the address of this host may have changed.

        Raises:
            OSError: no socket was to be had, or the kernel knows no way there.
        """
        self.collect_late()
        self._turn = turn = (self._turn + 1) % len(self._channels)
        channel = self._channels[turn]
        if channel is not None and not channel.failed and channel.peer == address[1]:
            return channel
        owed = None
        if channel is not None:
            owed = channel.owed
            self._channels[turn] = None
            channel.close()
        opened = Channel(self._opened(address, turn), address[1], owed, self._compared_from)
        self._channels[turn] = opened
        return opened

    def collect_late(self) -> None:
        """Count what came too late on any of the channels."""
        for channel in self._channels:
            if channel is not None and channel.owed:
                for _ in range(channel.collect_late(self._read, self._size)):
                    self.late()

    def late(self) -> None:
        """Report one late answer."""
        self._environment.notices.late(self._target)

    def close(self) -> None:
        """Close all."""
        for channel in self._channels:
            if channel is not None:
                channel.close()
        self._channels = [None] * len(self._channels)

    def _opened(self, address: Address, turn: int) -> StampedSocket:
        try:
            stamped = self._open(address, self._ports[turn])
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not self._ports[turn]:
                raise
            stamped = self._open(address, 0)  # somebody else has taken it meanwhile
        self._ports[turn] = stamped.port
        return stamped
