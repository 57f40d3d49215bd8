import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, WindowUpdated
from h2.exceptions import H2Error
from hypothesis import given
from hypothesis import strategies as st

from natobs.errors import FormatError
from natobs.probe_config import Expect, Http, Tls
from natobs.probes.http import HttpKind
from natobs.probes.http2 import Http2
from natobs.probes.http_exchange import Request
from natobs.probes.model import Outcome, Reason
from tests import probing
from tests.loopback import PATIENCE
from tests.mutate import damaged
from tests.streaming import Faulty, Talk, bounded, server

Serve = Callable[[H2Connection, int], None]
Headers = dict[str, str]

REQUEST = Request("GET", "https", "a.example", "/", (("user-agent", "natobs"),))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    return Faulty(tmp_path_factory.mktemp("certificates"))


def talking(serve: Serve, requests: list[Headers] | None = None, pending: bytes = b"") -> Talk:
    """An HTTP/2 server; sends what is pending after the answer's head as the window allows."""

    def talk(connection: socket.socket) -> None:
        with contextlib.suppress(H2Error):  # what comes after it closed
            exchange(connection)

    def exchange(connection: socket.socket) -> None:
        h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        h2.initiate_connection()
        connection.sendall(h2.data_to_send())
        left, stream = pending, 0
        while data := connection.recv(65536):
            for event in h2.receive_data(data):
                if isinstance(event, RequestReceived):
                    stream = event.stream_id
                    if requests is not None:
                        requests.append({str(name): str(value) for name, value in event.headers})
                    serve(h2, stream)
            while left and stream and (room := min(h2.local_flow_control_window(stream), 16384)):
                h2.send_data(stream, left[:room], end_stream=len(left) <= room)
                left = left[room:]
            connection.sendall(h2.data_to_send())

    return talk


def plain(h2: H2Connection, stream: int) -> None:
    h2.send_headers(stream, [(":status", "200"), ("content-length", "5")])
    h2.send_data(stream, b"hello", end_stream=True)


def outcome(certificates: Faulty, talk: Talk, *, seconds: float = PATIENCE, body: str = "", **http: Any) -> Outcome:  # noqa: ANN401 - any key of the section
    settings = {"tls": Tls(ca_file=certificates.path("ca.pem")), "expect": Expect(body=body)}
    with server(talk, certificates.serving("server", ("h2",))) as port:
        target = probing.target(
            "127.0.0.1",
            port,
            kind="http",
            timeout_seconds=seconds,
            http=Http(**http),
            **settings,
        )
        return bounded(HttpKind(), target).outcome


def test_http2_is_spoken_where_the_server_agrees(certificates: Faulty) -> None:
    requests: list[Headers] = []
    got = outcome(certificates, talking(plain, requests), body="^hello$", path="/x?y=1", headers={"X-Mine": "1"})
    assert got.success, got.detail
    assert list(got.phases) == ["resolve", "connect", "tls", "first_byte", "transfer"]
    (request,) = requests
    assert (request[":method"], request[":path"], request["x-mine"]) == ("GET", "/x?y=1", "1")
    assert request[":authority"].startswith("127.0.0.1:")


def test_a_body_longer_than_the_window_arrives(certificates: Faulty) -> None:
    def begin(h2: H2Connection, stream: int) -> None:
        h2.send_headers(stream, [(":status", "200")])

    assert outcome(certificates, talking(begin, pending=b"x" * 300_000 + b"end"), body="xend$|^x+$").success
    got = outcome(certificates, talking(begin, pending=b"x" * 300_000), max_body_bytes=200_000)
    assert got.reason is Reason.BODY


def test_head_and_hints_and_status(certificates: Faulty) -> None:
    def head(h2: H2Connection, stream: int) -> None:
        h2.send_headers(stream, [(":status", "103"), ("link", "</a>")])
        h2.send_headers(stream, [(":status", "404"), ("content-length", "500")], end_stream=True)

    got = outcome(certificates, talking(head), method="HEAD")
    assert got.reason is Reason.STATUS
    assert "404" in got.detail


def refuse(h2: H2Connection, stream: int) -> None:
    h2.reset_stream(stream, 0x7)


def go_away(h2: H2Connection, stream: int) -> None:
    h2.close_connection(0xB)


def too_short(h2: H2Connection, stream: int) -> None:
    h2.send_headers(stream, [(":status", "200"), ("content-length", "500")])
    h2.send_data(stream, b"hello", end_stream=True)


def huge_headers(h2: H2Connection, stream: int) -> None:
    h2.send_headers(stream, [(":status", "200"), *((f"x-{number}", "a" * 1000) for number in range(200))])


def odd_status(h2: H2Connection, stream: int) -> None:
    h2.send_headers(stream, [(":status", "9999")], end_stream=True)


def pings(h2: H2Connection, stream: int) -> None:
    for number in range(10_000):
        h2.ping(number.to_bytes(8, "big"))


def nothing(h2: H2Connection, stream: int) -> None:
    pass


def garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    while True:
        connection.sendall(b"\xff" * 4096)


def http1(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")


def ends_early(connection: socket.socket) -> None:
    connection.recv(65536)


def settings_without_end(connection: socket.socket) -> None:
    connection.recv(65536)
    while True:
        connection.sendall(b"\0\0\0\4\0\0\0\0\0" * 100)
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("talk", "reasons"),
    [
        pytest.param(talking(refuse), {Reason.STATUS}, id="refuse"),
        pytest.param(talking(go_away), {Reason.STATUS}, id="go away"),
        pytest.param(talking(too_short), {Reason.BODY, Reason.STATUS}, id="too short"),
        pytest.param(talking(huge_headers), {Reason.STATUS}, id="huge headers"),
        pytest.param(talking(odd_status), {Reason.STATUS}, id="odd status"),
        pytest.param(talking(pings), {Reason.TIMEOUT}, id="pings"),
        pytest.param(talking(nothing), {Reason.TIMEOUT}, id="nothing"),
        pytest.param(garbage, {Reason.STATUS}, id="garbage"),
        pytest.param(http1, {Reason.STATUS, Reason.RESET}, id="http1"),
        pytest.param(ends_early, {Reason.RESET}, id="ends early"),
        pytest.param(settings_without_end, {Reason.TIMEOUT}, id="settings without end"),
    ],
)
def test_a_hostile_server_is_never_a_success(certificates: Faulty, talk: Talk, reasons: set[Reason]) -> None:
    got = outcome(certificates, talk, seconds=0.5 if Reason.TIMEOUT in reasons else PATIENCE)
    assert got.reason in reasons, got


def answer() -> bytes:
    h2 = H2Connection(H2Configuration(client_side=False))
    h2.initiate_connection()
    ours = Http2(REQUEST)
    stream = next(e.stream_id for e in h2.receive_data(ours.begin()) if isinstance(e, RequestReceived))
    h2.send_headers(stream, [(":status", "200"), ("content-type", "text/plain"), ("content-length", "5")])
    h2.send_data(stream, b"hello", end_stream=True)
    return h2.data_to_send()


def test_the_window_is_given_back() -> None:
    h2 = H2Connection(H2Configuration(client_side=False))
    h2.initiate_connection()
    ours = Http2(REQUEST)
    stream = next(e.stream_id for e in h2.receive_data(ours.begin()) if isinstance(e, RequestReceived))
    h2.send_headers(stream, [(":status", "200")])
    for _ in range(3):
        h2.send_data(stream, b"x" * 16384)
    events = h2.receive_data(ours.receive(h2.data_to_send()))
    assert any(isinstance(event, WindowUpdated) for event in events)


@given(damaged(answer()), st.integers(1, 50))
def test_damage_raises_the_one_error_or_is_read(data: bytes, step: int) -> None:
    ours = Http2(REQUEST)
    ours.begin()
    try:
        for start in range(0, len(data), step):
            ours.receive(data[start : start + step])
    except FormatError:
        return
    assert ours.answer.status in (0, *range(200, 1000))
