import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from natobs import __version__
from natobs.config import Prefix
from natobs.errors import ConfigError
from natobs.probe_config import Expect, Http, Tls
from natobs.probes.http import HttpKind
from natobs.probes.model import Outcome, Reason
from tests import probing
from tests.http_answers import OK, PHASES, answering, head, outcome
from tests.streaming import Faulty, Talk, server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    made = Faulty(tmp_path_factory.mktemp("certificates"))
    made.issue_all()
    return made


def asked(answer: bytes, **settings: Any) -> tuple[Outcome, Outcome]:  # noqa: ANN401 - as for outcome
    with server(answering(answer)) as port:
        return outcome(port, **settings), outcome(port, **settings)


def test_a_plain_success_has_every_phase() -> None:
    for got in asked(OK):
        assert got.success
        assert list(got.phases) == PHASES
        assert got.rtt is not None
        assert got.phases["connect"] == got.rtt


def test_the_request_is_polite_and_complete() -> None:
    requests: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        requests.append(head(connection))
        connection.sendall(OK)

    with server(talk) as port:
        assert outcome(port, path="/a b?x=1&y=\u00e9", headers={"X-Mine": "1", "User-Agent": "me"}).success
        assert outcome(port, headers={"Host": "shop.example"}).success
    lines = requests[0].decode("ascii").lower().split("\r\n")
    assert lines[0] == "get /a%20b?x=1&y=%c3%a9 http/1.1"
    assert {"x-mine: 1", "user-agent: me", "connection: close", f"host: 127.0.0.1:{port}"} <= set(lines)
    assert b"Host: shop.example\r\n" in requests[1]
    assert requests[1].count(b"Host:") == 1
    assert f"natobs/{__version__}".encode() in requests[1]


def test_phases_tell_who_was_slow() -> None:
    moments: list[float] = []

    def note() -> None:
        moments.append(time.monotonic())

    def talk(connection: socket.socket) -> None:
        head(connection)
        note()
        time.sleep(0.1)
        for part in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", b"b"):
            note()
            connection.sendall(part)
            note()
            time.sleep(0.2)

    began = time.monotonic()
    with server(talk) as port:
        got = outcome(port)
    asked, before_first, after_first, before_last, after_last, *_ = moments
    assert got.phases["first_byte"] > before_first - asked
    assert before_last - after_first < got.phases["transfer"] < after_last - before_first
    assert sum(got.phases.values()) < after_last - began  # nothing is counted twice


def test_the_phases_end_when_the_kernel_got_the_bytes_however_late_we_look() -> None:
    begun: list[float] = []
    answered: list[float] = []

    def talk(connection: socket.socket) -> None:
        head(connection)
        connection.sendall(OK)
        answered.append(time.monotonic())

    with server(talk) as port, probing.environment() as (around, _noted):
        prober = HttpKind().open(probing.target("127.0.0.1", port, kind="http", http=Http(tls=False)), around)
        probing.probe(prober)  # the kernel begins to stamp a moment after the first socket asks for it
        time.sleep(0.05)
        steps = prober.attempt(0)
        got = None
        while got is None:
            try:
                begun.append(time.monotonic())
                next(steps)
                time.sleep(0.15)
            except StopIteration as end:
                got = end.value
        prober.close()
    assert got.success
    asked = max(moment for moment in begun if moment < answered[-1])
    assert got.phases["first_byte"] < answered[-1] - asked


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + OK,
        OK + b"and what nobody asked for",
    ],
)
def test_every_framing_is_read(answer: bytes) -> None:
    for got in asked(answer, expect={"body": "^hello$"}):
        assert got.success, got.detail


def test_head_has_no_body() -> None:
    got, _ = asked(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", method="HEAD", expect={"body": "not searched"})
    assert got.success


@pytest.mark.parametrize(("status", "accepted", "success"), [(200, (), True), (204, (), True), (404, (), False)])
@pytest.mark.parametrize("flip", [False, True])
def test_the_status_decides(status: int, accepted: tuple[int, ...], success: bool, flip: bool) -> None:  # noqa: FBT001 - parameters of a test
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode()
    got, _ = asked(answer, expect={"status": (404,)} if flip else {"status": accepted})
    assert got.success is (success != flip)
    assert got.success or (got.reason is Reason.STATUS and str(status) in got.detail)


def test_the_body_decides() -> None:
    assert asked(OK, expect={"body": "h[aeiou]llo"})[0].success
    got, _ = asked(OK, expect={"body": "goodbye"})
    assert got.reason is Reason.BODY
    assert "'hello'" in got.detail


def test_a_pattern_that_backtracks_without_end_stops_nobody() -> None:
    body = b"a" * 5000
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + body
    began = time.process_time()
    got, _ = asked(answer, expect={"body": r"(?:a|aa|a?a?)+\d"})
    assert got.reason is Reason.BODY
    assert "simpler" in got.detail
    assert time.process_time() - began < 1


def test_a_body_that_is_too_long_fails() -> None:
    assert asked(OK, max_body_bytes=5)[0].success
    got, _ = asked(OK, max_body_bytes=4)
    assert got.reason is Reason.BODY


@pytest.mark.parametrize(
    ("body", "reason", "observed"),
    [
        (b"203.0.113.10\n", None, "203.0.113.10"),
        (b"::ffff:203.0.113.10", None, "203.0.113.10"),
        (b"203.0.113.99\n", Reason.ADDRESS, "203.0.113.99"),
        (b"2001:db8::1", Reason.ADDRESS, "2001:db8::1"),
        (b"<html>", Reason.BODY, None),
        (b"", Reason.BODY, None),
        (b"203.0.113.10 and more", Reason.BODY, None),
    ],
)
def test_the_address_that_the_server_saw_is_compared(body: bytes, reason: Reason | None, observed: str | None) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    got, _ = asked(answer, expect={"addresses": (Prefix("203.0.113.10"), Prefix("203.0.113.32/28"))})
    assert got.reason is reason, got.detail
    assert got.observed == (None if observed is None else (observed, 0))


def redirect(to: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} X\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n".encode()


def by_path(answers: Callable[[str], bytes], paths: list[bytes]) -> Talk:
    def talk(connection: socket.socket) -> None:
        request = head(connection)
        if request:
            paths.append(request)
            connection.sendall(answers(request.split()[1].decode()))

    return talk


def test_a_redirect_is_followed_as_often_as_allowed() -> None:
    paths: list[bytes] = []
    places = {"/": redirect("/b?x=1"), "/b?x=1": redirect("c", 308), "/c": OK}
    with server(by_path(places.__getitem__, paths)) as port:
        assert outcome(port, redirects=2).success
        short = outcome(port, redirects=1)
        never = outcome(port)
        wanted = outcome(port, expect={"status": (302,)})
    assert short.reason is never.reason is Reason.STATUS
    assert "more than 1 times" in short.detail
    assert "302" in never.detail
    assert wanted.success


@pytest.mark.parametrize("to", ["/", "/next", "http://127.0.0.1:{port}/"])
def test_a_circle_is_seen(to: str) -> None:
    paths: list[bytes] = []
    places: Callable[[str], bytes] = lambda path: redirect("/" if path == "/next" else to.format(port=port))  # noqa: E731 - needs the port, known later
    with server(by_path(places, paths)) as port:
        got = outcome(port, redirects=10)
    assert got.reason is Reason.STATUS
    assert "circle" in got.detail
    assert len(paths) <= 2


def test_redirects_without_end_end() -> None:
    paths: list[bytes] = []
    with server(by_path(lambda path: redirect(path + "x"), paths)) as port:
        got = outcome(port, redirects=10)
    assert got.reason is Reason.STATUS
    assert len(paths) == 11


@pytest.mark.parametrize(
    "to",
    [
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "//",
        "http://",
        "http://[::1",
        "http://a b/",
        "http://x:0/",
        "http://x:y/",
    ],
)
def test_a_redirect_to_nowhere_fails(to: str) -> None:
    got, _ = asked(redirect(to), redirects=3)
    assert got.reason is Reason.STATUS, got


def test_headers_of_the_definition_are_not_shown_to_strangers() -> None:
    requests: list[bytes] = []
    with server(by_path(lambda _path: OK, requests)) as other:
        places = {"/": redirect("/again"), "/again": redirect(f"http://127.0.0.1:{other}/")}
        with server(by_path(places.__getitem__, requests)) as port:
            assert outcome(port, redirects=5, headers={"Authorization": "secret"}).success
    assert [b"secret" in request for request in requests] == [True, True, False]


def test_https_verifies_and_reports_the_certificate(certificates: Faulty) -> None:
    tls = Tls(ca_file=certificates.path("ca.pem"))
    with server(answering(OK), certificates.serving("server")) as port:
        got = outcome(port, tls=tls)
        soon = outcome(port, tls=tls, expect={"certificate_days": 30})
    assert got.success, got.detail
    assert list(got.phases) == ["resolve", "connect", "tls", "first_byte", "transfer"]
    assert got.certificate_expiry is not None
    assert soon.reason is Reason.TLS
    with server(answering(OK), certificates.serving("expired")) as port:
        assert outcome(port, tls=tls).reason is Reason.TLS


def test_a_body_that_ends_without_tls_saying_so_may_be_cut_off(certificates: Faulty) -> None:
    with server(answering(b"HTTP/1.0 200 OK\r\n\r\nhello"), certificates.serving("server")) as port:
        got = outcome(port, tls=Tls(ca_file=certificates.path("ca.pem")))
    assert got.reason is Reason.RESET
    assert "goodbye" in got.detail


@pytest.mark.parametrize(
    ("http", "expect", "words"),
    [
        ({"headers": {"Bad Name": "x"}}, {}, "HTTP does not allow"),
        ({"headers": {"X": "a\r\nb"}}, {}, "HTTP does not allow"),
        ({"headers": {"Content-Length": "5"}}, {}, "HTTP does not allow"),
        ({}, {"body": "("}, r"expect\.body"),
    ],
)
def test_a_definition_that_cannot_work_is_refused(http: dict[str, Any], expect: dict[str, Any], words: str) -> None:
    target = probing.target("127.0.0.1", 80, kind="http", http=Http(tls=False, **http), expect=Expect(**expect))
    with probing.environment() as (around, _noted), pytest.raises(ConfigError, match=words):
        HttpKind().open(target, around)
