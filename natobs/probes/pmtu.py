"""The kind ``pmtu``: does a packet of full size pass and come back, and if not, what happens to it.

Four states are told apart, without any privilege: *clean*; *packet too big*, an
ICMP error says how much passes; *black hole*, what is too big vanishes without
a word, and TCP hangs; *clamped*, it vanishes, but somebody on the way has
lowered TCP's segment size. The path MTU is then searched for. Full size is
``payload_bytes`` and headers, or the MTU of the interface. Knows the order of
the steps and the words for the result.
"""

import time
from collections.abc import Generator
from contextlib import closing

from natobs.probes import mtu_connection
from natobs.probes.environment import Environment
from natobs.probes.model import ExpiredError, IcmpError, Outcome, PathState, Prober, Reason, Steps, Target, Wait
from natobs.probes.mtu_connection import Connection, Evidence, Fate
from natobs.probes.mtu_datagrams import Datagrams
from natobs.probes.mtu_search import Search
from natobs.probes.payload import size_of
from natobs.probes.resolve import Address, ResolveError
from natobs.wire import stamp

_GRACE_SECONDS = 0.02
"""Beyond the round trip: the other side is a program."""
_AGAIN_SECONDS = 0.1
_CONNECT_SECONDS = 0.2
_LOOK_SECONDS = 0.05
_NEVER = 1 << 62


class PmtuKind:
    """The kind ``pmtu``."""

    name = "pmtu"
    default_port = stamp.PORT

    def open(self, target: Target, environment: Environment) -> Prober:
        size_of(target.settings, stamp.PADDED_SIZE, "a datagram of the kind pmtu")
        return PmtuProber(target, environment)


class PmtuProber:
    """Probes the path to one target, and remembers what it found."""

    def __init__(self, target: Target, environment: Environment) -> None:
        self._target = target
        self._environment = environment
        self._known: dict[Address, Search] = {}
        """Of the address probed last."""

    def attempt(self, number: int) -> Steps:
        target, resolver = self._target, self._environment.resolver
        deadline = time.monotonic() + target.settings.timeout_seconds
        try:
            address = yield from resolver.address(target.host, target.port, target.settings.family, number)
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        with (
            closing(Datagrams(target.settings, address)) as datagrams,
            closing(_Attempt(target, address, datagrams, self._known.get(address))) as attempt,
        ):
            try:
                yield from attempt.run()
            except ExpiredError:
                if not attempt.search.low:
                    raise
            if attempt.search.low:
                self._known = {address: attempt.search}
            outcome = attempt.outcome()
            late = datagrams.arrived - deadline
            if outcome.success and late > 0:  # the engine was held up
                return Outcome(Reason.LATE, f"the answer came {late:.3f} s after the time limit")
            return outcome

    def close(self) -> None:
        """Nothing is kept open."""


class _Attempt:
    def __init__(self, target: Target, address: Address, datagrams: Datagrams, known: Search | None) -> None:
        self._target = target
        self._address = address
        self._datagrams = datagrams
        wanted = target.settings.payload_bytes
        full = wanted + datagrams.headers if wanted else datagrams.interface_mtu()
        self.search = Search(datagrams.smallest, full, known)
        self._connection: Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def run(self) -> Generator[Wait, None, None]:
        """Find out all there is to find out; may end earlier by an error or the time limit."""
        search, datagrams = self.search, self._datagrams
        sizes = search.next()
        begun = time.monotonic()
        datagrams.send(sizes)
        while not search.low:
            self._hear()
            if datagrams.failure is not None:
                return
            if not search.low:
                yield Wait(datagrams.fileno())
        trip = time.monotonic() - begun
        yield from self._listen(sizes, trip)
        if search.clean:
            return
        if not (datagrams.told or datagrams.fragment or datagrams.local_limit < search.full):
            yield from self._connect(4 * trip + _CONNECT_SECONDS)
        while not search.settled:
            sizes = search.next()
            datagrams.send(sizes)
            yield from self._listen(sizes, trip)
        while self._tcp_may_tell():
            yield from self._hear_until((), time.monotonic() + _LOOK_SECONDS)

    def outcome(self) -> Outcome:
        """What is known by now, in words."""
        search, datagrams = self.search, self._datagrams
        if search.clean:
            return Outcome(path_mtu=search.full, path_state=PathState.CLEAN)
        if not search.low:
            assert datagrams.failure is not None  # else the time limit has ended the attempt
            return datagrams.failure
        found = (
            f"{search.low} bytes pass" if search.settled else f"between {search.low} and {search.high - 1} bytes pass"
        )
        size = f"packets of {search.full} bytes do not pass, {found}"
        told = self._believed(datagrams.told)
        if told is not None:
            state, words = PathState.PACKET_TOO_BIG, f"packet too big: {size}, as {told.sender} says"
        elif datagrams.fragment:
            words = f"fragmented: {size} whole, their answers come in fragments of {datagrams.fragment}"
            state = PathState.FRAGMENTED
        elif datagrams.local_limit < search.full:
            words = f"packet too big: {size}, this host's interface takes {datagrams.local_limit}"
            state = PathState.PACKET_TOO_BIG
        else:
            evidence = Evidence(Fate.UNKNOWN) if self._connection is None else self._connection.evidence()
            state, words = _silent(size, search, evidence)
        mtu = search.low if search.settled else None
        return Outcome(Reason.MTU, words, path_mtu=mtu, path_state=state, icmp=told)

    def _tcp_may_tell(self) -> bool:
        connection = self._connection
        return connection is not None and not self.search.clean and connection.evidence().fate is Fate.UNKNOWN

    def _believed(self, told: IcmpError | None) -> IcmpError | None:
        """The ICMP error, unless less passes than it says: who follows it falls into a hole behind."""
        return told if told is not None and (not told.mtu or told.mtu <= self.search.low) else None

    def _hear(self) -> None:
        datagrams, search = self._datagrams, self.search
        for size in datagrams.receive():
            search.passed(size)
        search.limit(datagrams.local_limit)
        if datagrams.told is not None:
            search.limit(datagrams.told.mtu)

    def _listen(self, sizes: tuple[int, ...], trip: float) -> Generator[Wait, None, None]:
        """Wait for the answers to one round, until nothing more can be learnt from it.

        What is not there after a round trip may be late: the reflector is busy, or the line slow. So a small packet
        is sent after it; when that one's answer comes first, the others are lost.
        """
        self._hear()
        yield from self._hear_until(sizes, time.monotonic() + trip + _GRACE_SECONDS)
        while self.search.awaits(sizes):
            follower = self._datagrams.send((self._datagrams.smallest,))
            yield from self._hear_until(sizes, time.monotonic() + 3 * trip + _AGAIN_SECONDS, follower)
            if self._datagrams.newest >= follower:
                self.search.lost(sizes)
                return

    def _hear_until(self, sizes: tuple[int, ...], end: float, follower: int = _NEVER) -> Generator[Wait, None, None]:
        """Hear what comes until a time, or as soon as the sizes awaited or the follower are answered."""
        while (left := end - time.monotonic()) > 0 and self._datagrams.newest < follower:
            if sizes and not self.search.awaits(sizes):
                return
            yield Wait(self._datagrams.fileno(), seconds=left)
            self._hear()

    def _connect(self, seconds: float) -> Generator[Wait, None, None]:
        """Begin the TCP check; its data then travels while the search goes on."""
        (family, (host, port)), settings = self._address, self._target.settings
        address = family, (host, settings.pmtu.tcp_port or port)
        steps = mtu_connection.begin(settings, address, self.search.full)
        end = time.monotonic() + seconds
        try:
            while True:
                wait = next(steps)  # first: an engine that was held up finds what came in time
                if (left := end - time.monotonic()) <= 0:
                    return
                yield Wait(wait.descriptor, wait.write, left)
        except StopIteration as done:
            self._connection = done.value
        finally:
            steps.close()


def _silent(size: str, search: Search, evidence: Evidence) -> tuple[PathState, str]:
    """The state where what is too big vanishes, by what TCP shows."""
    if evidence.fate is Fate.STUCK:
        return PathState.BLACK_HOLE, (
            f"black hole: {size}, no ICMP error comes, and TCP hangs "
            f"({evidence.unacked} segments unacknowledged, {evidence.retransmits} sent again)"
        )
    if evidence.fate is Fate.UNKNOWN:
        return PathState.SILENT, f"silent: {size}, and no ICMP error comes; TCP did not tell whether it hangs too"
    if evidence.packet >= search.full:
        return PathState.UDP_ONLY, f"UDP only: {size} by UDP, but TCP's do"
    if evidence.clamped:
        return PathState.CLAMPED, (
            f"clamped: {size}, and no ICMP error comes; TCP passes, since its segments were lowered "
            f"from {evidence.offered} to {evidence.used} bytes"
        )
    return PathState.KNOWN, f"known: {size}; TCP passes, since this host has learnt that {evidence.packet} bytes do"
