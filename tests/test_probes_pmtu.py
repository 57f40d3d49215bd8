"""The kind ``pmtu`` on loopback: reflectors that swallow what is too big, and those that lie. Real paths: tests/lab."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from natobs.errors import ConfigError
from natobs.probe_config import Pmtu
from natobs.probes.model import Outcome, PathState, Prober, Reason, Steps
from natobs.probes.mtu_datagrams import Datagrams
from natobs.probes.pmtu import PmtuKind
from natobs.wire import stamp
from tests import probing
from tests.loopback import PATIENCE, reserved_port

UDP_AND_IP = 28
Peer = tuple[Any, ...]


def probe(host: str, port: int, seconds: float = PATIENCE, **wanted: Any) -> Outcome:  # noqa: ANN401 - settings
    with probing.environment() as (environment, _noted):
        target = probing.target(host, port, kind="pmtu", timeout_seconds=seconds, **wanted)
        return probing.probe(PmtuKind().open(target, environment), seconds=seconds)


def swallows(mtu: int, headers: int = UDP_AND_IP) -> probing.Server:
    return lambda data, _peer: [data] if len(data) + headers <= mtu else []


@contextlib.contextmanager
def tcp_sink() -> Iterator[int]:
    """A TCP service that takes connections, and reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_full_size_is_what_the_interface_takes(host: str) -> None:
    with probing.udp_server(lambda data, _peer: [data], host) as port:
        outcome = probe(host, port)
    assert outcome == Outcome(
        path_mtu=65535, path_state=PathState.CLEAN
    )  # loopback's is 65536, but no IPv4 packet is longer


@pytest.mark.parametrize(("host", "headers"), [("127.0.0.1", 28), ("::1", 48)])
def test_full_size_is_payload_and_headers_where_one_is_given(host: str, headers: int) -> None:
    with probing.udp_server(lambda data, _peer: [data], host) as port:
        assert probe(host, port, payload_bytes=1472).path_mtu == 1472 + headers


def test_a_stamp_reflector_serves_as_well_as_an_echo() -> None:
    def reflect(data: bytes, _peer: Peer) -> list[bytes]:
        return [stamp.encode_reply(stamp.decode_request(data), 1, 2)]

    with probing.udp_server(reflect) as port:
        assert probe("127.0.0.1", port, payload_bytes=1472) == Outcome(path_mtu=1500, path_state=PathState.CLEAN)


@pytest.mark.parametrize("mtu", [1400, 1383, 576])
def test_the_largest_size_that_passes_is_found_and_tcp_that_passes_is_told(mtu: int) -> None:
    with probing.udp_server(swallows(mtu)) as port, tcp_sink() as tcp:
        outcome = probe("127.0.0.1", port, payload_bytes=1472, pmtu=Pmtu(tcp))
    assert (outcome.reason, outcome.path_mtu) == (Reason.MTU, mtu)
    assert outcome.detail.startswith(f"UDP only: packets of 1500 bytes do not pass, {mtu} bytes pass by UDP")


class HeldUp:
    """A prober whose engine is kept from the CPU for a second whenever a connection is awaited."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober

    def attempt(self, number: int) -> Steps:
        steps = self._prober.attempt(number)
        try:
            while True:
                wait = next(steps)
                yield wait
                time.sleep(1.0 if wait.write else 0.0)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome

    def close(self) -> None:
        self._prober.close()


def test_an_engine_that_was_held_up_finds_that_tcp_had_connected_in_time() -> None:
    with (
        probing.udp_server(swallows(1400)) as port,
        tcp_sink() as tcp,
        probing.environment() as (environment, _noted),
    ):
        target = probing.target("127.0.0.1", port, kind="pmtu", timeout_seconds=10, payload_bytes=1472, pmtu=Pmtu(tcp))
        outcome = probing.probe(HeldUp(PmtuKind().open(target, environment)), seconds=10)
    assert (outcome.path_mtu, outcome.path_state) == (1400, PathState.UDP_ONLY)


def test_without_tcp_black_hole_and_clamping_are_not_told_apart_and_that_is_said() -> None:
    with probing.udp_server(swallows(1400)) as port:
        outcome = probe("127.0.0.1", port, payload_bytes=1472)
    assert (outcome.reason, outcome.path_mtu) == (Reason.MTU, 1400)
    assert outcome.detail.startswith("silent: ")


def test_the_second_attempt_knows_what_the_first_found() -> None:
    asked: list[int] = []

    def swallow(data: bytes, _peer: Peer) -> list[bytes]:
        asked.append(len(data) + UDP_AND_IP)
        return [data] if asked[-1] <= limit else []

    limit = 1383
    with probing.udp_server(swallow) as port, probing.environment() as (environment, _noted):
        prober = PmtuKind().open(probing.target("127.0.0.1", port, kind="pmtu", payload_bytes=1472), environment)
        assert probing.probe(prober).path_mtu == 1383
        asked.clear()
        assert probing.probe(prober).path_mtu == 1383
        assert (asked[:4], set(asked[4:])) == ([84, 1383, 1384, 1500], {84})
        limit = 1500
        assert probing.probe(prober) == Outcome(path_mtu=1500, path_state=PathState.CLEAN)
        limit = 1200
        assert probing.probe(prober).path_mtu == 1200


def test_nobody_there_is_refused() -> None:
    with reserved_port(socket.SOCK_DGRAM) as port:
        outcome = probe("127.0.0.1", port)
    assert outcome.reason is Reason.REFUSED
    assert outcome.icmp is not None
    assert (outcome.icmp.type, outcome.icmp.code, outcome.icmp.sender) == (3, 3, "127.0.0.1")


def test_silence_is_a_timeout_and_nothing_else() -> None:
    with probing.udp_server(lambda _data, _peer: []) as port:
        assert probe("127.0.0.1", port, seconds=0.3).reason is Reason.TIMEOUT


def test_when_the_time_is_up_what_is_known_is_said() -> None:
    def slow(data: bytes, _peer: Peer) -> list[bytes]:
        time.sleep(0.15)
        return [data] if len(data) + UDP_AND_IP <= 1383 else []

    with probing.udp_server(slow) as port:
        outcome = probe("127.0.0.1", port, seconds=1.0, payload_bytes=1472)
    assert (outcome.reason, outcome.path_mtu) == (Reason.MTU, None)
    assert "bytes pass" in outcome.detail


def test_one_lost_packet_of_full_size_is_no_verdict() -> None:
    seen: list[int] = []

    def lose_the_first(data: bytes, _peer: Peer) -> list[bytes]:
        seen.append(len(data))
        return [] if len(data) == 1472 and seen.count(1472) == 1 else [data]

    with probing.udp_server(lose_the_first) as port:
        assert probe("127.0.0.1", port, payload_bytes=1472) == Outcome(path_mtu=1500, path_state=PathState.CLEAN)


def hostile() -> dict[str, probing.Server]:
    kept: list[bytes] = []

    def replay(data: bytes, _peer: Peer) -> list[bytes]:
        kept.append(data)
        return [kept[0]] if len(kept) > 2 else []

    return {
        "shorter": lambda data, _peer: [data[:-1]],
        "longer": lambda data, _peer: [data + b"\0"],
        "nothing in it": lambda _data, _peer: [b""],
        "zeros": lambda data, _peer: [bytes(len(data))],
        "another token": lambda data, _peer: [data[:48] + bytes(8) + data[56:]],
        "huge": lambda data, _peer: [data.ljust(60_000, b"x")],
        "many": lambda data, _peer: [data[:20]] * 200,
        "replayed": replay,
    }


@pytest.mark.parametrize("name", list(hostile()))
def test_hostile_answers_are_no_success(name: str) -> None:
    with probing.udp_server(hostile()[name]) as port:
        outcome = probe("127.0.0.1", port, seconds=0.2, payload_bytes=1472)
    assert not outcome.success
    assert outcome.path_mtu is None


def test_another_sender_is_not_heard() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))

        def spoof(data: bytes, peer: Peer) -> list[bytes]:
            other.sendto(data, peer)
            return []

        with probing.udp_server(spoof) as port:
            assert probe("127.0.0.1", port, seconds=0.2).reason is Reason.TIMEOUT


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=200), min_size=1, max_size=5))
def test_any_bytes_at_all_are_no_answer(datagrams: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        asking = Datagrams(probing.target("127.0.0.1", 1, kind="pmtu").settings, (socket.AF_INET, server.getsockname()))
        with contextlib.closing(asking):
            asking.send((1000,))
            _data, peer = server.recvfrom(2000)
            for datagram in datagrams:
                server.sendto(datagram, peer)
            assert asking.receive() == []


def test_a_payload_too_small_for_a_token_is_an_error_of_the_definition() -> None:
    with probing.environment() as (environment, _noted), pytest.raises(ConfigError, match="payload_bytes is 55"):
        PmtuKind().open(probing.target("127.0.0.1", 1, kind="pmtu", payload_bytes=55), environment)


def test_a_name_that_does_not_resolve_is_dns() -> None:
    assert probe("does-not-exist.invalid", 1).reason is Reason.DNS


def test_no_descriptor_is_left() -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    with probing.udp_server(swallows(1400)) as port, tcp_sink() as tcp:
        probe("127.0.0.1", port, payload_bytes=1472, pmtu=Pmtu(tcp))
        before = count()
        for _ in range(3):
            probe("127.0.0.1", port, payload_bytes=1472, pmtu=Pmtu(tcp))
            probe("127.0.0.1", port, seconds=0.06, payload_bytes=1472)
        assert count() == before
