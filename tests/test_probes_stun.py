import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from natobs.config import Prefix
from natobs.errors import ConfigError
from natobs.probe_config import Expect
from natobs.probes.model import Clock, Reason
from natobs.probes.stun import StunKind
from natobs.wire import stun
from tests.loopback import PATIENCE, eventually, reserved_port
from tests.probing import Noted, Server, environment, probe, target, udp_server


def respond(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
    return [stun.encode_response(stun.decode_request(data), peer[0], peer[1])]


def mapped(address: str) -> Server:
    return lambda data, peer: [stun.encode_response(stun.decode_request(data), address, peer[1])]


def wait_for(noted: Noted, count: int) -> bool:
    return eventually(lambda: len(noted.addresses) >= count)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_round_trip_and_mapped_address(address: str) -> None:
    seen: list[int] = []

    def watch(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        seen.append(peer[1])
        return respond(data, peer)

    with environment() as (given, noted), udp_server(watch, address) as port:
        prober = StunKind().open(target(address, port, kind="stun", source_ports=2), given)
        outcomes = [probe(prober) for _ in range(6)]
        prober.close()
    for outcome in outcomes:
        assert (outcome.reason, outcome.clock) == (None, Clock.KERNEL_TXRX)
        assert outcome.rtt is not None
        assert outcome.observed is not None
        assert outcome.observed[0] == address
        assert outcome.observed[1] in seen
    assert set(noted.addresses) == {address}


def test_each_attempt_has_a_fresh_port_and_a_companion_of_the_fixed_set() -> None:
    seen: list[int] = []

    def watch(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        seen.append(peer[1])
        return respond(data, peer)

    with environment() as (given, noted), udp_server(watch) as port:
        prober = StunKind().open(target("127.0.0.1", port, kind="stun", source_ports=2), given)
        fresh = []
        for _ in range(6):
            outcome = probe(prober)
            assert outcome.observed is not None
            fresh.append(outcome.observed[1])
        assert probe(prober, number=1).success  # a retry has no companion
        prober.close()
    assert len(set(fresh)) >= 5  # the kernel draws one of 28,000: once in 2,000 times two are alike
    fixed = [one for one in seen[:12] if one not in fresh]
    assert len(fixed) == 6
    assert fixed[:2] == fixed[2:4] == fixed[4:]
    assert len(set(fixed)) == 2
    assert len(seen) == 13
    assert len(noted.addresses) == 13


def test_companions_keep_an_address_that_a_fresh_port_has_left() -> None:
    first: set[int] = set()

    def nat(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        """A flow keeps its address; the public one has changed after the first two."""
        if len(first) < 2:
            first.add(peer[1])
        address = "192.0.2.1" if peer[1] in first else "192.0.2.2"
        return [stun.encode_response(stun.decode_request(data), address, peer[1])]

    with environment() as (given, noted), udp_server(nat) as port:
        prober = StunKind().open(target("127.0.0.1", port, kind="stun", source_ports=1), given)
        assert (probe(prober).observed or ("", 0))[0] == "192.0.2.1"
        assert (probe(prober).observed or ("", 0))[0] == "192.0.2.2"
        assert (probe(prober).observed or ("", 0))[0] == "192.0.2.2"
        prober.close()
    assert set(noted.addresses) == {"192.0.2.1", "192.0.2.2"}


@pytest.mark.parametrize(
    ("address", "reason"), [("192.0.2.9", None), ("198.51.100.9", Reason.ADDRESS), ("2001:db8::1", Reason.ADDRESS)]
)
def test_an_address_that_is_not_reserved_fails(address: str, reason: Reason | None) -> None:
    expect = Expect(addresses=(Prefix("192.0.2.0/24"),))
    with environment() as (given, noted), udp_server(mapped(address)) as port:
        prober = StunKind().open(target("127.0.0.1", port, kind="stun", expect=expect), given)
        outcome = probe(prober)
        prober.close()
    assert outcome.reason is reason
    assert outcome.rtt is not None
    assert outcome.observed is not None
    assert outcome.observed[0] == address
    assert address in noted.addresses
    assert reason is None or address in outcome.detail


def test_an_error_response_is_a_status() -> None:
    with (
        environment() as (given, _noted),
        udp_server(lambda data, _peer: [stun.encode_unknown(stun.decode_request(data))]) as port,
    ):
        prober = StunKind().open(target("127.0.0.1", port, kind="stun"), given)
        outcome = probe(prober)
        prober.close()
    assert outcome.reason is Reason.STATUS
    assert "420" in outcome.detail


HOSTILE: dict[str, Callable[[bytes], list[bytes]]] = {
    "truncated": lambda reply: [reply[:-4]],
    "another transaction": lambda reply: [reply[:19] + bytes([reply[19] ^ 1]) + reply[20:]],
    "wrong fingerprint": lambda reply: [reply[:-1] + bytes([reply[-1] ^ 1])],
    "huge": lambda reply: [reply.ljust(60_000, b"x")],
    "garbage": lambda _reply: [b"x" * 200] * 100,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_replies_are_never_a_success(name: str) -> None:
    sent: list[int] = []

    def answer(data: bytes, peer: tuple[Any, ...]) -> Iterator[bytes]:
        yield from HOSTILE[name](respond(data, peer)[0])
        sent.append(peer[1])

    with environment() as (given, noted), udp_server(answer) as port:
        prober = StunKind().open(target("127.0.0.1", port, kind="stun"), given)
        assert probe(prober, until=lambda: len(sent) == 2).reason is Reason.TIMEOUT
        prober.close()
    assert noted.addresses == []


def test_a_closed_port_refuses() -> None:
    with reserved_port(socket.SOCK_DGRAM) as port, environment() as (given, _noted):
        prober = StunKind().open(target("127.0.0.1", port, kind="stun"), given)
        outcomes = [probe(prober) for _ in range(3)]
        prober.close()
    assert {outcome.reason for outcome in outcomes} == {Reason.REFUSED}


def test_a_late_answer_is_counted_at_the_next_attempt() -> None:
    answered: list[int] = []
    over = threading.Event()

    def slow_at_first(data: bytes, peer: tuple[Any, ...]) -> Iterator[bytes]:
        assert over.wait(PATIENCE)
        yield from respond(data, peer)
        answered.append(peer[1])

    with environment() as (given, noted), udp_server(slow_at_first) as port:
        prober = StunKind().open(target("127.0.0.1", port, kind="stun"), given)
        assert probe(prober, seconds=0.05).reason is Reason.TIMEOUT
        over.set()
        assert eventually(lambda: len(answered) == 2)
        assert probe(prober).success
        prober.close()
    assert noted.lates == 1


def test_a_request_that_could_be_amplified_is_refused() -> None:
    with environment() as (given, _noted), pytest.raises(ConfigError, match="payload_bytes"):
        StunKind().open(target("127.0.0.1", 1, kind="stun", payload_bytes=20), given)
