"""The responder on loopback: what is answered, what is not, and that nothing makes it stop."""

import os
import socket
import time
from contextlib import suppress
from typing import Any

import pytest

from natobs.config import Nat, Prefix
from natobs.config import Responder as Settings
from natobs.probes import responder
from natobs.probes.model import Clock, Reason
from natobs.probes.permission import permission_of
from natobs.probes.responder import MOST_IN_FLIGHT, MOST_KEPT, Counts, Responder
from natobs.wire import asking, stamp, token
from natobs.wire.asking import Probe, Reply, Request, Status
from tests.loopback import PATIENCE, eventually, reserved_port
from tests.probing import udp_server
from tests.responding import HERE, RATE, ask, deaf, reflect, request, responding, tcp_server
from tests.scripted import all_given_back, descriptors


@pytest.mark.parametrize(("kind", "clock"), [("icmp", Clock.KERNEL_TXRX), ("udp", Clock.KERNEL_TXRX)])
@pytest.mark.parametrize("family", [4, 6])
def test_the_round_trip_of_the_responder_is_the_outcome_of_the_asker(kind: str, clock: Clock, family: int) -> None:
    host = HERE if family == 4 else "::1"
    listen, net = (f"{HERE}:0", "127.0.0.0/8") if family == 4 else ("[::1]:0", "::1/128")
    with udp_server(reflect, host) as port, responding(listen=listen, allow=net, targets=net) as running:
        began = time.monotonic()
        outcome = ask(running.where, host, port if kind == "udp" else 0, kind=kind)
        took = time.monotonic() - began
        assert running.counted()["measured"] == 1
    assert (outcome.reason, outcome.clock) == (None, clock)
    assert outcome.rtt is not None
    assert 0 < outcome.rtt < took


def test_a_tcp_connection_is_measured_by_one_syn() -> None:
    with tcp_server() as port, responding() as running:
        began = time.monotonic()
        outcome = ask(running.where, HERE, port, kind="tcp")
        took = time.monotonic() - began
    assert (outcome.reason, outcome.clock, outcome.syn_retransmits) == (None, Clock.TCP_INFO, 0)
    assert outcome.rtt is not None
    assert 0 < outcome.rtt < took


def test_one_request_is_one_probe_with_a_token_of_its_own_kind() -> None:
    seen: list[bytes] = []

    def watch(data: bytes, peer: tuple[Any, ...]) -> list[bytes]:
        seen.append(data)
        return reflect(data, peer)

    with udp_server(watch) as port, responding() as running:
        for _ in range(5):
            assert running.ask("udp", port).status is Status.MEASURED
        assert running.ask("udp", port, payload=1000).status is Status.MEASURED
    assert [len(data) for data in seen] == [stamp.PADDED_SIZE] * 5 + [1000]
    marks = [data[token.STAMP_OFFSET : token.STAMP_OFFSET + token.SIZE] for data in seen]
    assert {mark[:4] for mark in marks} == {token.RESPONDER_MAGIC}
    assert len(set(marks)) == 6
    assert all(token.in_udp(data) is None for data in seen)


def test_failures_have_the_reason_that_the_responder_found() -> None:
    with udp_server(deaf) as silent, responding() as running:
        with reserved_port(socket.SOCK_DGRAM) as port:
            refused = running.ask("udp", port)
        assert (refused.status, refused.why, refused.icmp) == (Status.FAILED, "refused", (3, 3))
        started = time.monotonic()
        late = running.ask("udp", silent, milliseconds=100)
        assert 0.1 <= time.monotonic() - started < asking.LONGEST_MILLISECONDS / 1000
        assert (late.status, late.why) == (Status.FAILED, "timeout")
        outcome = ask(running.where, HERE, silent)
        assert outcome.reason is Reason.TIMEOUT
        assert "says of its own attempt: timeout" in outcome.detail
        assert running.counted()["failed"] == 3


def test_a_target_off_the_list_is_refused_and_not_probed() -> None:
    seen: list[bytes] = []

    def watch(data: bytes, _peer: tuple[Any, ...]) -> list[bytes]:
        seen.append(data)
        return []

    with udp_server(watch) as port, responding(targets="127.0.0.9/32") as running:
        outcome = ask(running.where, HERE, port)
        assert running.counted()["refused"] == 1
    assert outcome.reason is Reason.REFUSED
    assert "refused: the target is not among its responder.targets" in outcome.detail
    assert seen == []


def test_a_probe_that_cannot_be_made_is_refused() -> None:
    with responding() as running:
        reply = running.ask("udp", 862, payload=20)
    assert (reply.status, reply.why) == (Status.REFUSED, "probe")


def test_a_stranger_hears_nothing() -> None:
    with udp_server(reflect) as port, responding(allow="127.0.0.2/32") as running:
        running.send(request(port))
        assert running.has_ignored(1)
        with pytest.raises(TimeoutError):
            running.reply(0.1)
        assert ask(running.where, HERE, port, 0.1).reason is Reason.TIMEOUT
    with udp_server(reflect) as port, responding(allow="127.0.0.2/32", client="127.0.0.2") as running:
        assert running.ask("udp", port).status is Status.MEASURED


def test_no_reply_is_longer_than_its_request_whatever_its_size() -> None:
    with udp_server(reflect) as port, responding() as running:
        sizes = range(2, 1600, 7)  # 64 would be right
        for count, size in enumerate(sizes, 1):
            running.send(request(port).ljust(size, b"\0")[:size])
            if count % 32 == 0 or count == len(sizes):  # the receive buffer holds no more
                assert running.has_ignored(count)
        running.client.settimeout(PATIENCE)
        for payload in (0, 56, 64, 65, 500, 1472):
            data = asking.encode_request(Request(7, Probe("udp", HERE, port, 500, payload)))
            running.send(data)
            assert len(running.client.recv(65_535)) == asking.REPLY_SIZE < len(data)
            assert len(data) >= payload
        counted = running.counted()
    assert counted["measured"] + counted["failed"] + counted["refused"] + counted["busy"] == 6


def test_beyond_the_rates_it_is_busy() -> None:
    with udp_server(reflect) as port, responding(source_rate=0.001) as running:
        statuses = [running.ask("udp", port) for _ in range(3)]
        assert [(reply.status, reply.why) for reply in statuses] == [
            (Status.MEASURED, ""),
            (Status.BUSY, "rate"),
            (Status.BUSY, "rate"),
        ]
        outcome = ask(running.where, HERE, port)
        assert outcome.reason is Reason.REFUSED
        assert "is busy: more is asked than its rate allows" in outcome.detail
    with udp_server(reflect) as port, responding(rate=0.001) as running:
        assert [running.ask("udp", port).status for _ in range(2)] == [Status.MEASURED, Status.BUSY]


def test_measurements_in_flight_are_bounded() -> None:
    with udp_server(deaf) as port, responding() as running:
        for number in range(MOST_IN_FLIGHT + 10):  # different time limits: probers of their own
            running.send(request(port, nonce=number, milliseconds=asking.LONGEST_MILLISECONDS - number))
        early = [running.reply() for _ in range(10)]
        assert {(reply.status, reply.why) for reply in early} == {(Status.BUSY, "in_flight")}
        assert {reply.nonce for reply in early} == set(range(MOST_IN_FLIGHT, MOST_IN_FLIGHT + 10))
        assert {running.reply().why for _ in range(MOST_IN_FLIGHT)} == {"timeout"}
        running.send(request(port, nonce=1), request(port, nonce=2))  # the same again is not measured twice at a time
        reply = running.reply()
        assert (reply.nonce, reply.why) == (2, "in_flight")


def test_what_is_kept_for_later_is_bounded() -> None:
    with udp_server(reflect) as port, responding() as running:
        for number in range(MOST_KEPT):
            assert running.ask("udp", port, milliseconds=100 + number).status is Status.MEASURED
        before = descriptors()
        for number in range(MOST_KEPT):
            assert running.ask("udp", port, milliseconds=300 + number).status is Status.MEASURED
        assert descriptors() <= before


def test_garbage_is_ignored_and_changes_nothing() -> None:
    with udp_server(reflect) as port, responding() as running:
        good = request(port)
        replies = asking.encode_reply(Reply(1, Status.MEASURED))
        running.send(b"", b"\0", replies, good[:-1], good + b"\0", os.urandom(64), os.urandom(1472), os.urandom(9000))
        for place in range(len(good)):
            if 8 <= place < 39:  # nonce, address, port, and so on: another request, maybe for what is not allowed
                continue
            running.send(good[:place] + bytes([good[place] ^ 0x80]) + good[place + 1 :])
        assert running.has_ignored(8 + 64 - 31)
        assert running.ask("udp", port).status is Status.MEASURED


def test_a_flood_costs_little_and_ends_without_a_trace() -> None:
    with udp_server(reflect) as port, responding(source_rate=50) as running:
        flood = request(port, nonce=5)
        before, began, sent = running.spent(), time.monotonic(), 0
        while sent < 5000 or time.monotonic() < began + 0.5:
            running.send(flood if sent % 2 else b"garbage")
            sent += 1
        took = time.monotonic() - began
        assert running.spent() - before < 0.3 * took
        counted = running.counted()
        assert counted["measured"] <= 50 + took * 50 + 5
        time.sleep(1.3)
        running.client.setblocking(False)
        with suppress(BlockingIOError):
            while running.client.recv(100):
                pass
        assert running.ask("udp", port).status is Status.MEASURED


def test_a_fault_in_one_request_ends_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    faults: list[object] = []

    def fail(key: object, asker: object) -> None:
        faults.append(key)
        raise ZeroDivisionError

    with udp_server(reflect) as port, responding() as running:
        with monkeypatch.context() as patched:
            patched.setattr(running.service, "_measure", fail)
            running.send(request(port), request(port))
            assert eventually(lambda: len(faults) == 2)
        assert running.ask("udp", port).status is Status.MEASURED
        assert running.service.up
    assert caplog.text.count("a fault while answering") == 1


def test_an_address_that_is_not_there_yet_is_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(responder, "BIND_SECONDS", 0.05)
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.bind((HERE, 0))
        port = other.getsockname()[1]
        settings = Settings(
            listen=(f"{HERE}:{port}",), allow=(Prefix("127.0.0.0/8"),), targets=(Prefix("127.0.0.0/8"),)
        )
        service = Responder(permission_of(settings, Nat()), RATE, RATE, Counts())
        service.start()
        try:
            assert not service.up
            time.sleep(0.2)
            other.close()
            assert eventually(lambda: service.up)
            assert ask((HERE, port), HERE, 9).reason is Reason.REFUSED  # measured: nobody listens on port 9
        finally:
            service.stop()
    assert not service.up
    assert caplog.text.count("another program listens there") == 1


def test_everything_is_given_back() -> None:
    with udp_server(reflect) as port:
        with responding() as running:
            running.ask("udp", port)
        for _ in range(3):
            with all_given_back(), responding() as running:
                assert running.ask("udp", port).status is Status.MEASURED
                assert running.ask("icmp", 0).status is Status.MEASURED
                running.send(request(port, milliseconds=900))


def test_a_measurement_costs_little_cpu() -> None:
    with udp_server(reflect) as port, responding() as running:
        running.ask("udp", port)
        before = running.spent()
        for _ in range(100):
            assert running.ask("udp", port).status is Status.MEASURED
        each = (running.spent() - before) / 100
    assert each < 1e-3
