"""Helpers for the tests of probe kinds: one attempt driven to its end, and tiny UDP servers in threads."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from natobs.probe_config import ProbeSettings
from natobs.probes.environment import Environment
from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import ExpiredError, Outcome, Prober, Reason, Target
from natobs.probes.resolve import Resolver
from tests.loopback import PATIENCE

Server = Callable[[bytes, tuple[Any, ...]], Iterable[bytes]]
"""What a datagram is answered with; a generator goes on when what it gave has been sent."""

_LOOK_SECONDS = 0.01


class Noted:
    """Notices, kept."""

    def __init__(self) -> None:
        self.lates = 0
        self.rejects = 0
        self.addresses: list[str] = []

    def late(self, target: Target) -> None:
        self.lates += 1

    def clock_reject(self, target: Target) -> None:
        self.rejects += 1

    def observed(self, target: Target, address: str) -> None:
        self.addresses.append(address)


@contextmanager
def environment() -> Iterator[tuple[Environment, Noted]]:
    noted, resolver = Noted(), Resolver(60)
    try:
        yield Environment(resolver, noted), noted
    finally:
        resolver.close()


def target(host: str, port: int, **settings: Any) -> Target:  # noqa: ANN401 - whatever the definition has
    defaults: dict[str, Any] = {"name": "test", "kind": "udp", "targets": (host,), "timeout_seconds": PATIENCE}
    settings = {"interval_seconds": max(PATIENCE, settings.get("timeout_seconds", 0.0))} | settings
    return Target(ProbeSettings(**(defaults | settings)), host, port)


def probe(
    prober: Prober, number: int = 0, seconds: float = PATIENCE, until: Callable[[], bool] = lambda: False
) -> Outcome:
    """One attempt as the engine would make it.

    Args:
        prober: makes it.
        number: of the attempt.
        seconds: its time limit.
        until: its time is up as soon as this holds and nothing is left to be read.
    """
    steps = prober.attempt(number)
    deadline = time.monotonic() + seconds
    try:
        while True:
            wait = next(steps)
            alarm = time.monotonic() + (seconds if wait.seconds is None else wait.seconds)
            with select.epoll() as epoll:
                epoll.register(wait.descriptor, select.EPOLLOUT if wait.write else select.EPOLLIN)
                ready, over = False, False
                while not ready and not over and time.monotonic() < alarm:
                    over = until() or time.monotonic() >= deadline
                    left = min(alarm, deadline) - time.monotonic()
                    ready = bool(epoll.poll(0.0 if over else max(0.0, min(left, _LOOK_SECONDS))))
            if over and not ready:
                steps.throw(ExpiredError())
    except StopIteration as end:
        outcome = end.value
        assert isinstance(outcome, Outcome)
        return outcome
    except ExpiredError:
        return Outcome(Reason.TIMEOUT)
    except OSError as error:
        return outcome_of(error)


@contextmanager
def udp_server(answers: Server, address: str = "127.0.0.1") -> Iterator[int]:
    """A server that answers each datagram with a list of datagrams; gives its port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as listening:
        listening.bind((address, 0))
        listening.settimeout(0.02)
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                try:
                    data, peer = listening.recvfrom(65536)
                except TimeoutError:
                    continue
                for answer in answers(data, peer):
                    listening.sendto(answer, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            stopping.set()
            thread.join()
