import errno
import socket
import struct
from collections.abc import Callable
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError, UnavailableError
from natobs.kernel import conntrack_events, live_conntrack_events
from natobs.kernel.conntrack_filter import Death
from natobs.kernel.live_streams import open_stream
from natobs.kernel.machine import FROM_NOW_ON, StreamName
from tests.conntrack_messages import DELETED_UDP6, EXPIRED_TCP, FLUSHED_TCP, Event
from tests.fakes import FakeMachine
from tests.mutate import attempt, damaged

MODE = "proc/sys/net/netfilter/nf_conntrack_events"


class KernelSocket:
    """A netlink socket with room for two messages, which counts what else it was sent."""

    opened: ClassVar[list["KernelSocket"]]
    refuse: Callable[[], None] | None = None

    def __init__(self, *_arguments: int) -> None:
        self.queue: list[bytes] = []
        self.drops = 0
        self.congested = self.closed = False
        self.opened.append(self)

    def send(self, count: int, message: bytes = b"event") -> None:
        for _ in range(count):
            if len(self.queue) < 2 and not self.congested:
                self.queue.append(message)
            else:
                self.drops = (self.drops + 1) % (1 << 32)
                self.congested = True

    def recv(self, _size: int) -> bytes:
        if self.congested and len(self.queue) == 2:
            self.congested = False
            raise OSError(errno.ENOBUFS, "full")
        if not self.queue:
            raise BlockingIOError
        return self.queue.pop(0)

    def setsockopt(self, *_arguments: object) -> None:
        pass

    def getsockopt(self, *_arguments: object) -> bytes:
        return struct.pack("=9I", *[7] * 8, self.drops)

    def bind(self, _address: object) -> None:
        if self.refuse is not None:
            self.refuse()

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> type[KernelSocket]:
    """Give a class of sockets that lists those that were opened, and stands in for the system's."""

    class Opened(KernelSocket):
        opened: ClassVar[list[KernelSocket]] = []

    monkeypatch.setattr(socket, "socket", Opened)
    monkeypatch.setattr(live_conntrack_events, "attach_filter", lambda _socket, _program: None)
    return Opened


def look(stream: live_conntrack_events.ConntrackDeaths) -> conntrack_events.Deaths:
    """Give what one look finds."""
    message = stream.read()
    assert message is not None
    assert stream.read() is None
    return conntrack_events.parse(message)


def test_what_found_room_and_what_did_not_are_all(kernel: type[KernelSocket]) -> None:
    stream = live_conntrack_events.ConntrackDeaths()
    assert stream.fileno() == -1
    assert stream.read() == FROM_NOW_ON
    assert set(look(stream).counts.values()) == {0}
    total = 0
    for burst in (1, 2, 3, 100, 0, 1_000):
        kernel.opened[0].send(burst)
        total += burst
        deaths = look(stream)
        assert deaths.counts[Death.IDLE_TCP] == total
        assert sum(deaths.counts.values()) == total
    stream.close()
    assert all(opened.closed for opened in kernel.opened)
    assert len(kernel.opened) == len(Death)


def test_the_kernel_counts_in_32_bits_and_the_total_goes_on(kernel: type[KernelSocket]) -> None:
    stream = live_conntrack_events.ConntrackDeaths()
    stream.read()
    kernel.opened[1].drops = (1 << 31) - 1
    assert look(stream).counts[Death.IDLE_UDP] == (1 << 31) - 1
    kernel.opened[1].drops = (1 << 32) - 1
    assert look(stream).counts[Death.IDLE_UDP] == (1 << 32) - 1
    kernel.opened[1].drops = 5
    assert look(stream).counts[Death.IDLE_UDP] == (1 << 32) + 5


def test_a_flood_keeps_a_look_short(kernel: type[KernelSocket]) -> None:
    stream = live_conntrack_events.ConntrackDeaths()
    stream.read()
    refilled = kernel.opened[0]
    refilled.recv = lambda _size: b"another"  # type: ignore[method-assign]  # a kernel that is faster than the reader
    assert look(stream).counts[Death.IDLE_TCP] == 16


@pytest.mark.parametrize(
    ("event", "detailed"), [(None, None), (Event().datagram(), True), (Event(state=None).datagram(), False)]
)
def test_one_event_of_tcp_tells_whether_the_kernel_says_enough(
    event: bytes | None,
    detailed: bool | None,  # noqa: FBT001 - what is expected
    kernel: type[KernelSocket],
) -> None:
    stream = live_conntrack_events.ConntrackDeaths()
    stream.read()
    for opened, death in zip(kernel.opened, Death, strict=True):
        if event is not None and death is Death.ANY_TCP:
            opened.send(5, event)
    assert look(stream).detailed is detailed
    assert look(stream).detailed is detailed


def test_a_socket_that_breaks_is_said_with_its_reason(kernel: type[KernelSocket]) -> None:
    def fail(_size: int) -> bytes:
        raise OSError(errno.EIO, "broken")

    stream = live_conntrack_events.ConntrackDeaths()
    stream.read()
    kernel.opened[3].recv = fail  # type: ignore[method-assign]  # this one socket breaks
    with pytest.raises(UnavailableError, match="conntrack events"):
        stream.read()


@pytest.mark.parametrize(("number", "reason"), [(errno.EPERM, "permission"), (errno.EPROTONOSUPPORT, "unsupported")])
def test_a_stream_that_is_refused_leaves_no_socket_and_says_what_it_needs(
    number: int, reason: str, kernel: type[KernelSocket]
) -> None:
    def refuse() -> None:
        if len(kernel.opened) == 3:
            raise OSError(number, "no")

    kernel.refuse = staticmethod(refuse)
    with pytest.raises(UnavailableError, match="CAP_NET_ADMIN") as caught:
        open_stream(StreamName.CONNTRACK_DEATHS)
    assert caught.value.reason == reason
    assert [opened.closed for opened in kernel.opened] == [True] * 3


@given(st.lists(st.integers(0, (1 << 64) - 1), min_size=7, max_size=7), st.sampled_from([None, True, False]))
def test_a_message_says_what_it_was_made_of(
    counts: list[int],
    detailed: bool | None,  # noqa: FBT001 - drawn
) -> None:
    deaths = conntrack_events.Deaths(dict(zip(Death, counts, strict=True)), detailed)
    message = conntrack_events.message(deaths)
    assert message != FROM_NOW_ON
    assert conntrack_events.parse(message) == deaths


@given(damaged(conntrack_events.message(conntrack_events.Deaths(dict.fromkeys(Death, 300), detailed=True))))
def test_a_damaged_message_is_a_format_error_or_has_every_count(message: bytes) -> None:
    deaths = attempt(conntrack_events.parse, message)
    assert deaths is None or set(deaths.counts) == set(Death)


@given(damaged(FLUSHED_TCP, EXPIRED_TCP, DELETED_UDP6))
def test_a_damaged_event_is_a_format_error_or_is_examined(event: bytes) -> None:
    assert attempt(conntrack_events.is_detailed, event) in (None, True, False)


def test_recorded_events_are_detailed_where_they_are_of_tcp() -> None:
    assert conntrack_events.is_detailed(FLUSHED_TCP)
    assert conntrack_events.is_detailed(EXPIRED_TCP)
    assert not conntrack_events.is_detailed(DELETED_UDP6)
    with pytest.raises(FormatError):
        conntrack_events.is_detailed(b"")


def test_the_mode_is_a_parameter() -> None:
    assert conntrack_events.read_mode(FakeMachine({MODE: b"2\n"})) == conntrack_events.AUTO
    with pytest.raises(UnavailableError):
        conntrack_events.read_mode(FakeMachine())
