import select
import socket
import threading
from collections.abc import Iterator

import pytest

from natobs.probes.model import Wait
from natobs.probes.resolve import Address, ResolveError, Resolver
from tests.loopback import eventually
from tests.scripted import descriptors

FOUND: list[Address] = [(socket.AF_INET, ("192.0.2.1", 80)), (socket.AF_INET6, ("2001:db8::1", 80))]


class Library:
    """Stands for getaddrinfo(3): answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.go = threading.Event()
        self.go.set()
        self.error: Exception | None = None

    def __call__(self, host: str, port: int, family: int, kind: int) -> list[tuple[object, ...]]:
        self.asked.append((host, family))
        assert self.go.wait(60)
        if self.error:
            raise self.error
        return [
            (found, kind, 17, "", (address, port, 0, 0)[: 2 if found == socket.AF_INET else 4])
            for found, (address, _port) in FOUND
        ]


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setattr(socket, "getaddrinfo", made)
    return made


@pytest.fixture
def resolver() -> Iterator[Resolver]:
    made = Resolver(60)
    yield made
    made.close()


def drive(resolver: Resolver, host: str, family: str = "any") -> tuple[list[Address], int]:
    """Resolve as the engine would; also how often it had to wait."""
    steps = resolver.resolve(host, 80, family)
    waits = 0
    while True:
        try:
            wait = next(steps)
        except StopIteration as end:
            return end.value, waits
        waits += 1
        assert select.select([wait.descriptor], [], [], 10)[0]


def test_a_name_is_asked_for_once_and_remembered(resolver: Resolver, library: Library) -> None:
    addresses, _waits = drive(resolver, "example.test")
    assert addresses == FOUND
    assert drive(resolver, "example.test") == (FOUND, 0)
    assert library.asked == [("example.test", socket.AF_UNSPEC)]
    drive(resolver, "example.test", "ipv6")
    assert library.asked[1:] == [("example.test", socket.AF_INET6)]


def test_an_old_answer_is_asked_for_again(library: Library) -> None:
    resolver = Resolver(0)
    drive(resolver, "example.test")
    drive(resolver, "example.test")
    resolver.close()
    assert len(library.asked) == 2


@pytest.mark.parametrize(
    ("host", "family"), [("192.0.2.7", socket.AF_INET), ("::1", socket.AF_INET6), ("2001:db8::7", socket.AF_INET6)]
)
def test_an_address_costs_nothing(
    resolver: Resolver, library: Library, host: str, family: socket.AddressFamily
) -> None:
    assert drive(resolver, host) == ([(family, (host, 80))], 0)
    assert library.asked == []


def test_an_address_of_the_wrong_family_is_none(resolver: Resolver) -> None:
    with pytest.raises(ResolveError, match=r"192\.0\.2\.7 is no ipv6 address"):
        drive(resolver, "192.0.2.7", "ipv6")


@pytest.mark.parametrize("error", [socket.gaierror(-2, "Name or service not known"), UnicodeError("label too long")])
def test_a_name_that_does_not_resolve_is_asked_for_again(
    resolver: Resolver, library: Library, error: Exception
) -> None:
    library.error = error
    for _turn in range(2):
        with pytest.raises(ResolveError, match=r"^nowhere\.test: "):
            drive(resolver, "nowhere.test")
    assert len(library.asked) == 2


def test_many_who_wait_for_one_name_ask_once_and_all_are_answered(resolver: Resolver, library: Library) -> None:
    library.go.clear()
    waiting = [resolver.resolve("slow.test", 80, "any") for _turn in range(50)]
    first: list[Wait] = [next(steps) for steps in waiting]
    library.go.set()
    for steps, wait in zip(waiting, first, strict=True):
        assert select.select([wait.descriptor], [], [], 10)[0]
        with pytest.raises(StopIteration) as end:
            next(steps)
        assert end.value.value == FOUND
    assert len(library.asked) == 1


def test_attempts_whose_time_is_up_leave_nothing_behind_while_the_library_hangs(
    resolver: Resolver, library: Library
) -> None:
    library.go.clear()
    before = descriptors()
    asked = resolver.resolve("hanging.test", 80, "any")
    next(asked)
    assert eventually(lambda: len(library.asked) == 1)
    asked.close()
    for _turn in range(200):
        steps = resolver.resolve("hanging.test", 80, "any")
        next(steps)
        steps.close()
    assert descriptors() <= before
    assert len(resolver._running) == 1
    library.go.set()
    assert drive(resolver, "hanging.test")[0] == FOUND
    assert len(library.asked) == 1
    assert descriptors() <= before


def test_names_that_hang_do_not_pile_up_threads(resolver: Resolver, library: Library) -> None:
    library.go.clear()
    before = threading.active_count()
    for number in range(30):
        steps = resolver.resolve(f"host{number}.test", 80, "any")
        next(steps)
        steps.close()
    assert threading.active_count() - before <= 4
    library.go.set()


def test_names_that_nobody_waits_for_any_more_do_not_pile_up(resolver: Resolver, library: Library) -> None:
    library.go.clear()
    hanging = [resolver.resolve(f"host{number}.test", 80, "any") for number in range(4)]
    for steps in hanging:
        next(steps)
    assert eventually(lambda: len(library.asked) == 4)
    for number in range(100):
        steps = resolver.resolve(f"later{number}.test", 80, "any")
        next(steps)
        steps.close()
    for steps in hanging:
        steps.close()
    library.go.set()
    assert drive(resolver, "wanted.test")[0] == FOUND
    assert [host for host, _family in library.asked[4:]] == ["wanted.test"]
    assert eventually(lambda: not resolver._running)


def test_a_name_is_asked_for_again_once_there_are_threads_again(
    resolver: Resolver, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")  # what Python says where the limit of tasks is reached

    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            drive(resolver, "name.test")
    assert drive(resolver, "name.test")[0] == FOUND


def test_threads_end_when_closed(library: Library) -> None:
    before = threading.active_count()
    resolver = Resolver(60)
    for number in range(6):
        drive(resolver, f"host{number}.test")
    resolver.close()
    assert eventually(lambda: threading.active_count() <= before)


def test_the_library_itself_knows_localhost(resolver: Resolver) -> None:
    addresses, _waits = drive(resolver, "localhost", "ipv4")
    assert addresses == [(socket.AF_INET, ("127.0.0.1", 80))]
