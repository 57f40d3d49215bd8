import contextlib
import os
import threading
import time
from collections.abc import Callable

from natobs.catalogue.types import Metric
from natobs.collectors.background import Background
from natobs.collectors.base import Reading
from natobs.errors import FormatError, KernelError, UnavailableError
from natobs.kernel.machine import Machine, Stream, StreamName
from tests.fakes import FakeMachine
from tests.loopback import eventually

LOG = StreamName.KERNEL_LOG


class Listener:
    name = "listener"
    metrics: tuple[Metric, ...] = ()
    stream = LOG

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.missed: list[KernelError] = []

    def collect(self, machine: Machine) -> Reading:
        return Reading()

    def hear(self, message: bytes) -> None:
        if message == b"odd":
            raise FormatError("odd")
        if message == b"bug":
            raise ZeroDivisionError
        self.heard.append(message)

    def miss(self, error: KernelError) -> None:
        self.missed.append(error)


class Ticker:
    name = "ticker"
    metrics: tuple[Metric, ...] = ()

    def __init__(self, seconds: float, look: Callable[[], None] = lambda: None) -> None:
        self.tick_seconds = seconds
        self.ticks = 0
        self._look = look

    def collect(self, machine: Machine) -> Reading:
        return Reading()

    def tick(self, machine: Machine) -> None:
        self.ticks += 1
        self._look()


class PipeStream:
    """A stream that a test writes to; a message that is an exception is raised."""

    def __init__(self) -> None:
        self.pending: list[bytes | UnavailableError] = []
        self._reading, self._writing = os.pipe()
        self.closed = False

    def say(self, *messages: bytes | UnavailableError) -> None:
        self.pending += messages
        os.write(self._writing, b"x")

    def fileno(self) -> int:
        return self._reading

    def read(self) -> bytes | None:
        if not self.pending:
            os.set_blocking(self._reading, False)
            with contextlib.suppress(BlockingIOError):
                os.read(self._reading, 100)
            return None
        message = self.pending.pop(0)
        if isinstance(message, UnavailableError):
            raise message
        return message

    def close(self) -> None:
        self.closed = True
        os.close(self._reading)
        os.close(self._writing)


class StreamingMachine(FakeMachine):
    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def listen(self, name: StreamName) -> Stream:
        return self._stream


def test_what_a_stream_held_before_is_delivered_at_the_start() -> None:
    listener = Listener()
    background = Background([listener], FakeMachine(streams={LOG: [b"a", b"b"]}))
    background.start()
    assert listener.heard == [b"a", b"b"]
    background.stop()


def test_news_are_heard_as_they_come_and_odd_ones_do_not_end_the_stream() -> None:
    listener, stream = Listener(), PipeStream()
    background = Background([listener], StreamingMachine(stream))
    background.start()
    stream.say(b"one", b"odd", b"bug", UnavailableError("busy", "lost"), b"two")
    assert eventually(lambda: listener.heard == [b"one", b"two"])
    assert [error.reason for error in listener.missed] == ["format", "busy"]
    background.stop()
    assert stream.closed


def test_a_stream_that_breaks_is_left_alone() -> None:
    listener, stream = Listener(), PipeStream()
    background = Background([listener], StreamingMachine(stream))
    background.start()
    stream.say(UnavailableError("error", "broken"))
    assert eventually(lambda: bool(listener.missed))
    stream.say(b"too late")
    time.sleep(0.05)
    assert listener.heard == []
    background.stop()


def test_a_stream_that_is_not_to_be_had_is_reported() -> None:
    listener = Listener()
    background = Background([listener], FakeMachine())
    background.start()
    assert [error.reason for error in listener.missed] == ["absent"]
    background.stop()


def test_ticks_come_at_their_interval_whatever_one_of_them_raises() -> None:
    def burst() -> None:
        raise ZeroDivisionError

    steady, broken, seldom = Ticker(0.05), Ticker(0.05, burst), Ticker(3600)
    background = Background([steady, broken, seldom], FakeMachine())
    background.start()
    assert seldom.ticks == 1  # at once; the others may have ticked again meanwhile
    assert eventually(lambda: steady.ticks >= 4 and broken.ticks >= 4)
    assert seldom.ticks == 1
    background.stop()
    ticks = steady.ticks
    time.sleep(0.12)
    assert steady.ticks == ticks


def test_one_thread_serves_all() -> None:
    before = set(threading.enumerate())
    background = Background([Listener(), Ticker(10), Ticker(20)], StreamingMachine(PipeStream()))
    background.start()
    assert len(set(threading.enumerate()) - before) == 1
    background.stop()
    assert set(threading.enumerate()) <= before


class Drained(Listener, Ticker):
    """Listens to a stream that nobody can wait for."""

    def __init__(self) -> None:
        Listener.__init__(self)
        Ticker.__init__(self, 0.02)


class Unpolled:
    def __init__(self) -> None:
        self.pending: list[bytes] = []

    def fileno(self) -> int:
        return -1

    def read(self) -> bytes | None:
        return self.pending.pop(0) if self.pending else None

    def close(self) -> None:
        pass


class UnpolledMachine(FakeMachine):
    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def listen(self, name: StreamName) -> Stream:
        return self._stream


def test_a_stream_without_a_descriptor_is_looked_at_when_its_collector_ticks() -> None:
    stream, subject = Unpolled(), Drained()
    background = Background([subject], UnpolledMachine(stream))
    background.start()
    try:
        stream.pending += [b"one", b"two"]
        assert eventually(lambda: len(subject.heard) == 2)
    finally:
        background.stop()
    assert subject.heard == [b"one", b"two"]


def test_a_flood_of_such_a_stream_is_taken_in_portions() -> None:
    stream, subject = Unpolled(), Drained()
    background = Background([subject], UnpolledMachine(stream))
    background.prime()
    stream.pending += [b"more"] * 10_000
    background._look(subject)
    assert len(subject.heard) == 4 * 512
    background.stop()
