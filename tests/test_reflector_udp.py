"""STAMP and STUN on loopback: what is answered, what is not, and that no reply is longer than its request."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.probes.reflector.datagrams import Datagrams, Responder
from natobs.probes.reflector.limiter import Limiter
from natobs.probes.reflector.listen import open_all
from natobs.probes.reflector.stamp import SESSION_SECONDS, StampResponder
from natobs.probes.reflector.stun import ANY_FACTOR, StunResponder
from natobs.probes.reflector.tally import UDP_DROPS, Drop, Tally
from natobs.probes.stamped import hold_stamping
from natobs.wire import stamp, stun
from natobs.wire.token import Tokens

TOKEN = Tokens().next()
PLENTY = 1e9


class Bench:
    """One UDP service, turned by hand, and a client of it."""

    def __init__(self, stack: ExitStack, responder: Responder, host: str = "127.0.0.1", rate: float = PLENTY) -> None:
        self.server = stack.enter_context(open_all([(host, 0)], socket.SOCK_DGRAM)[0])
        self.tally = Tally("stamp", UDP_DROPS)
        self.datagrams = Datagrams(self.server, responder, Limiter(rate, PLENTY), self.tally)
        self.client = stack.enter_context(socket.socket(self.server.family, socket.SOCK_DGRAM))
        self.client.setblocking(False)
        self.where = self.server.getsockname()

    def ask(self, *requests: bytes, to: str = "") -> list[bytes]:
        """Send, let the service take its turn, and give what came back; loopback delivers at once."""
        for request in requests:
            self.client.sendto(request, (to or self.where[0], self.where[1]))
        self.datagrams.ready(0)
        replies = []
        try:
            while True:
                data, sender = self.client.recvfrom(65_535)
                assert sender[:2] == (to or self.where[0], self.where[1])
                replies.append(data)
        except BlockingIOError:
            return replies

    def drops(self) -> dict[Drop, int]:
        return {reason: count for reason, count in self.tally.dropped.items() if count}


@contextmanager
def bench(responder: Responder, host: str = "127.0.0.1", rate: float = PLENTY) -> Iterator[Bench]:
    with ExitStack() as stack:
        yield Bench(stack, responder, host, rate)


def request(number: int = 1, size: int = 44) -> bytes:
    return stamp.encode_request(number, time.time_ns(), TOKEN if size > 44 else b"", size)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("size", [44, 60, 1472, 9000])
def test_stamp_answers_with_kernel_time_of_arrival_and_ttl(host: str, size: int) -> None:
    with bench(StampResponder(), host) as service:
        before = time.time_ns()
        (answer,) = service.ask(request(77, size))
        after = time.time_ns()
    reply = stamp.decode_reply(answer)
    assert len(answer) == size
    assert (reply.sequence, reply.sender_sequence, reply.ttl) == (77, 77, 64)
    assert before - 1000 <= reply.received <= reply.sent <= after  # the first calls set up the kernel's clock anew
    assert reply.token == (TOKEN if size > 44 else None)
    assert service.tally.sent_bytes == service.tally.received_bytes == size


def test_the_time_of_arrival_is_not_the_time_of_reading() -> None:
    with bench(StampResponder()) as service:
        hold_stamping()  # the kernel switches its stamps on behind the system call that asks for them
        service.client.sendto(request(), service.where)
        time.sleep(0.1)
        (answer,) = service.ask()
    assert stamp.decode_reply(answer).residence >= 90e6


def test_stateful_stamp_counts_each_session_apart() -> None:
    with bench(StampResponder(stateful=True)) as service, socket.socket(type=socket.SOCK_DGRAM) as other:
        first = [stamp.decode_reply(answer) for answer in service.ask(*(request(number) for number in (5, 6, 9)))]
        with_id = request(1)[:14] + b"\0\7" + request(1)[16:]
        (answer,) = service.ask(with_id)
        other.sendto(request(40), service.where)
        service.ask()
        assert stamp.decode_reply(other.recv(100)).sequence == 0
    assert [(reply.sequence, reply.sender_sequence) for reply in first] == [(0, 5), (1, 6), (2, 9)]
    assert answer[:4] == bytes(4)
    assert answer[14:16] == b"\0\7"


def test_sessions_are_bounded_and_end() -> None:
    with bench(StampResponder(stateful=True, sessions=2)) as service, ExitStack() as stack:
        for _ in range(3):
            other = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            other.sendto(request(), service.where)
        (again,) = service.ask(request())
    assert stamp.decode_reply(again).sequence == 0
    assert SESSION_SECONDS == 900


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_stun_tells_address_and_port(host: str) -> None:
    with bench(StunResponder(), host) as service:
        transaction = os.urandom(12)
        (answer,) = service.ask(stun.encode_request(transaction))
        response = stun.decode_response(answer)
        assert response.transaction == transaction
        assert response.mapped == (host, service.client.getsockname()[1])


def test_stun_names_attributes_that_it_does_not_understand() -> None:
    with bench(StunResponder()) as service:
        asked = b"\0\1\0\x14\x21\x12\xa4\x42" + os.urandom(12) + b"\0\x03\0\x04\0\0\0\0" + b"\x80\x22\0\x08" + bytes(8)
        (answer,) = service.ask(asked)
    assert stun.decode_response(answer).error == 420


def test_a_short_stun_request_is_answered_only_on_demand() -> None:
    bare = b"\0\1\0\0\x21\x12\xa4\x42" + os.urandom(12)
    with bench(StunResponder(), "::1") as service:
        assert service.ask(bare) == []
        assert service.drops() == {Drop.SHORT: 1}
    with bench(StunResponder(answer_short=True), "::1") as service:
        (answer,) = service.ask(bare)
    assert len(answer) == len(bare) * ANY_FACTOR
    assert stun.decode_response(answer).mapped


MESSAGES = st.one_of(
    st.binary(max_size=2000),
    st.builds(lambda size, tail: request(3, size) + tail, st.sampled_from([44, 60, 200]), st.binary(max_size=60)),
    st.builds(lambda size: stun.encode_request(os.urandom(12), size), st.integers(0, 400)),
    st.builds(  # STUN with attributes of any kind
        lambda kinds: (
            b"\0\1"
            + (8 * len(kinds)).to_bytes(2, "big")
            + b"\x21\x12\xa4\x42"
            + bytes(12)
            + b"".join(kind.to_bytes(2, "big") + b"\0\4abcd" for kind in kinds)
        ),
        st.lists(st.integers(0, 0xFFFF), max_size=9),
    ),
)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    ("responder", "factor"),
    [
        (StampResponder(), 1),
        (StampResponder(stateful=True), 1),
        (StunResponder(), 1),
        (StunResponder(answer_short=True), 2.2),
    ],
)
def test_no_datagram_is_answered_with_more_than_itself(host: str, responder: Responder, factor: float) -> None:
    with bench(responder, host) as service:

        @settings(max_examples=150, deadline=None)
        @given(MESSAGES)
        def no_more(message: bytes) -> None:
            replies = service.ask(message)
            assert len(replies) <= 1
            assert sum(map(len, replies)) <= factor * len(message)

        no_more()
        tally = service.tally
        assert tally.replies > 0
        assert tally.requests == tally.replies + sum(tally.dropped.values())
        assert tally.dropped[Drop.FAULT] == 0


@pytest.mark.parametrize(
    "message", [b"", b"x", request()[:43], request()[:13] + b"\0" + request()[14:], bytes(2000)], ids=range(5)
)
def test_malformed_datagrams_are_dropped_and_counted(message: bytes) -> None:
    for responder in (StampResponder(), StunResponder(answer_short=True)):
        with bench(responder) as service:
            assert service.ask(message) == []
            assert service.drops() == {Drop.MALFORMED: 1}


def test_a_reply_is_never_answered_so_that_no_two_reflectors_talk_for_ever() -> None:
    with bench(StampResponder()) as one, bench(StampResponder(stateful=True)) as two:
        (answer,) = one.ask(request(size=60))
        assert two.ask(answer) == []  # as if its source had been the other one
        assert one.ask(answer) == []  # as if an echo server had sent it back
        assert one.drops() == two.drops() == {Drop.REPLY: 1}


def test_a_reflector_with_a_wrong_clock_is_recognised_by_our_time_in_its_reply() -> None:
    with bench(StampResponder()) as service:
        (answer,) = service.ask(request())
        theirs = stamp.encode_reply(stamp.decode_request(answer), 12_000_000_000, 12_000_001_000)
        assert service.ask(theirs) == []
        assert service.drops() == {Drop.REPLY: 1}


def test_a_wildcard_answers_from_the_address_that_was_asked() -> None:
    with bench(StampResponder(), "0.0.0.0") as service:  # noqa: S104 - loopback only is used
        assert len(service.ask(request(), to="127.0.0.1")) == 1
        assert len(service.ask(request(), to="127.0.0.77")) == 1


def test_what_was_sent_to_everybody_is_not_answered() -> None:
    with bench(StampResponder(), "0.0.0.0") as service:  # noqa: S104 - loopback only is used
        service.client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        assert service.ask(request(), to="127.255.255.255") == []
        assert service.drops() == {Drop.DESTINATION: 1}


def test_an_empty_host_is_both_families() -> None:
    with ExitStack() as stack:
        found = [stack.enter_context(each) for each in open_all([("", 0)], socket.SOCK_DGRAM)]
        assert [each.family for each in found] == [socket.AF_INET, socket.AF_INET6]
        assert len({each.getsockname()[1] for each in found}) == 1


def test_what_the_kernel_loses_is_counted_too() -> None:
    with bench(StampResponder()) as service:
        for _ in range(20_000):  # more than a buffer of 1 MiB holds
            service.client.sendto(b"x", service.where)
        lost = service.datagrams.lost()
        while service.tally.requests < 20_000 - lost:
            service.datagrams.ready(0)
        service.datagrams.ready(0)
    assert 0 < lost < 20_000
    assert service.drops() == {Drop.MALFORMED: 20_000 - lost}


def test_a_fault_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    responder = StampResponder()
    with bench(responder) as service:
        monkeypatch.setattr(stamp, "encode_reply", lambda *_arguments: 1 / 0)
        assert service.ask(*[request()] * 5) == []
    assert service.drops() == {Drop.FAULT: 5}
    assert len(caplog.records) == 1
