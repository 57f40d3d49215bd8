"""An exchange from a fresh source port each time: a new flow through the NAT for each attempt.

Knows how long a socket lives: until its attempt has ended, or, where that timed
out, until the next one begins, so that the late answer is counted. Refuses to
know packets.
"""

import socket
from collections.abc import Generator
from typing import Generic, TypeVar

from natobs.probes.environment import Environment
from natobs.probes.exchange import Answer, Channel, Key, Read
from natobs.probes.model import ExpiredError, Outcome, Target, Wait
from natobs.probes.resolve import Address
from natobs.probes.sockets import open_socket
from natobs.probes.stamped import StampedSocket

T = TypeVar("T")


class Fresh(Generic[T]):
    """The exchanges of one prober.

    Args:
        target: whom.
        environment: where late answers are reported.
        size: bytes of the longest answer.
    """

    def __init__(self, target: Target, environment: Environment, size: int) -> None:
        self._target = target
        self._environment = environment
        self._size = size
        self._lingering: tuple[Channel, Read[T]] | None = None

    def exchange(
        self, address: Address, payload: bytes, key: Key, read: Read[T]
    ) -> Generator[Wait, None, Answer[T] | Outcome]:
        """As :meth:`natobs.probes.exchange.Channel.exchange`, on a socket that is opened for it."""
        family, peer = address
        opened = open_socket(self._target.settings, family, socket.SOCK_DGRAM)
        channel = Channel(StampedSocket(opened, peer), peer)
        keep = False
        try:
            return (yield from channel.exchange(payload, key, read, self._late))
        except ExpiredError:
            keep = True
            raise
        finally:
            if keep:
                self._lingering = channel, read
            else:
                channel.close()

    def settle(self) -> None:
        """Count an answer that came too late for the attempt before; to be called before the next."""
        if self._lingering is not None:
            channel, read = self._lingering
            for _ in range(channel.collect_late(read, self._size)):
                self._late()
            self.close()

    def close(self) -> None:
        """Close what is open."""
        if self._lingering is not None:
            self._lingering[0].close()
            self._lingering = None

    def _late(self) -> None:
        self._environment.notices.late(self._target)
