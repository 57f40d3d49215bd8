"""Every way in which a dump ends, played by a socket that answers as the kernel does."""

import errno
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network

import msgspec
import pytest

from natobs.errors import UnavailableError
from natobs.kernel import conntrack, flow_census, flow_dump, netlink
from natobs.kernel.flow_aggregate import Scope
from natobs.kernel.flow_census import Limits, take
from natobs.kernel.flow_dump import Dump
from natobs.kernel.flow_results import Census
from natobs.kernel.machine import Query
from tests import flow_messages as make
from tests.fakes import FakeMachine

ENTRIES = [make.entry(("10.0.0.1", port), ("192.0.2.1", 443), ("203.0.113.1", port)) for port in range(500)]
SCOPE = Scope((ip_network("10.0.0.0/8"),))
Script = list[bytes | float]


@contextmanager
def kernel(script: Script) -> Iterator[socket.socket]:
    """A socket whose other end waits for the request, then sends datagrams, with pauses in between."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def answer() -> None:
        try:
            request = theirs.recv(100)
            assert struct.unpack("=IHH", request[:8]) == (20, 0x101, 0x301)
            for part in script:
                if isinstance(part, float):
                    time.sleep(part)
                else:
                    theirs.send(part)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with ours:
            yield ours
    finally:
        thread.join()
        theirs.close()


def datagrams(count: int = 500) -> Script:
    return [b"".join(ENTRIES[start : start + 100]) for start in range(0, count, 100)]


def run(script: Script, seconds: float = 20.0, block_bytes: int = 1 << 20) -> tuple[Dump, int, int]:
    with kernel(script) as connection:
        dump = Dump(connection, time.monotonic() + seconds, block_bytes)
        blocks = [len(frames.starts) for frames in dump.blocks()]
    return dump, sum(blocks), len(blocks)


class Clock:
    """Stands still until a test moves it."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    for module in (flow_dump, flow_census):
        monkeypatch.setattr(module, "time", made)
    return made


@pytest.mark.parametrize("block_bytes", [1, 30_000, 1 << 20])
def test_a_whole_dump(block_bytes: int) -> None:
    dump, flows, blocks = run([*datagrams(), make.done()], block_bytes=block_bytes)
    assert (flows, dump.messages, dump.trouble) == (500, 501, "")
    assert dump.bytes == sum(map(len, ENTRIES)) + 20
    assert blocks <= max(1, dump.bytes // block_bytes + 1) + 6


def test_the_end_may_stand_in_the_last_datagram_and_datagrams_may_end_anywhere() -> None:
    odd = make.message(ENTRIES[0][16:] + struct.pack("=HH", 5, 99) + b"x")[:-3]
    dump, flows, _blocks = run([odd, ENTRIES[1] + make.done()])
    assert (flows, dump.trouble, dump.malformed) == (2, "", 0)


def test_pauses_are_waited_for() -> None:
    dump, flows, _blocks = run([ENTRIES[0], 0.05, ENTRIES[1], 0.05, make.done()])
    assert (flows, dump.trouble) == (2, "")


def test_a_dump_that_does_not_begin_is_given_up() -> None:
    start = time.monotonic()
    dump, flows, _blocks = run([], seconds=0.1)
    assert (flows, dump.trouble) == (0, "timeout")
    assert time.monotonic() - start >= 0.1


def test_a_dump_that_does_not_end_is_given_up(clock: Clock) -> None:
    with kernel(datagrams()) as connection:
        dump, flows = Dump(connection, clock.now + 20), 0
        for frames in dump.blocks():
            flows += len(frames.starts)
            clock.now += 20 if flows == 500 else 0
    assert (flows, dump.trouble) == (500, "timeout")


@pytest.mark.parametrize(
    ("script", "trouble", "flows"),
    [
        ([make.message(ENTRIES[0][16:], flags=netlink.NLM_F_DUMP_INTR), ENTRIES[1], make.done()], "interrupted", 2),
        ([ENTRIES[0], make.message(b"", netlink.NLMSG_OVERRUN), ENTRIES[1]], "overrun", 2),
        ([ENTRIES[0], make.done(errno.ENOBUFS)], "overrun", 1),
        ([ENTRIES[0], bytes(200_000)], "overrun", 1),
    ],
)
def test_the_kernel_says_that_the_dump_is_not_whole(script: Script, trouble: str, flows: int) -> None:
    dump, counted, _blocks = run(script, block_bytes=1 << 10)
    assert (dump.trouble, counted) == (trouble, flows)


@pytest.mark.parametrize("kind", [netlink.NLMSG_ERROR, netlink.NLMSG_DONE])
@pytest.mark.parametrize(
    ("code", "reason", "hint"),
    [(errno.EPERM, "permission", "CAP_NET_ADMIN"), (errno.EINVAL, "unsupported", "nf_conntrack_netlink")],
)
def test_a_refusal(kind: int, code: int, reason: str, hint: str) -> None:
    with pytest.raises(UnavailableError, match=hint) as caught:
        run([make.message(struct.pack("=i", -code), kind)])
    assert caught.value.reason == reason


def stats(entries: int) -> bytes:
    body = bytes(4) + make.attribute(1, make.be(entries, 4)) + make.attribute(2, make.be(262144, 4))
    return make.message(body, 0x105, 0)


class Growing(FakeMachine):
    """A machine whose table has another size each time that it is asked; the last one stays."""

    def __init__(self, entries: list[int], buckets: list[int]) -> None:
        super().__init__()
        self._entries, self._buckets = entries, buckets

    def ask(self, query: Query) -> bytes:
        if query == conntrack.STATS:
            return stats(self._entries.pop(0) if len(self._entries) > 1 else self._entries[0])
        if query == conntrack.BUCKETS_FILE:
            return b"%d\n" % (self._buckets.pop(0) if len(self._buckets) > 1 else self._buckets[0])
        return super().ask(query)


INTERRUPTED: Script = [make.message(ENTRIES[0][16:], flags=netlink.NLM_F_DUMP_INTR), make.done()]
WHOLE: Script = [*datagrams(), make.done()]


def census(machine: FakeMachine, *scripts: Script, progress: Callable[[int], object] = lambda _flows: None) -> Census:
    left = list(scripts)
    with ExitStack() as stack:
        taken = take(
            machine,
            SCOPE,
            Limits(20.0, attempts=3),
            progress=progress,
            open_socket=lambda: stack.enter_context(kernel(left.pop(0))),
        )
    assert left == []
    return taken


def test_a_whole_census() -> None:
    seen: list[int] = []
    with kernel(WHOLE) as connection:
        found = take(Growing([500], [1024]), SCOPE, progress=seen.append, open_socket=lambda: connection)
    assert found.taking.complete
    assert (found.taking.attempts, found.taking.entries_before, found.taking.messages) == (1, 500, 501)
    assert found.figures.totals.flows == seen[-1] == 500
    assert msgspec.json.decode(msgspec.json.encode(found), type=Census) == found


def test_an_interrupted_census_is_taken_again() -> None:
    found = census(FakeMachine(), INTERRUPTED, WHOLE)
    assert (found.taking.complete, found.taking.attempts, found.figures.totals.flows) == (True, 2, 500)
    assert (found.taking.entries_before, found.taking.entries_after) == (None, None)


def test_one_that_is_always_interrupted_says_so() -> None:
    found = census(FakeMachine(), *[INTERRUPTED] * 3)
    assert (found.taking.complete, found.taking.reason, found.taking.attempts) == (False, "interrupted", 3)
    assert found.figures.totals.flows == 1


def test_one_that_takes_too_long_says_so_and_is_not_taken_again(clock: Clock) -> None:
    def progress(flows: int) -> None:
        clock.now += 20 if flows == 200 else 0

    found = census(FakeMachine(), datagrams(200), progress=progress)
    assert (found.taking.reason, found.taking.attempts, found.figures.totals.flows) == ("timeout", 1, 200)


def test_no_time_is_left_for_another_attempt(clock: Clock) -> None:
    def progress(_flows: int) -> None:
        clock.now += 12

    found = census(FakeMachine(), INTERRUPTED, INTERRUPTED[:1], progress=progress)
    assert (found.taking.reason, found.taking.attempts, found.taking.seconds) == ("timeout", 2, 24)


def test_messages_that_are_left_out_are_told() -> None:
    found = census(FakeMachine(), [ENTRIES[0], make.message(bytes(8)), make.done()])
    assert (found.taking.reason, found.taking.malformed, found.figures.totals.flows) == ("malformed", 1, 1)


@pytest.mark.parametrize(
    ("entries", "buckets", "reason"),
    [
        ([500, 590], [1024], ""),
        ([500, 0], [1024], "changed"),
        ([500, 5000], [1024], "changed"),
        ([500], [1024, 2048], "changed"),
        ([100_000, 110_000], [1024], ""),
        ([100_000, 88_000], [1024], "changed"),
    ],
)
def test_a_table_that_was_another_one_afterwards(entries: list[int], buckets: list[int], reason: str) -> None:
    found = census(Growing(list(entries), list(buckets)), WHOLE)
    assert (found.taking.complete, found.taking.reason) == (not reason, reason)


def test_a_refused_census_is_not_taken_again() -> None:
    refusal: Script = [make.message(struct.pack("=i", -errno.EPERM), netlink.NLMSG_ERROR)]
    with pytest.raises(UnavailableError, match="needs CAP_NET_ADMIN"):
        census(FakeMachine(), refusal)


def test_the_agent_does_not_load_numpy() -> None:
    program = "import sys, natobs.collectors.registry, natobs.cli.main; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
