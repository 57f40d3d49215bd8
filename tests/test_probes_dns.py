"""The kind ``dns`` on loopback: good servers and hostile ones. A real server: tests/lab/test_probes_dns.py."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.errors import ConfigError, FormatError
from natobs.probe_config import Dns, Expect
from natobs.probes.dns import DnsKind
from natobs.probes.dns_question import Question
from natobs.probes.model import Clock, Outcome, Reason
from tests import mutate, probing
from tests.dns_answers import (
    A_RECORD,
    Answer,
    Peer,
    ask,
    ask_tcp,
    ask_udp,
    bare,
    coded,
    cut,
    echoed,
    framed,
    good,
    respond,
    tcp_server,
    too_many,
    truncated,
    wrong_id,
    wrong_question,
    wrong_type,
)
from tests.loopback import PATIENCE, reserved_port


def test_a_good_answer_by_udp_has_the_kernels_round_trip() -> None:
    began = time.monotonic()
    outcome = ask_udp(good, expect=A_RECORD)
    took = time.monotonic() - began
    assert outcome.success
    assert outcome.clock is Clock.KERNEL_TXRX
    assert outcome.rtt is not None
    assert 0 < outcome.rtt < took


def test_a_good_answer_by_tcp_has_the_round_trip_of_the_handshake_and_its_phases() -> None:
    outcome = ask_tcp(good, expect=A_RECORD)
    assert outcome.success
    assert outcome.clock is Clock.TCP_INFO
    assert list(outcome.phases) == ["resolve", "connect", "first_byte", "transfer"]


@pytest.mark.parametrize("by", [ask_udp, ask_tcp])
@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (coded(dns.rcode.NXDOMAIN), Reason.STATUS, "response code NXDOMAIN, expected NOERROR"),
        (coded(dns.rcode.SERVFAIL), Reason.STATUS, "response code SERVFAIL"),
        (coded(dns.rcode.REFUSED), Reason.STATUS, "response code REFUSED"),
        (bare(0x8001), Reason.STATUS, "response code FORMERR"),
        (lambda query: respond(query, records=("192.0.2.8",)).to_wire(), Reason.BODY, "the records are 192.0.2.8;"),
        (lambda query: respond(query, records=()).to_wire(), Reason.BODY, "no record"),
        (truncated, Reason.BODY, "truncated"),
        (cut, Reason.DNS, "malformed answer"),
        (too_many, Reason.DNS, "malformed answer: it has 65536 records"),
    ],
)
def test_each_wrong_answer_has_its_reason(
    by: Callable[..., Outcome], answer: Answer, reason: Reason, words: str
) -> None:
    outcome = by(answer, expect=A_RECORD)
    assert outcome.reason is reason
    assert words in outcome.detail


def test_a_failed_answer_keeps_its_round_trip() -> None:
    assert ask_udp(coded(dns.rcode.SERVFAIL)).rtt is not None
    assert ask_tcp(coded(dns.rcode.SERVFAIL)).rtt is not None


def test_a_pattern_that_takes_too_long_is_cut_off() -> None:
    outcome = ask_udp(good, expect=Expect(record=r"^(([0-9.]+)+)+x$"))
    assert outcome.reason is Reason.BODY


def test_an_expected_failure_is_a_success() -> None:
    assert ask_udp(coded(dns.rcode.NXDOMAIN), expect=Expect(rcode="NXDOMAIN")).success
    assert ask_udp(good, expect=Expect(rcode="NXDOMAIN")).reason is Reason.STATUS


def test_a_header_alone_is_never_a_success() -> None:
    outcome = ask_udp(bare(0x8003), expect=Expect(rcode="NXDOMAIN"))
    assert (outcome.reason, outcome.detail) == (Reason.DNS, "malformed answer: the question is missing")


@pytest.mark.parametrize("answer", [wrong_id, wrong_question, wrong_type, echoed, bare(0x8000), lambda _query: b"?"])
def test_what_answers_another_question_is_no_answer(answer: Answer) -> None:
    outcome = ask_udp(answer)
    assert (outcome.reason, outcome.detail) == (
        Reason.DNS,
        "1 datagrams came, none of them an answer to the question",
    )
    assert ask_tcp(answer).reason is Reason.DNS


def test_the_right_answer_among_forged_ones_counts() -> None:
    with probing.udp_server(
        lambda data, _peer: [b"", b"\xff" * 600, wrong_id(data), wrong_question(data), good(data)]
    ) as port:
        assert ask(port, expect=A_RECORD).success


def test_another_sender_is_not_heard() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.2", 0))

        spoofed = threading.Event()

        def spoof(data: bytes, peer: Peer) -> list[bytes]:
            other.sendto(good(data), peer)
            spoofed.set()
            return []

        with probing.udp_server(spoof) as port:
            assert ask(port, until=spoofed.is_set).reason is Reason.TIMEOUT


def test_a_datagram_longer_than_was_offered_is_no_answer() -> None:
    assert not ask_udp(lambda query: good(query) + bytes(60_000)).success


def test_identifiers_and_ports_are_new_each_time() -> None:
    seen: list[tuple[bytes, int]] = []

    def note(data: bytes, peer: Peer) -> list[bytes]:
        seen.append((data[:2], peer[1]))
        return [good(data)]

    with probing.udp_server(note) as port, probing.environment() as (environment, _noted):
        prober = DnsKind().open(probing.target("127.0.0.1", port, kind="dns"), environment)
        for _ in range(8):
            assert probing.probe(prober).success
    assert len({identifier for identifier, _port in seen}) > 6
    assert len({port for _identifier, port in seen}) > 4


def test_a_late_answer_is_counted_and_no_success() -> None:
    over, sent = threading.Event(), threading.Event()

    def late(data: bytes, _peer: Peer) -> Iterator[bytes]:
        assert over.wait(PATIENCE)
        yield good(data)
        sent.set()

    with probing.udp_server(late) as port, probing.environment() as (environment, noted):
        prober = DnsKind().open(probing.target("127.0.0.1", port, kind="dns"), environment)
        assert probing.probe(prober, seconds=0.1).reason is Reason.TIMEOUT
        over.set()
        assert sent.wait(PATIENCE)
        assert probing.probe(prober).success
        assert noted.lates == 1
        prober.close()


def test_nobody_there_is_refused() -> None:
    with reserved_port(socket.SOCK_DGRAM) as udp, reserved_port() as tcp:
        assert ask(udp).reason is Reason.REFUSED
        assert ask(tcp, dns=Dns(transport="tcp")).reason is Reason.REFUSED


def test_tcp_in_single_bytes_is_put_together() -> None:
    with tcp_server(framed(good, piece=1)) as port:
        assert ask(port, dns=Dns(transport="tcp"), expect=A_RECORD).success


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(b"", Reason.RESET), (b"\0", Reason.RESET), (b"\0\x40abc", Reason.RESET), (b"\0\0", Reason.DNS)],
)
def test_tcp_that_ends_early_has_a_reason(sent: bytes, reason: Reason) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(sent)

    with tcp_server(serve) as port:
        assert ask(port, dns=Dns(transport="tcp")).reason is reason


def test_tcp_that_says_nothing_ends_with_the_time_limit() -> None:
    def mute(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.recv(1)  # until the other side has had enough

    with tcp_server(mute) as port:
        outcome = ask(port, seconds=0.15, dns=Dns(transport="tcp"))
    assert outcome.reason is Reason.TIMEOUT
    assert "waiting for the answer" in outcome.detail


def test_mixed_case_must_come_back_as_it_was_sent() -> None:
    names: list[bytes] = []

    def note(query: bytes) -> bytes:
        names.append(query[13:34])  # 21 letters, three times: all small once in 2**63
        return good(query)

    def lowered(query: bytes) -> bytes:
        return good(query[:12] + query[12:25].lower() + query[25:])

    mixed = Dns(name="exampleexampleexample.com", mixed_case=True)
    assert [ask_udp(note, dns=mixed).success for _ in range(3)] == [True] * 3
    assert ask_udp(lambda query: good(query[:12] + query[12:38].lower() + query[38:]), dns=mixed).reason is Reason.DNS
    assert ask_udp(lowered, dns=Dns()).success
    assert any(name != name.lower() for name in names)


@pytest.mark.parametrize(
    "wanted",
    [
        {"dns": Dns(name="a..b")},
        {"dns": Dns(name="a" * 64)},
        {"dns": Dns(type="NOSUCH")},
        {"expect": Expect(rcode="FINE")},
        {"expect": Expect(record="(")},
    ],
)
def test_what_cannot_be_asked_is_an_error_of_the_definition(wanted: dict[str, Any]) -> None:
    with probing.environment() as (environment, _noted), pytest.raises(ConfigError, match="probe test"):
        DnsKind().open(probing.target("127.0.0.1", 53, kind="dns", **wanted), environment)


def test_a_name_of_a_server_that_does_not_resolve_is_dns() -> None:
    with probing.environment() as (environment, _noted):
        for transport in ("udp", "tcp"):
            target = probing.target("does-not-exist.invalid", 53, kind="dns", dns=Dns(transport=transport))
            assert probing.probe(DnsKind().open(target, environment)).reason is Reason.DNS


ASKED = Question.of(probing.target("127.0.0.1", 53, kind="dns", expect=A_RECORD).settings)
QUERY = ASKED.message()


def judged(response: bytes) -> bool:
    """Whether bytes would make a success; anything but FormatError is a defect."""
    reader = ASKED.reader(QUERY)
    try:
        key, said = reader(response)
    except FormatError:
        return False
    return key == reader.key and ASKED.judge(said) is None


def test_the_seam_takes_a_good_answer() -> None:
    assert judged(good(QUERY))


@given(st.binary(max_size=600))
def test_any_bytes_are_no_success(data: bytes) -> None:
    assert not judged(data)


@given(st.binary(max_size=600))
def test_any_bytes_behind_the_right_question_are_no_success(data: bytes) -> None:
    # What would be a right record by accident is not to be had: it takes 16 right bytes.
    question = QUERY[12:29]
    for counts in (b"\0\1\0\1\0\0\0\0", b"\0\1\0\5\0\2\0\1", b"\0\1\0\0\0\0\0\1"):
        assert not judged(QUERY[:2] + b"\x81\x80" + counts + question + data)


@settings(max_examples=300)
@given(mutate.damaged(good(QUERY)))
def test_a_damaged_answer_never_raises(data: bytes) -> None:
    judged(data)


@pytest.mark.parametrize("end", range(len(good(QUERY))))
def test_a_cut_answer_is_no_success(end: int) -> None:
    assert not judged(good(QUERY)[:end])
