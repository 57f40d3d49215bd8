"""Clients that are many, slow, silent or wrong: the others must not notice, and memory and threads stay bounded."""

import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from natobs.exposition.limits import Limits
from natobs.exposition.messages import Request, Response
from natobs.exposition.server import Server
from tests.loopback import PATIENCE, eventually, fetch, raw, read_all, serving
from tests.scripted import kept

BODY = b"".join(b'natobs_network_receive_bytes_total{device="eth%d"} %d\n' % (i, i * 7919) for i in range(800))
LARGE = BODY * 100
"""4 MB: more than the send buffer that the tests allow, so that a slow reader is felt."""

REQUEST = b"GET /large HTTP/1.1\r\nHost: n\r\n\r\n"


def site(request: Request) -> Response:
    return Response(200, LARGE if request.path == "/large" else BODY, "text/plain")


def resident_kib() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4


@pytest.fixture
def others() -> set[threading.Thread]:
    """Threads from before, which may be those of earlier tests that are about to end."""
    return set(threading.enumerate())


def server_threads(others: set[threading.Thread]) -> int:
    return sum(thread.name.startswith("natobs-") for thread in set(threading.enumerate()) - others)


def test_fifty_concurrent_scrapers_all_get_complete_bodies(others: set[threading.Thread]) -> None:
    with serving(site) as server, ThreadPoolExecutor(50) as scrapers:
        codings = ["gzip" if i % 2 else "identity" for i in range(200)]
        answers = list(scrapers.map(lambda c: fetch(server.addresses[0], headers={"Accept-Encoding": c}), codings))
        assert server_threads(others) <= 1 + Limits().workers
        assert server.connections <= Limits().connections
    assert [answer.status for answer in answers] == [200] * 200
    for coding, answer in zip(codings, answers, strict=True):
        assert (gzip.decompress(answer.body) if coding == "gzip" else answer.body) == BODY


def test_more_scrapers_than_places_wait_their_turn() -> None:
    with serving(site, Limits(connections=4)) as server, ThreadPoolExecutor(30) as scrapers:
        answers = list(scrapers.map(lambda _: fetch(server.addresses[0]), range(60)))
        assert server.connections <= 4
    assert {answer.body for answer in answers} == {BODY}


def trickle(client: socket.socket, enough: threading.Event) -> None:
    """Read a byte every 10 ms."""
    while not enough.wait(0.01):
        client.recv(1)


def test_a_reader_of_one_byte_at_a_time_delays_nobody_and_is_cut_at_the_write_deadline() -> None:
    limits = Limits(write=1.0, send_buffer=16 * 1024)
    latencies: list[float] = []
    enough, started = threading.Event(), time.monotonic()
    with (
        kept() as late,
        serving(site, limits) as server,
        ThreadPoolExecutor(1) as background,
        raw(server.addresses[0], REQUEST, receive_buffer=4096) as client,
    ):
        slow = background.submit(trickle, client, enough)
        while not latencies or not eventually(lambda: server.connections == 0, within=0.02):
            before = time.monotonic()
            assert fetch(server.addresses[0]).body == BODY
            latencies.append(time.monotonic() - before)
        held = time.monotonic() - started
        allowed = late()
        enough.set()
        slow.result()
        assert len(read_all(client)) < len(LARGE) / 10
    assert 1.0 <= held < 2.0 + allowed
    assert len(latencies) > 10
    assert max(latencies) < 0.25 + allowed


def test_a_megabyte_of_request_line_is_refused_in_bounded_memory() -> None:
    with serving(site) as server:
        fetch(server.addresses[0])
        before = resident_kib()
        line = b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\n\r\n"
        for _ in range(20):
            with raw(server.addresses[0], line) as client:
                assert read_all(client).startswith(b"HTTP/1.1 431 ")
        assert eventually(lambda: server.connections == 0)
        assert resident_kib() - before < 8 * 1024
        assert fetch(server.addresses[0]).body == BODY


def test_endless_headers_are_refused() -> None:
    with serving(site) as server, raw(server.addresses[0], b"GET / HTTP/1.1\r\n") as client:
        with contextlib.suppress(ConnectionError):
            for _ in range(2000):
                client.sendall(b"X-Header: " + b"b" * 50 + b"\r\n")
        assert b"431" in read_all(client)[:20]


def test_half_sent_requests_up_to_the_cap_hold_their_places_until_the_deadline_only(
    others: set[threading.Thread],
) -> None:
    limits = Limits(connections=8, head=0.5)
    with kept() as late, serving(site, limits) as server, ExitStack() as attackers:
        address = server.addresses[0]
        for i in range(20):
            attackers.enter_context(raw(address, b"GET /metrics HTTP/1.1\r\nHo" if i % 2 else b""))
        assert eventually(lambda: server.connections == 8)
        started = time.monotonic()
        assert fetch(address).body == BODY
        # Twenty connections over eight places: three rounds of half a second at most.
        assert time.monotonic() - started < 2.5 + late()
        assert server_threads(others) <= 1 + limits.workers


def test_a_request_that_trickles_in_is_cut_at_the_head_deadline() -> None:
    started = time.monotonic()
    with kept() as late, serving(site, Limits(head=0.3)) as server, raw(server.addresses[0], b"GET / HT") as client:
        client.settimeout(0.02)
        ended = False
        while not ended and time.monotonic() - started < PATIENCE:
            with contextlib.suppress(TimeoutError, ConnectionError):
                client.sendall(b"T")
            try:
                ended = client.recv(65536) is not None  # an answer, or the end
            except TimeoutError:
                continue
            except ConnectionError:
                ended = True
        assert 0.3 <= time.monotonic() - started < 1.0 + late()


def test_idle_connections_make_room_at_once() -> None:
    with kept() as late, serving(site, Limits(connections=4)) as server, ExitStack() as scrapers:
        address = server.addresses[0]
        idle = [scrapers.enter_context(raw(address, b"HEAD / HTTP/1.1\r\nHost: n\r\n\r\n")) for _ in range(4)]
        for client in idle:
            assert client.recv(65536)
        started = time.monotonic()
        assert [fetch(address).body for _ in range(3)] == [BODY] * 3
        assert time.monotonic() - started < 1.0 + late()
        # The one that had been idle for longest was closed, the youngest was left alone.
        assert idle[0].recv(1) == b""
        idle[3].sendall(b"HEAD / HTTP/1.1\r\nHost: n\r\n\r\n")
        assert idle[3].recv(65536).startswith(b"HTTP/1.1 200")


HEAD = b"HEAD / HTTP/1.1\r\nHost: n\r\n\r\n"


def test_a_scraper_that_was_here_before_a_crowd_keeps_its_connection() -> None:
    with serving(site, Limits(connections=4, head=60)) as server, ExitStack() as crowd:
        address = server.addresses[0]
        scraper = crowd.enter_context(raw(address, HEAD))
        assert scraper.recv(65536).startswith(b"HTTP/1.1 200")
        for _ in range(10):  # half a request each: they hold every other place, and the rest wait
            crowd.enter_context(raw(address, b"GET / HT"))
        assert eventually(lambda: server.connections == 4)
        for _ in range(5):
            scraper.sendall(HEAD)
            assert scraper.recv(65536).startswith(b"HTTP/1.1 200")


def test_an_idle_connection_is_closed_at_its_deadline() -> None:
    started = time.monotonic()
    with (
        kept() as late,
        serving(site, Limits(idle=0.2)) as server,
        raw(server.addresses[0], b"HEAD / HTTP/1.1\r\nHost: n\r\n\r\n") as client,
    ):
        assert client.recv(65536)
        assert client.recv(1) == b""
        assert 0.2 <= time.monotonic() - started < 1.0 + late()


def test_scrapers_that_hang_up_leave_nothing_behind() -> None:
    with serving(site, Limits(send_buffer=16 * 1024)) as server:
        for sent in (b"", b"GET", REQUEST, REQUEST):
            with raw(server.addresses[0], sent) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert eventually(lambda: server.connections == 0)
        assert fetch(server.addresses[0]).body == BODY


def test_handlers_that_hang_do_not_take_more_threads_or_the_connections_of_others(
    others: set[threading.Thread],
) -> None:
    release = threading.Event()

    def handler(request: Request) -> Response:
        if request.path == "/hang":
            release.wait(60)
        return site(request)

    limits = Limits(workers=2, scrape=0.3, grace=0.05)
    with serving(handler, limits) as server, ThreadPoolExecutor(8) as scrapers:
        answers = list(scrapers.map(lambda _: fetch(server.addresses[0], "/hang").status, range(8)))
        assert server_threads(others) <= 1 + limits.workers
        release.set()
        assert fetch(server.addresses[0]).body == BODY
    assert answers == [503] * 8


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(site) as running:
        yield running


@given(garbage=st.binary(max_size=200) | st.text("GETHAD /?:%\r\n\0é1.", max_size=80).map(str.encode))
@settings(max_examples=60, deadline=None)
def test_no_bytes_stop_the_server(server: Server, garbage: bytes) -> None:
    with raw(server.addresses[0], garbage) as client:
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
    assert not answer or answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 4"))
