import errno
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from natobs.errors import ConfigError
from natobs.probes import clocks
from natobs.probes.model import Clock, Outcome, Reason
from natobs.probes.sockets import open_socket
from natobs.probes.udp import UdpKind
from natobs.wire import stamp, timestamps
from tests.loopback import PATIENCE, eventually, reserved_port
from tests.probing import environment, probe, target, udp_server
from tests.scripted import descriptors, settings

SO_MARK = 36


def reflect(data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
    now = time.time_ns()
    return [stamp.encode_reply(stamp.decode_request(data), now, time.time_ns())]


def once(port: int, until: Callable[[], bool] = lambda: False, **settings: Any) -> Outcome:  # noqa: ANN401 - whatever the definition has
    with environment() as (given, _noted):
        prober = UdpKind().open(target("127.0.0.1", port, **settings), given)
        try:
            return probe(prober, until=until)
        finally:
            prober.close()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_round_trip_is_measured_by_the_kernel(address: str) -> None:
    with environment() as (given, noted), udp_server(reflect, address) as port:
        prober = UdpKind().open(target(address, port), given)
        started = time.monotonic()
        outcomes = [probe(prober) for _ in range(10)]
        took = time.monotonic() - started
        prober.close()
    assert [outcome.reason for outcome in outcomes] == [None] * 10
    assert {outcome.clock for outcome in outcomes} == {Clock.KERNEL_TXRX}
    trips = [outcome.rtt for outcome in outcomes if outcome.rtt]
    assert len(trips) == 10
    assert 0 < sum(trips) < took
    assert (noted.lates, noted.rejects) == (0, 0)


def test_the_reflectors_own_time_is_not_counted() -> None:
    own: list[int] = []

    def dawdle(data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
        received = time.time_ns()
        time.sleep(0.05)
        own.append(time.time_ns() - received)
        return [stamp.encode_reply(stamp.decode_request(data), received, received + own[0])]

    with udp_server(dawdle) as port:
        began = time.monotonic()
        outcome = once(port)
        took = time.monotonic() - began
    assert outcome.success
    assert outcome.rtt is not None
    assert 0 < outcome.rtt < took - own[0] / 1e9


def test_source_ports_are_a_fixed_set_used_in_turn() -> None:
    seen: list[int] = []

    def watch(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        seen.append(peer[1])
        return reflect(data, peer)

    with environment() as (given, _noted), udp_server(watch) as port:
        prober = UdpKind().open(target("127.0.0.1", port, source_ports=3), given)
        assert all(probe(prober).success for _ in range(9))
        prober.close()
    assert len(set(seen)) == 3
    assert seen[:3] == seen[3:6] == seen[6:]


def test_source_ports_stay_the_same_after_failures() -> None:
    seen: list[int] = []

    def deaf(_data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        seen.append(peer[1])
        return []

    with environment() as (given, _noted), udp_server(deaf) as port:
        prober = UdpKind().open(target("127.0.0.1", port, source_ports=2), given)
        for _ in range(6):
            heard = len(seen)
            assert probe(prober, until=lambda: len(seen) > heard).reason is Reason.TIMEOUT  # noqa: B023 - at once
        prober.close()
    assert len(set(seen)) == 2
    assert seen[:2] == seen[2:4] == seen[4:]


def test_a_closed_port_refuses_with_the_sender() -> None:
    with reserved_port(socket.SOCK_DGRAM) as port:
        outcome = once(port)
    assert outcome.reason is Reason.REFUSED
    assert outcome.icmp is not None
    assert (outcome.icmp.type, outcome.icmp.code, outcome.icmp.sender) == (3, 3, "127.0.0.1")
    assert "127.0.0.1" in outcome.detail


def test_silence_is_a_timeout_and_the_late_answer_is_counted_but_no_success() -> None:
    delayed: list[bytes] = []
    sent: list[int] = []

    def late(data: bytes, peer: tuple[Any, ...]) -> Iterator[bytes]:
        if not delayed:
            delayed.extend(reflect(data, peer))
            return
        yield delayed[0]  # the second request gets the answer to the first
        sent.append(peer[1])

    with environment() as (given, noted), udp_server(late) as port:
        prober = UdpKind().open(target("127.0.0.1", port, source_ports=1), given)
        assert probe(prober, until=lambda: bool(delayed)).reason is Reason.TIMEOUT
        assert probe(prober, until=lambda: len(sent) == 1).reason is Reason.TIMEOUT
        assert noted.lates == 1
        probe(prober, until=lambda: len(sent) == 2)  # the same answer a third time was counted already
        prober.close()
    assert noted.lates == 1


def test_a_late_answer_is_counted_when_the_next_attempt_begins_on_another_port() -> None:
    ports: set[int] = set()
    over = threading.Event()

    def slow_at_first(data: bytes, peer: tuple[Any, ...]) -> Iterator[bytes]:
        assert over.wait(PATIENCE)
        yield from reflect(data, peer)
        ports.add(peer[1])

    with environment() as (given, noted), udp_server(slow_at_first) as port:
        prober = UdpKind().open(target("127.0.0.1", port, source_ports=4), given)
        assert probe(prober, seconds=0.05).reason is Reason.TIMEOUT
        over.set()
        assert eventually(lambda: bool(ports))
        assert probe(prober).success
        prober.close()
    assert (noted.lates, len(ports)) == (1, 2)


def test_an_answer_above_the_limit_is_late_even_if_the_program_slept() -> None:
    def slow(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        time.sleep(0.08)
        return [stamp.encode_reply(stamp.decode_request(data), 0, 0)]

    with environment() as (given, _noted), udp_server(slow) as port:
        prober = UdpKind().open(target("127.0.0.1", port, timeout_seconds=0.05), given)
        outcome = probe(prober)
        prober.close()
    assert (outcome.reason, outcome.rtt) == (Reason.LATE, None)


HOSTILE: dict[str, Callable[[bytes], list[bytes]]] = {
    "truncated": lambda reply: [reply[:43]],
    "empty": lambda _reply: [b""],
    "wrong sequence": lambda reply: [reply[:27] + bytes([reply[27] ^ 1]) + reply[28:]],
    "wrong time": lambda reply: [reply[:30] + bytes([reply[30] ^ 1]) + reply[31:]],
    "huge": lambda reply: [reply.ljust(60_000, b"x")],
    "forbidden estimate": lambda reply: [reply[:12] + b"\0\0" + reply[14:]],
    "garbage, many times": lambda _reply: [bytes([number]) * 60 for number in range(200)],
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_replies_are_never_a_success(name: str) -> None:
    sent = threading.Event()

    def answer(data: bytes, peer: tuple[Any, ...]) -> Iterator[bytes]:
        yield from HOSTILE[name](reflect(data, peer)[0])
        sent.set()

    with udp_server(answer) as port:
        assert once(port, sent.is_set).reason is Reason.TIMEOUT


def test_the_right_answer_is_found_behind_garbage() -> None:
    with udp_server(lambda data, peer: [b"?", b"x" * 44, *reflect(data, peer), *reflect(data, peer)]) as port:
        assert once(port).success


def test_the_right_answer_from_another_source_is_not_seen() -> None:
    sent = threading.Event()

    def elsewhere(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(reflect(data, peer)[0], peer)
        sent.set()
        return []

    with udp_server(elsewhere) as port:
        assert once(port, sent.is_set).reason is Reason.TIMEOUT


def test_nothing_wakes_an_attempt_that_waits() -> None:
    with environment() as (given, _noted), udp_server(lambda _data, _peer: []) as port:
        prober = UdpKind().open(target("127.0.0.1", port), given)
        steps = prober.attempt(0)
        wait = next(steps)
        poll = select.poll()
        poll.register(wait.descriptor, select.POLLIN)
        assert poll.poll(30) == []  # the send stamp has left the error queue, which would wake at once
        steps.close()
        prober.close()


def test_a_clock_step_drops_the_round_trip_and_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    offsets = iter([0, 1_500_000, 1_500_000, 1_500_000])
    read = clocks.now

    def now() -> clocks.Moment:
        moment = read()
        return clocks.Moment(moment.realtime + next(offsets), moment.monotonic, moment.width)

    monkeypatch.setattr(clocks, "now", now)
    with environment() as (given, noted), udp_server(reflect) as port:
        prober = UdpKind().open(target("127.0.0.1", port), given)
        outcome = probe(prober)
        again = probe(prober)
        prober.close()
    assert (outcome.success, outcome.rtt, noted.rejects) == (True, None, 1)
    assert again.rtt is not None


def test_a_reflector_whose_clock_went_backwards_gives_no_round_trip() -> None:
    def confused(data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
        return [stamp.encode_reply(stamp.decode_request(data), 10**18 + 10**9, 10**18)]

    with environment() as (given, noted), udp_server(confused) as port:
        prober = UdpKind().open(target("127.0.0.1", port), given)
        outcome = probe(prober)
        prober.close()
    assert (outcome.success, outcome.rtt, noted.rejects) == (True, None, 1)


@pytest.mark.parametrize(
    ("flags", "clock"),
    [("RECEIVE", Clock.KERNEL_RX), ("NOTHING", Clock.USERSPACE)],
)
def test_without_kernel_stamps_the_result_says_whose_clock_it_was(
    flags: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timestamps, "SEND_AND_RECEIVE", timestamps.RECEIVE if flags == "RECEIVE" else 0)
    with udp_server(reflect) as port:
        began = time.monotonic()
        outcome = once(port)
        took = time.monotonic() - began
    assert (outcome.success, outcome.clock) == (True, clock)
    assert outcome.rtt is not None
    assert 0 < outcome.rtt < took


def test_a_packet_has_the_size_that_was_asked_for() -> None:
    sizes: list[int] = []

    def measure(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        sizes.append(len(data))
        return reflect(data, peer)

    with udp_server(measure) as port:
        assert once(port).success
        assert once(port, payload_bytes=1472).success
        assert once(port, payload_bytes=20_000).success
    assert sizes == [stamp.PADDED_SIZE, 1472, 20_000]
    with environment() as (given, _noted), pytest.raises(ConfigError, match="payload_bytes"):
        UdpKind().open(target("127.0.0.1", 1, payload_bytes=50), given)


def test_a_source_address_that_this_host_lacks_fails_the_attempt() -> None:
    outcome = once(9, source="192.0.2.77")
    assert (outcome.reason, "192.0.2.77" in outcome.detail) == (Reason.LOCAL, True)


def test_a_source_address_of_another_family_fails_the_attempt() -> None:
    outcome = once(9, source="::1")
    assert (outcome.reason, "of another family" in outcome.detail) == (Reason.LOCAL, True)


@pytest.mark.parametrize("mark", [1, 0xFFFFFFFF])
def test_every_mark_is_one_that_the_kernel_is_asked_for(mark: int) -> None:
    try:
        opened = open_socket(settings(mark=mark), socket.AF_INET, socket.SOCK_DGRAM)
    except PermissionError:  # without CAP_NET_ADMIN
        return
    with opened:
        assert opened.getsockopt(socket.SOL_SOCKET, SO_MARK) & 0xFFFFFFFF == mark


@pytest.mark.parametrize(
    ("wanted", "capability"), [({"mark": 7}, "CAP_NET_ADMIN"), ({"interface": "lo"}, "CAP_NET_RAW")]
)
def test_what_needs_a_capability_says_so_by_name(
    wanted: dict[str, Any], capability: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unprivileged(socket.socket):
        def setsockopt(self, level: int, option: int, *value: Any) -> None:  # noqa: ANN401 - as it is called
            if option in {SO_MARK, socket.SO_BINDTODEVICE} and level == socket.SOL_SOCKET:
                raise PermissionError(errno.EPERM, "Operation not permitted")
            super().setsockopt(level, option, *value)

    monkeypatch.setattr(socket, "socket", Unprivileged)
    outcome = once(9, **wanted)
    assert (outcome.reason, capability in outcome.detail) == (Reason.LOCAL, True)


def test_a_name_that_does_not_resolve_is_a_dns_failure() -> None:
    with environment() as (given, _noted):
        prober = UdpKind().open(target("name.invalid", 862), given)
        outcome = probe(prober)
        prober.close()
    assert outcome.reason is Reason.DNS
    assert "name.invalid" in outcome.detail


def test_a_reflector_that_cuts_the_padding_off_is_understood() -> None:
    with udp_server(lambda data, peer: [reflect(data, peer)[0][:44]]) as port:
        assert once(port).success


def test_descriptors_are_given_back() -> None:
    with udp_server(reflect) as port, environment() as (given, _noted):
        once(port)
        before = descriptors()
        for _ in range(3):
            prober = UdpKind().open(target("127.0.0.1", port), given)
            assert all(probe(prober).success for _ in range(5))
            prober.close()
        assert descriptors() <= before


def test_a_step_is_told_from_a_reading_that_was_interrupted() -> None:
    start = clocks.Moment(10**18, 5 * 10**9, 200)
    assert not clocks.stepped(start, clocks.Moment(10**18 + 10**9, 6 * 10**9, 200))
    assert clocks.stepped(start, clocks.Moment(10**18 + 10**9 + 1_100_000, 6 * 10**9, 200))
    assert clocks.stepped(start, clocks.Moment(10**18 + 10**9 - 1_100_000, 6 * 10**9, 200))
    assert not clocks.stepped(start, clocks.Moment(10**18 + 10**9 + 1_100_000, 6 * 10**9, 300_000))
    before = time.time_ns()
    assert before <= clocks.now().realtime <= time.time_ns()
