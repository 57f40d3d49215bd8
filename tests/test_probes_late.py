"""What an engine that was held up makes of answers: the kernel knows when they came, and only those in time succeed."""

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from natobs.probe_config import Dns, Http, Tls
from natobs.probes.engine import Engine
from natobs.probes.model import Attempt, Outcome, Reason
from natobs.probes.plan import Plan
from natobs.probes.progress import FailedError, Progress, concluded
from natobs.probes.registry import Kinds
from natobs.wire import stamp
from tests import probing
from tests.dns_answers import good
from tests.http_answers import OK, head
from tests.loopback import PATIENCE
from tests.streaming import Faulty, Talk, server

LIMIT, LATE_SECONDS = 0.5, 0.7


def stalled(kind: str, port: int, turns: int, answered: threading.Event, **settings: Any) -> Outcome:  # noqa: ANN401 - any key of the file
    """One attempt by an engine that stands still beyond the time limit and the answer, after so many turns."""
    target = probing.target("127.0.0.1", port, kind=kind, timeout_seconds=LIMIT, **settings)
    done: list[Attempt] = []
    with probing.environment() as (environment, _noted):
        prober = Kinds()(target.settings.kind).open(target, environment)
        engine = Engine([target], [prober], Plan([], 1, 0), done.append)
        try:
            engine.begin(0)
            for _turn in range(turns):
                engine.turn(1.0)
            time.sleep(LIMIT + 0.05)
            assert answered.wait(PATIENCE)
            engine.turn(0)
        finally:
            engine.close()
    assert len(done) == 1
    assert done[0].seconds >= LIMIT
    return done[0].outcome


def answering_http(delay: float, answered: threading.Event) -> Talk:
    def talk(connection: socket.socket) -> None:
        head(connection)
        time.sleep(delay)
        connection.sendall(OK)
        answered.set()

    return talk


def answering_dns(delay: float, answered: threading.Event) -> Talk:
    def talk(connection: socket.socket) -> None:
        message = good(connection.recv(65_536)[2:])
        time.sleep(delay)
        connection.sendall(len(message).to_bytes(2, "big") + message)
        answered.set()
        connection.recv(1)

    return talk


def shaking_hands(directory: Path, delay: float, answered: threading.Event) -> Talk:
    context = Faulty(directory).serving("server")

    def talk(connection: socket.socket) -> None:
        time.sleep(delay)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secured = context.wrap_bio(incoming, outgoing, server_side=True)
        while data := connection.recv(65_536):
            incoming.write(data)
            with contextlib.suppress(ssl.SSLError):
                secured.do_handshake()
            connection.sendall(outgoing.read())
            answered.set()

    return talk


def reflected(delay: float, answered: threading.Event) -> probing.Server:
    def reflect(data: bytes, _peer: object) -> Iterator[bytes]:
        time.sleep(delay)
        now = time.time_ns()
        yield stamp.encode_reply(stamp.decode_request(data), now, now)
        answered.set()

    return reflect


@contextlib.contextmanager
def attempted(kind: str, delay: float, directory: Path) -> Iterator[Outcome]:
    answered = threading.Event()
    if kind == "udp":
        with probing.udp_server(reflected(delay, answered)) as port:
            yield stalled(kind, port, 0, answered)
        return
    settings: dict[str, dict[str, Any]] = {
        "http": {"http": Http(tls=False)},
        "dns": {"dns": Dns(transport="tcp")},
        "tls": {"tls": Tls(verify=False)},
    }
    talk = {"http": answering_http, "dns": answering_dns}.get(kind)
    with server(talk(delay, answered) if talk else shaking_hands(directory, delay, answered)) as port:
        yield stalled(kind, port, 1, answered, **settings[kind])


@pytest.mark.parametrize("kind", ["udp", "dns", "tls", "http"])
def test_an_answer_in_time_that_is_read_late_is_a_success(kind: str, tmp_path: Path) -> None:
    with attempted(kind, 0.0, tmp_path) as outcome:
        assert (outcome.reason, outcome.detail) == (None, "")


@pytest.mark.parametrize("kind", ["udp", "dns", "tls", "http"])
def test_a_late_answer_that_is_read_later_still_is_late(kind: str, tmp_path: Path) -> None:
    with attempted(kind, LATE_SECONDS, tmp_path) as outcome:
        assert outcome.reason is Reason.LATE
        assert "the answer came" in outcome.detail


def test_a_connection_that_stands_in_time_is_a_success() -> None:
    answered = threading.Event()
    answered.set()  # by the kernel
    with server(lambda connection: None) as port:
        outcome = stalled("tcp", port, 0, answered)
    assert (outcome.reason, outcome.detail) == (None, "")
    assert outcome.rtt is not None
    assert outcome.rtt < LIMIT


@pytest.mark.parametrize(("arrived", "reason"), [(0.9, Reason.BODY), (1.1, Reason.LATE)])
def test_a_failure_that_stands_on_a_late_answer_is_late_too(arrived: float, reason: Reason) -> None:
    progress = Progress(deadline=1.0)

    def steps() -> Iterator[Any]:
        progress.arrived = arrived
        yield from ()
        raise FailedError(Reason.BODY, "not that")

    (outcome,) = probing_outcomes(concluded(progress, steps()))  # type: ignore[arg-type]  # a generator all the same
    assert outcome.reason is reason


def probing_outcomes(steps: Any) -> list[Outcome]:  # noqa: ANN401 - a generator
    try:
        next(steps)
    except StopIteration as end:
        return [end.value]
    return []
