import gzip
import http.client
import logging
import socket
import threading
import time

import pytest

from natobs.errors import ExpositionError
from natobs.exposition.limits import Limits
from natobs.exposition.listen import parse_listen
from natobs.exposition.messages import Request, Response
from natobs.exposition.routes import Routes
from natobs.exposition.server import Server
from tests.loopback import ANY_PORT, PATIENCE, fetch, raw, read_all, read_answer, reserved_port, serving

BODY = b"".join(b'natobs_network_receive_bytes_total{device="eth%d"} %d\n' % (i, i * 7919) for i in range(800))
TEXT = "text/plain; version=0.0.4; charset=utf-8"


def metrics(_: Request) -> Response:
    return Response(200, BODY, TEXT)


def test_get_gives_the_body_of_the_handler_and_headers_of_the_server() -> None:
    with serving(metrics) as server:
        answer = fetch(server.addresses[0])
    assert (answer.status, answer.body) == (200, BODY)
    assert answer.headers["content-type"] == TEXT
    assert answer.headers["content-length"] == str(len(BODY))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert time.strptime(answer.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")


def test_head_gives_the_headers_only_and_the_connection_goes_on() -> None:
    with serving(metrics) as server:
        connection = http.client.HTTPConnection(*server.addresses[0])
        connection.request("HEAD", "/metrics")
        head = read_answer(connection)
        connection.request("GET", "/metrics")
        assert read_answer(connection).body == BODY
        connection.close()
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(BODY)))


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        ("gzip", "gzip"),
        ("deflate, gzip;q=0.5, br", "gzip"),
        ("*", "gzip"),
        ("", None),
        ("gzip;q=0", None),
        ("gzip;q=0.2, identity;q=0.7", None),
        ("br", None),
    ],
)
def test_gzip_when_it_is_accepted_and_not_disliked(accept: str, coding: str | None) -> None:
    with serving(metrics) as server:
        answer = fetch(server.addresses[0], headers={"Accept-Encoding": accept})
    assert answer.headers.get("content-encoding") == coding
    assert (gzip.decompress(answer.body) if coding else answer.body) == BODY


def test_a_short_body_is_not_compressed() -> None:
    with serving(lambda _: Response(200, b"ok\n", "text/plain")) as server:
        answer = fetch(server.addresses[0], headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers


def test_the_handler_sees_the_request() -> None:
    seen: list[Request] = []

    def handler(request: Request) -> Response:
        seen.append(request)
        return Response(200, b"", "text/plain")

    with serving(handler) as server:
        target = "/a%20page?collect[]=cpu&x=1"
        with raw(server.addresses[0], f"GET {target} HTTP/1.1\r\nHost: n\r\nX-A: 1\r\nX-A: 2\r\n".encode()) as client:
            client.sendall(b"Connection: close\r\n\r\n")
            read_all(client)
        with raw(server.addresses[0], b"GET http://nat:9650/metrics?q HTTP/1.0\r\n\r\n") as client:
            read_all(client)
    assert (seen[0].method, seen[0].path, seen[0].query) == ("GET", "/a page", "collect[]=cpu&x=1")
    assert seen[0].headers["x-a"] == "1, 2"
    assert (seen[1].path, seen[1].query) == ("/metrics", "q")


@pytest.mark.parametrize(
    ("given", "expected"),
    [(None, 9.5), ("10", 9.5), ("60", 9.5), ("5", 4.5), ("1", 0.9), ("-1", 9.5), ("nan", 9.5), ("soon", 9.5)],
)
def test_the_deadline_is_the_scrapers_less_a_margin_and_at_most_ours(given: str | None, expected: float) -> None:
    seen: list[float] = []

    def handler(request: Request) -> Response:
        seen.append(request.deadline)
        return Response(200, b"", "text/plain")

    with serving(handler) as server:
        began = time.monotonic()
        fetch(server.addresses[0], headers={"X-Prometheus-Scrape-Timeout-Seconds": given} if given else {})
        took = time.monotonic() - began
    assert expected - took < seen[0] <= expected


def test_unknown_paths_get_a_page_with_links() -> None:
    with serving(Routes({"/metrics": metrics, "/healthz": metrics})) as server:
        assert fetch(server.addresses[0], "/metrics").status == 200
        answer = fetch(server.addresses[0], "/metrix")
    assert answer.status == 404
    assert b'<a href="/metrics">' in answer.body
    assert b'<a href="/healthz">' in answer.body
    assert answer.headers["content-security-policy"] == "default-src 'none'"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_refused_with_what_is_allowed(method: str) -> None:
    with serving(metrics) as server:
        answer = fetch(server.addresses[0], method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("header", ["Content-Length: 5", "Transfer-Encoding: chunked"])
def test_requests_with_a_body_are_refused(method: str, header: str) -> None:
    with serving(metrics) as server:
        request = f"{method} /metrics HTTP/1.1\r\nHost: n\r\n{header}\r\nExpect: 100-continue\r\n\r\n"
        with raw(server.addresses[0], request.encode()) as client:
            assert read_all(client).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    ("bytes_", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: n\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n", b"413"),
        (b"HEAD / HTTP/1.1\r\nHost: n\r\n\r\nno request\r\n\r\n", b"400"),
    ],
    ids=["no chunk", "no request after HEAD"],
)
def test_what_breaks_off_later_is_refused_in_full_and_no_fault_of_the_server(
    bytes_: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), serving(metrics) as server, raw(server.addresses[0], bytes_) as client:
        head, _, body = read_all(client).rpartition(b"\r\n\r\n")
    assert b"HTTP/1.1 " + status in head
    assert body.startswith(status)
    assert not caplog.records


@pytest.mark.parametrize(
    "request_", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET http://[ HTTP/1.0\r\n\r\n", b"?\r\n\r\n"]
)
def test_what_is_no_request_is_answered_with_400_and_closed(request_: bytes) -> None:
    with serving(metrics) as server, raw(server.addresses[0], request_) as client:
        answer = read_all(client)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"connection: close" in answer.lower()


def test_pipelined_requests_are_answered_in_order() -> None:
    with serving(lambda r: Response(200, r.path.encode(), "text/plain")) as server:
        requests = b"GET /one HTTP/1.1\r\nHost: n\r\n\r\nGET /two HTTP/1.1\r\nHost: n\r\nConnection: close\r\n\r\n"
        with raw(server.addresses[0], requests) as client:
            answer = read_all(client)
    assert answer.index(b"/one") < answer.index(b"/two")


def test_a_failing_handler_is_answered_with_500_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def handler(_: Request) -> Response:
        raise RuntimeError("broken page")

    with caplog.at_level(logging.ERROR), serving(handler) as server:
        assert fetch(server.addresses[0]).status == 500
        assert fetch(server.addresses[0]).status == 500
    assert "broken page" in caplog.text


def test_a_handler_past_its_deadline_is_answered_for_with_503() -> None:
    release = threading.Event()

    def handler(_: Request) -> Response:
        release.wait(60)
        return Response(200, b"late", "text/plain")

    with serving(handler, Limits(scrape=0.1, grace=0.05)) as server:
        started = time.monotonic()
        answer = fetch(server.addresses[0])
        took = time.monotonic() - started
        release.set()
    assert answer.status == 503
    assert took < PATIENCE


def test_the_same_body_is_compressed_once_for_many_scrapers() -> None:
    with serving(metrics) as server:
        for _ in range(3):
            fetch(server.addresses[0], headers={"Accept-Encoding": "gzip"})
        assert len(server._renderer._compressed) == 1


@pytest.mark.parametrize("text", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
def test_listens_on_what_it_was_told(text: str) -> None:
    server = Server([parse_listen(text)], metrics)
    server.start()
    assert fetch(server.addresses[0]).body == BODY
    server.stop()


def test_several_addresses_and_the_wildcard_is_both_families() -> None:
    server = Server([parse_listen("127.0.0.1:0"), parse_listen(":0")], metrics)
    server.start()
    assert fetch(server.addresses[0]).body == BODY
    for host in ("127.0.0.1", "::1"):
        assert fetch(server.addresses[1]._replace(host=host)).body == BODY
    server.stop()


def test_an_address_in_use_is_named_and_the_others_are_let_go() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, reserved_port() as free:
        server = Server(
            [parse_listen(f"127.0.0.1:{free}"), parse_listen(f"127.0.0.1:{taken.getsockname()[1]}")], metrics
        )
        with pytest.raises(ExpositionError, match=rf"127.0.0.1:{taken.getsockname()[1]}: Address already in use"):
            server.start()
        server.stop()
        socket.create_server(("127.0.0.1", free)).close()


def test_a_foreign_address_is_named() -> None:
    with pytest.raises(ExpositionError, match=r"192\.0\.2\.1:9650: Cannot assign requested address; no interface"):
        Server([parse_listen("192.0.2.1:9650")], metrics).start()


def test_stop_lets_the_request_under_way_finish_and_closes_the_idle_ones() -> None:
    entered, release = threading.Event(), threading.Event()

    def handler(request: Request) -> Response:
        if request.path == "/slow":
            entered.set()
            release.wait(PATIENCE)
        return Response(200, BODY, TEXT)

    server = Server([ANY_PORT], handler)
    server.start()
    address = server.addresses[0]
    idle, slow = http.client.HTTPConnection(*address), http.client.HTTPConnection(*address)
    idle.request("GET", "/")
    read_answer(idle)
    slow.request("GET", "/slow")
    assert entered.wait(PATIENCE)
    stopper = threading.Thread(target=server.stop)
    stopper.start()
    assert idle.sock.recv(1) == b""
    assert stopper.is_alive()
    release.set()
    assert read_answer(slow).body == BODY
    stopper.join(PATIENCE)
    assert not stopper.is_alive()
    assert server.connections == 0
    with pytest.raises(ConnectionRefusedError):
        fetch(address)
    server.stop()
    idle.close()
    slow.close()
