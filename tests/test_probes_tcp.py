import resource
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from natobs.errors import ConfigError
from natobs.probes import farewell
from natobs.probes.model import Clock, Outcome, Reason
from natobs.probes.tcp import TcpKind
from tests import probing
from tests.loopback import PATIENCE, eventually
from tests.streaming import bounded, run, server


def drain(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def outcome(host: str, port: int, **settings: object) -> Outcome:
    return bounded(TcpKind(), probing.target(host, port, kind="tcp", **settings)).outcome


@contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue is full: the kernel drops every further SYN."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        waiting = []
        for _ in range(3):
            waiting.append(socket.socket())
            waiting[-1].setblocking(False)
            waiting[-1].connect_ex(listening.getsockname())
        time.sleep(0.02)
        yield listening.getsockname()[1]
        for one in waiting:
            one.close()


def test_a_connection_is_timed_by_the_kernel() -> None:
    began = time.monotonic()
    with server(drain) as port:
        got = outcome("127.0.0.1", port)
    took = time.monotonic() - began
    assert got.success
    assert got.detail == ""
    assert got.clock is Clock.TCP_INFO
    assert got.rtt is not None
    assert 0 < got.rtt < took
    assert list(got.phases) == ["resolve", "connect"]
    assert got.phases["connect"] == got.rtt
    assert got.syn_retransmits == 0


def test_a_name_is_resolved() -> None:
    with server(drain) as port:
        got = outcome("localhost", port, family="ipv4")
    assert got.success


def test_a_name_that_does_not_exist_fails_with_dns() -> None:
    got = outcome("does-not-exist.invalid", 80)
    assert got.reason is Reason.DNS
    assert "does-not-exist.invalid" in got.detail


def test_no_listener_is_refused() -> None:
    got = outcome("127.0.0.1", 1)
    assert (got.reason, got.rtt, got.clock) == (Reason.REFUSED, None, None)


def test_silence_is_a_timeout_that_says_where() -> None:
    with full_listener() as port:
        got = outcome("127.0.0.1", port, timeout_seconds=0.2)
    assert got.reason is Reason.TIMEOUT
    assert f"connecting to 127.0.0.1 port {port}" in got.detail
    assert list(got.phases) == ["resolve", "connect"]
    assert sum(got.phases.values()) > 0.1  # the limit is of both


def test_the_syns_sent_again_are_counted_when_the_time_is_up() -> None:
    with full_listener() as port:
        got = outcome("127.0.0.1", port, timeout_seconds=1.5)
    assert (got.reason, got.syn_retransmits) == (Reason.TIMEOUT, 1)


def test_success_after_a_second_syn_says_so_and_has_no_round_trip() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        held = [socket.create_connection(listening.getsockname())]
        target = probing.target("127.0.0.1", listening.getsockname()[1], kind="tcp")
        with probing.environment() as (around, _noted):
            prober = TcpKind().open(target, around)
            steps = prober.attempt(0)
            wait = next(steps)
            time.sleep(0.1)
            held.append(listening.accept()[0])  # room for the next SYN, one second after the first
            deadline = time.monotonic() + PATIENCE
            got = None
            while got is None:
                assert time.monotonic() < deadline
                time.sleep(0.05)
                try:
                    wait = next(steps)
                except StopIteration as end:
                    got = end.value
            prober.close()
        assert wait.write
        for one in held:
            one.close()
    assert got.success
    assert (got.syn_retransmits, got.rtt, got.clock) == (1, None, None)
    assert "2 times" in got.detail
    assert got.phases["connect"] > 0.9


def test_a_reset_after_the_handshake_never_crashes() -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with server(reset) as port:
        reasons = {
            attempt.outcome.reason for attempt in run(TcpKind(), probing.target("127.0.0.1", port, kind="tcp"), 20)
        }
    assert reasons <= {None, Reason.RESET}


def test_a_source_address_of_others_is_this_hosts_fault() -> None:
    got = outcome("127.0.0.1", 80, source="192.0.2.77")
    assert got.reason is Reason.LOCAL
    assert "192.0.2.77" in got.detail


def test_a_source_address_is_used() -> None:
    peers: list[str] = []

    def note(connection: socket.socket) -> None:
        peers.append(connection.getpeername()[0])

    with server(note) as port:
        assert outcome("127.0.0.1", port, source="127.9.8.7").success
    assert peers[0] == "127.9.8.7"


def test_the_connection_ends_with_fin_even_if_the_server_talks_late() -> None:
    ends: list[str] = []

    def banner(connection: socket.socket) -> None:
        time.sleep(0.05)
        try:
            connection.sendall(b"220 late banner\r\n")
            time.sleep(0.05)
            connection.sendall(b"more\r\n")
            ends.append("fin" if connection.recv(10) == b"" else "data")
        except OSError:
            ends.append("reset")

    with server(banner) as port, probing.environment() as (around, _noted):
        prober = TcpKind().open(probing.target("127.0.0.1", port, kind="tcp"), around)
        assert probing.probe(prober).success
        assert eventually(lambda: bool(ends))
        prober.close()
    assert ends[:1] == ["fin"]


def test_descriptors_do_not_grow() -> None:
    with server(drain) as port, probing.environment() as (around, _noted):
        prober = TcpKind().open(probing.target("127.0.0.1", port, kind="tcp"), around)
        before = descriptors()
        for _ in range(farewell.MOST + 50):
            assert probing.probe(prober).success
        # The server's ends are descriptors of ours too; it may lag behind with closing them.
        assert eventually(lambda: descriptors() <= before + 2 * farewell.MOST + 5)
        prober.close()
        assert eventually(lambda: descriptors() <= before + 2)


def test_the_end_of_one_target_leaves_the_goodbyes_of_the_others_alone() -> None:
    leaving = farewell.Farewell()
    pairs = [socket.socketpair() for _ in range(3)]
    for (opened, _other), prober in zip(pairs, ("one", "other", "one"), strict=True):
        opened.setblocking(False)  # as every socket of a probe
        leaving.leave(opened, prober)
    leaving.close("one")
    assert [opened.fileno() >= 0 for opened, _other in pairs] == [False, True, False]
    assert [other.recv(1) for _opened, other in pairs] == [b""] * 3  # each has been told
    leaving.close("other")
    assert pairs[1][0].fileno() < 0
    for _opened, other in pairs:
        other.close()


def test_out_of_descriptors_is_a_local_error() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with probing.environment() as (around, _noted):
        steps = TcpKind().open(probing.target("127.0.0.1", 1, kind="tcp"), around).attempt(0)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            with pytest.raises(StopIteration) as end:
                next(steps)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert end.value.value.reason is Reason.LOCAL


def test_an_abandoned_attempt_closes_its_socket() -> None:
    with full_listener() as port, probing.environment() as (around, _noted):
        before = descriptors()
        steps = TcpKind().open(probing.target("127.0.0.1", port, kind="tcp"), around).attempt(0)
        next(steps)
        steps.close()
        assert descriptors() <= before


def test_a_target_without_a_port_is_refused() -> None:
    with probing.environment() as (around, _noted), pytest.raises(ConfigError, match="needs a port"):
        TcpKind().open(probing.target("127.0.0.1", 0, kind="tcp"), around)
