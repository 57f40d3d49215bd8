"""One datagram out, the matching one back: round trip from the kernel's stamps, late answers, ICMP errors.

Shared by the kinds whose exchange is a pair of packets. Refuses to know what is
in them: a kind says what a packet is and reads the answer, with the key that
tells whose answer it is.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from typing import Generic, TypeVar

import msgspec

from natobs.errors import FormatError
from natobs.probes import clocks
from natobs.probes.environment import Environment
from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import Clock, ExpiredError, IcmpError, Outcome, Reason, Target, Wait
from natobs.probes.stamped import StampedSocket
from natobs.wire import timestamps
from natobs.wire.timestamps import ExtendedError

_MOST_READ = 64
"""Datagrams read before the engine has its turn again."""
_MOST_OWED = 16
_SECOND = 1e9
_MTU_ERRORS = {(timestamps.ORIGIN_ICMP, 3, 4), (timestamps.ORIGIN_ICMP6, 2, 0)}
"""Fragmentation needed (RFC 1191), packet too big (RFC 4443): their info is the next hop's MTU."""

T = TypeVar("T")

Key = bytes
"""What tells an answer from all others: it is different for each packet sent."""
Read = Callable[[bytes], tuple[Key, T]]
"""Reads a datagram: its key, and what it says. FormatError where it is no answer."""


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """The matching answer.

    Args:
        said: what it says.
        sent: the kernel's stamp of sending in nanoseconds, or the program's time where the kernel gave none.
        received: the kernel's stamp of arrival, likewise.
        clock: whose times these are.
        stepped: whether the clock was set meanwhile: the difference then means nothing.
    """

    said: T
    sent: int
    received: int
    clock: Clock
    stepped: bool


class Channel:
    """A socket to one peer, and the answers that are still owed on it.

    Args:
        stamped: belongs to this object from now on.
        peer: numeric address and port that it is connected to.
        owed: keys that an earlier socket of the same port waited for.
        compared_from: bytes at the beginning of a packet that the kernel or a NAT fills in, so that what an ICMP
            error quotes is compared behind them.
    """

    __slots__ = ("_compared_from", "failed", "owed", "peer", "stamped")

    def __init__(
        self, stamped: StampedSocket, peer: tuple[str, int], owed: deque[Key] | None = None, compared_from: int = 0
    ) -> None:
        self.stamped = stamped
        self.peer = peer
        self.owed: deque[Key] = deque(maxlen=_MOST_OWED) if owed is None else owed
        self.failed = False
        """Whether it is to be opened anew before it is used again: this host's address may have changed."""
        self._compared_from = compared_from

    def close(self) -> None:
        """Close the socket."""
        self.stamped.close()

    def collect_late(self, read: Read[T], size: int) -> int:
        """Read what came since the last exchange, and count the answers to earlier packets."""
        if not self.owed:
            return 0
        count = 0
        for _ in range(_MOST_READ):
            try:
                found = self._next(read, size)
            except BlockingIOError:
                break
            except OSError:
                continue  # an ICMP error, which says nothing any more
            count += found is not None and self._is_late(found[0])
        self.stamped.read_errors()
        return count

    def _next(self, read: Read[T], size: int) -> tuple[Key, T, int | None] | None:
        """Read a datagram: key, what it says, stamp; None where it is no answer."""
        found = self.stamped.receive(size)
        if found is None:
            return None
        try:
            return *read(found[0]), found[1]
        except FormatError:
            return None

    def _is_late(self, key: Key) -> bool:
        if key not in self.owed:
            return False
        self.owed.remove(key)
        return True

    def exchange(
        self, payload: bytes, key: Key, read: Read[T], late: Callable[[], None]
    ) -> Generator[Wait, None, Answer[T] | Outcome]:
        """Send a packet and wait for its answer; to be used with ``yield from``.

        Args:
            payload: what is sent.
            key: of the answer.
            read: makes something of a datagram that came.
            late: called for each answer to an earlier packet.

        Returns:
            The answer, or the outcome that an ICMP error makes.

        Raises:
            OSError: the packet was not sent, or the socket failed otherwise.
        """
        start = clocks.now()
        try:
            self._send(payload)
            found: Answer[T] | Outcome | None = self._refused(self.stamped.read_stamp(), payload)
            wait = Wait(self.stamped.fileno())
            while found is None:
                yield wait
                found = self._look(payload, key, read, late, start)
        except (ExpiredError, GeneratorExit):
            self.owed.append(key)
            self.failed = True
            raise
        except OSError:
            self.failed = True
            raise
        if isinstance(found, Outcome):
            self.failed = True
        return found

    def _look(
        self, payload: bytes, key: Key, read: Read[T], late: Callable[[], None], start: clocks.Moment
    ) -> Answer[T] | Outcome | None:
        """Read what has come; None where the answer is not among it."""
        size = len(payload) + timestamps.CONTROL_BYTES
        for _ in range(_MOST_READ):
            try:
                found = self._next(read, size)
            except OSError as failure:
                return self._after_error(failure, payload)
            if found is None:
                continue
            came, said, received = found
            if came == key:
                return self._answer(said, received, start)
            if self._is_late(came):
                late()
        return None

    def _send(self, payload: bytes) -> None:
        try:
            self.stamped.send(payload)
        except OSError:
            # An error that came for an earlier packet, or (to a raw socket) for somebody else's, fails the next call.
            if not self.stamped.read_errors():
                raise
            self.stamped.send(payload)

    def _after_error(self, failure: OSError, payload: bytes) -> Outcome | None:
        """Nothing came (EAGAIN), or an error did: what the error queue makes of it; None to wait on."""
        errors = self.stamped.read_errors()
        outcome = self._refused(errors, payload)
        if outcome is None and not errors and not isinstance(failure, BlockingIOError):
            raise failure
        return outcome

    def _refused(self, errors: Sequence[tuple[ExtendedError, bytes]], payload: bytes) -> Outcome | None:
        """The outcome of the first error that is about this packet.

        A router quotes at least 8 bytes behind the IP header (RFC 792): of a UDP payload maybe nothing.
        """
        start = self._compared_from
        for error, quoted in errors:
            if payload[start:].startswith(quoted[start : len(payload)]):
                return _refusal(error, self.peer[0])
        return None

    def _answer(self, said: T, received: int | None, start: clocks.Moment) -> Answer[T]:
        stamped = self.stamped
        if stamped.sent_stamp is None:
            stamped.read_errors()
        end = clocks.now()
        if received is None:
            return Answer(said, start.monotonic, end.monotonic, Clock.USERSPACE, stepped=False)
        sent, clock = stamped.sent_stamp, Clock.KERNEL_TXRX
        if sent is None:
            sent, clock = start.realtime, Clock.KERNEL_RX
        # a round trip that took longer than all around it shows even a small step forward
        stepped = clocks.stepped(start, end) or received - sent > end.monotonic + end.width - start.monotonic
        return Answer(said, sent, received, clock, stepped)


def success(
    answer: Answer[T],
    target: Target,
    environment: Environment,
    residence: int = 0,
    observed: tuple[str, int] | None = None,
) -> Outcome:
    """The outcome of an answer: its round trip, unless a clock was set, and late where that is above the time limit.

    Args:
        answer: what came.
        target: whom it came from.
        environment: where a rejected round trip is reported.
        residence: nanoseconds that the packet spent at the other side.
        observed: address and port that the other side saw.
    """
    nanoseconds = answer.received - answer.sent
    if answer.stepped or residence < 0 or nanoseconds <= residence:
        environment.notices.clock_reject(target)
        return Outcome(detail="round trip dropped: a clock was set meanwhile", clock=answer.clock, observed=observed)
    limit = target.settings.timeout_seconds
    if nanoseconds / _SECOND > limit:
        return Outcome(Reason.LATE, f"the answer came after {nanoseconds / _SECOND:.3f} s; the limit is {limit:g} s")
    return Outcome(rtt=(nanoseconds - residence) / _SECOND, clock=answer.clock, observed=observed)


def _refusal(error: ExtendedError, peer: str) -> Outcome:
    failure = OSError(error.errno, os.strerror(error.errno))
    if error.origin not in (timestamps.ORIGIN_ICMP, timestamps.ORIGIN_ICMP6):
        return outcome_of(failure)
    mtu = error.info if (error.origin, error.type, error.code) in _MTU_ERRORS else 0
    return outcome_of(failure, IcmpError(error.type, error.code, error.offender, mtu), peer)
