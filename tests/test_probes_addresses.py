"""Names with several addresses: each retry goes to the next one."""

import errno
import socket
import time
from typing import Any

import pytest

from natobs.probes.engine import Engine
from natobs.probes.errno_reason import outcome_of
from natobs.probes.model import Attempt, IcmpError, Reason
from natobs.probes.plan import Plan
from natobs.probes.registry import Kinds
from tests import probing
from tests.loopback import PATIENCE
from tests.streaming import server

DEAD, ALIVE = "127.0.0.2", "127.0.0.1"


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, _family: int, kind: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, kind, 0, "", (address, port)) for address in (DEAD, ALIVE)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def attempts(kind: str, port: int, count: int) -> list[Attempt]:
    retries = {"retries": count - 1, "retry_delay_seconds": 0.01}
    target = probing.target("two.test", port, kind=kind, timeout_seconds=0.5, **retries)
    done: list[Attempt] = []
    with probing.environment() as (environment, _noted):
        prober = Kinds()(target.settings.kind).open(target, environment)
        engine = Engine([target], [prober], Plan([], 1000, time.monotonic()), done.append)
        try:
            engine.begin(0)
            deadline = time.monotonic() + PATIENCE
            while len(done) < count and time.monotonic() < deadline:
                engine.turn(0.05)
        finally:
            engine.close()
    return done


@pytest.mark.usefixtures("two_addresses")
def test_a_retry_goes_to_the_next_address() -> None:
    with server(lambda connection: None) as port:
        found = attempts("tcp", port, 2)
    assert [(each.number, each.outcome.reason) for each in found] == [(0, Reason.REFUSED), (1, None)]


@pytest.mark.usefixtures("two_addresses")
@pytest.mark.parametrize("kind", ["udp", "stun", "dns", "pmtu"])
def test_a_retry_of_datagrams_goes_there_too_and_comes_back_to_the_first(kind: str) -> None:
    asked: list[bytes] = []

    def note(data: bytes, _peer: object) -> list[bytes]:
        asked.append(data)
        return []

    with probing.udp_server(note) as port:
        found = attempts(kind, port, 3)
    reasons = [each.outcome.reason for each in found]
    assert reasons == [Reason.REFUSED, Reason.TIMEOUT, Reason.REFUSED]
    assert asked


@pytest.mark.parametrize(("sender", "reason"), [("192.0.2.1", Reason.REFUSED), ("192.0.2.254", Reason.UNREACHABLE)])
def test_only_the_peer_itself_refuses(sender: str, reason: Reason) -> None:
    error = OSError(errno.ECONNREFUSED, "Connection refused")
    assert outcome_of(error, IcmpError(3, 3, sender), "192.0.2.1").reason is reason
    assert outcome_of(error).reason is Reason.REFUSED  # without ICMP: RST


def test_addresses_are_written_as_the_kernel_writes_them() -> None:
    with probing.environment() as (environment, _noted):
        steps = environment.resolver.address("2001:DB8:0::1", 7, "any", 0)
        with pytest.raises(StopIteration) as end:
            next(steps)
        assert end.value.value == (socket.AF_INET6, ("2001:db8::1", 7))
