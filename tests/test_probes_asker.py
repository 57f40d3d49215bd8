"""The asking side on loopback, with responders that the tests make up: late, forged, foreign, garbled."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from natobs.errors import ConfigError
from natobs.probe_config import Compare
from natobs.probes.asker import Asker
from natobs.probes.model import Clock, Outcome, Reason
from natobs.wire import asking
from natobs.wire.asking import Reply, Request, Status
from tests.loopback import reserved_port
from tests.probing import environment, probe, target, udp_server
from tests.responding import HERE, ask, reflect, responding
from tests.scripted import descriptors

Answer = Callable[[Request], list[bytes]]


def measured(request: Request, nanoseconds: int = 1000) -> bytes:
    return asking.encode_reply(Reply(request.nonce, Status.MEASURED, "", nanoseconds, "kernel_txrx"))


def told(answer: Answer, seconds: float = 0.3, **settings: Any) -> tuple[Outcome, list[Request]]:  # noqa: ANN401  any setting
    """What the asker makes of an answer, and what it asked; its time is up when all of the answer has been sent."""
    asked: list[Request] = []
    sent = threading.Event()

    def respond(data: bytes, _peer: tuple[Any, ...]) -> Iterator[bytes]:
        asked.append(asking.decode_request(data))
        yield from answer(asked[-1])
        sent.set()

    with udp_server(respond) as port:
        return ask((HERE, port), "198.51.100.1", 862, seconds, sent.is_set, **settings), asked


def test_the_question_is_what_the_definition_says() -> None:
    outcome, (request,) = told(lambda request: [measured(request, 20_000)], payload_bytes=700, dscp=46)
    assert (outcome.success, outcome.rtt, outcome.clock) == (True, 20e-6, Clock.KERNEL_TXRX)
    asked = request.probe
    assert (asked.kind, asked.host, asked.port, asked.payload, asked.dscp) == ("udp", "198.51.100.1", 862, 700, 46)
    assert 269 <= asked.milliseconds <= 270


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0.01, 9), (0.2, 180), (0.9, 850), (5.0, 900)])
def test_the_responder_has_less_time_than_the_asker(seconds: float, milliseconds: int) -> None:
    _outcome, (request,) = told(lambda request: [measured(request)], seconds)
    assert abs(request.probe.milliseconds - milliseconds) <= 1


def test_a_ping_has_no_port_and_tcp_no_payload() -> None:
    _outcome, (request,) = told(lambda request: [measured(request)], kind="icmp")
    assert request.probe.port == 0
    _outcome, (request,) = told(lambda request: [measured(request)], kind="tcp", payload_bytes=100)
    assert (request.probe.port, request.probe.payload) == (862, 0)


@pytest.mark.parametrize(
    ("reply", "reason", "said"),
    [
        (Reply(0, Status.REFUSED, "target"), Reason.REFUSED, "refused: the target is not among"),
        (Reply(0, Status.REFUSED, "probe"), Reason.REFUSED, "refused: it cannot make such a probe"),
        (Reply(0, Status.BUSY, "in_flight"), Reason.REFUSED, "is busy: it is measuring as much"),
        (Reply(0, Status.FAILED, "timeout"), Reason.TIMEOUT, "says of its own attempt: timeout"),
        (
            Reply(0, Status.FAILED, "unreachable", icmp=(3, 1)),
            Reason.UNREACHABLE,
            "says of its own attempt: unreachable (ICMP type 3 code 1)",
        ),
        (Reply(0, Status.MEASURED, "", 10**18, "tcp_info"), Reason.LOCAL, "more than its answer took"),
    ],
)
def test_a_failure_says_who_said_so(reply: Reply, reason: Reason, said: str) -> None:
    def answer(request: Request) -> list[bytes]:
        data = asking.encode_reply(reply)
        return [data[:8] + request.nonce.to_bytes(8, "big") + data[16:]]

    outcome, _asked = told(answer)
    assert outcome.reason is reason
    assert outcome.rtt is None
    assert outcome.detail.startswith("the responder 127.0.0.1:")
    assert said in outcome.detail


def test_a_round_trip_that_the_nat_had_to_drop_is_none() -> None:
    outcome, _asked = told(lambda request: [asking.encode_reply(Reply(request.nonce, Status.MEASURED))])
    assert (outcome.success, outcome.rtt) == (True, None)
    assert "no round trip" in outcome.detail


def test_only_the_nonce_makes_it_the_answer() -> None:
    def answer(request: Request) -> list[bytes]:
        wrong = Request(request.nonce ^ 1, request.probe)
        garbage = [b"", os.urandom(32), measured(request)[:-1], measured(request) + b"\0", measured(wrong, 9)]
        return [*garbage * 20, asking.encode_request(request), measured(request, 12_000)]

    outcome, _asked = told(answer)
    assert outcome.rtt == 12e-6
    outcome, _asked = told(lambda request: [measured(Request(request.nonce ^ 1, request.probe))] * 100)
    assert outcome.reason is Reason.TIMEOUT


def test_an_answer_from_elsewhere_is_none() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as other, socket.socket(type=socket.SOCK_DGRAM) as listening:
        listening.bind((HERE, 0))
        other.bind(("127.0.0.2", 0))
        with environment() as (given, _noted):
            where = f"{HERE}:{listening.getsockname()[1]}"
            asker = Asker(target(HERE, 862, compare=Compare(responder=where)), given)
            steps = asker.attempt(0)
            next(steps)
            data, peer = listening.recvfrom(2000)
            other.sendto(measured(asking.decode_request(data)), peer)
            time.sleep(0.05)
            assert next(steps).descriptor >= 0  # still waiting
            steps.close()
            asker.close()


def test_an_answer_that_comes_late_is_not_that_of_the_next_question() -> None:
    before: list[Request] = []

    def respond(data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
        request = asking.decode_request(data)
        before.append(request)
        return [measured(old, 1000 * number) for number, old in enumerate(before, 1)] if len(before) > 1 else []

    with udp_server(respond) as port, environment() as (given, _noted):
        asker = Asker(target(HERE, 862, compare=Compare(responder=f"{HERE}:{port}")), given)
        first, second, third = probe(asker, until=lambda: bool(before)), probe(asker), probe(asker)
        asker.close()
    assert first.reason is Reason.TIMEOUT
    assert f"no answer from the responder {HERE}:{port}" in first.detail
    assert (second.rtt, third.rtt) == (2e-6, 3e-6)


def test_where_nobody_listens_it_is_refused_at_once_and_the_next_attempt_is_a_new_one() -> None:
    with reserved_port(socket.SOCK_DGRAM) as port, environment() as (given, _noted):
        asker = Asker(target(HERE, 862, compare=Compare(responder=f"{HERE}:{port}")), given)
        outcome = probe(asker)
        assert outcome.reason is Reason.REFUSED
        assert "nobody listens at the responder's address" in outcome.detail
        with socket.socket(type=socket.SOCK_DGRAM) as late:
            late.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            late.bind((HERE, port))
            assert probe(asker, seconds=0.05).reason is Reason.TIMEOUT
        asker.close()


def test_names_are_resolved_here() -> None:
    with udp_server(reflect) as port, responding() as running:
        whom = f"localhost:{running.where[1]}"
        with environment() as (given, _noted):
            one = target("localhost", port, compare=Compare(responder=whom), family="ipv4")
            asker = Asker(one, given)
            outcome = probe(asker)
            asker.close()
            lost = Asker(target("name.invalid", 1, compare=Compare(responder=whom)), given)
            assert probe(lost).reason is Reason.DNS
            lost.close()
    assert outcome.success or outcome.reason is Reason.REFUSED  # where localhost is ::1 first, nobody listens there
    assert running.counted()["measured"] == outcome.success


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"compare": Compare(responder="[::1")}, "compare.responder"),
        ({"compare": Compare(responder="10.0.1.1"), "payload_bytes": 1473}, "at most 1472"),
    ],
)
def test_what_no_responder_can_do_is_refused(settings: dict[str, Any], said: str) -> None:
    with environment() as (given, _noted), pytest.raises(ConfigError, match=said):
        Asker(target(HERE, 862, **settings), given)


def test_the_port_has_a_default() -> None:
    with environment() as (given, _noted):
        assert Asker(target(HERE, 862, compare=Compare(responder="10.0.1.1")), given).name == "10.0.1.1:9653"
        assert Asker(target(HERE, 862, compare=Compare(responder="fd00::1")), given).name == "[fd00::1]:9653"


def test_descriptors_are_given_back() -> None:
    with udp_server(lambda data, _peer: [measured(asking.decode_request(data))]) as port:
        before = descriptors()
        for _ in range(3):
            assert ask((HERE, port), HERE, 862).success
            assert ask((HERE, port), "name.invalid", 862).reason is Reason.DNS
        assert descriptors() <= before
