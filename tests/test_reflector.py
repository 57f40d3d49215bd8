"""The reflector as it runs: a flood, TCP echo and its bounds, HTTP, metrics."""

import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from natobs.catalogue.metrics import agent
from natobs.catalogue.metrics.reflector import REASONS, SERVICES
from natobs.errors import ReflectorError
from natobs.exposition.listen import Address
from natobs.exposition.reflector import METRICS, Filler, ReflectorServer
from natobs.probes.reflector.echo import EchoLimits
from natobs.probes.reflector.reflector import Settings
from natobs.probes.reflector.tally import Drop
from natobs.wire import stamp, stun
from tests.loopback import PATIENCE, eventually, fetch, read_all

LOCAL = (("127.0.0.1", 0),)
HTTP = [Address("127.0.0.1", 0)]


class Running:
    def __init__(self, server: ReflectorServer) -> None:
        self.server = server

    def address(self, name: str) -> Address:
        found = next(address for service, address in self.server.services if service == name)
        host, _colon, port = found.rpartition(":")
        return Address(host, int(port))

    def value(self, name: str, *labels: str) -> float:
        values = {(sample.metric.name, sample.labels): sample.value for sample in self.server.samples()}
        return float(values[f"natobs_reflector_{name}", labels])

    def dropped(self, service: str) -> dict[str, float]:
        return {
            sample.labels[1]: sample.value
            for sample in self.server.samples()
            if sample.metric.name == "natobs_reflector_dropped_total" and sample.labels[0] == service and sample.value
        }

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address("echo"), PATIENCE)

    def connect_and_read(self) -> bytes:
        """The reset may come as soon as the handshake is over."""
        with self.connect() as client:
            return client.recv(1)


@contextmanager
def running(settings: Settings | None = None, longest_body: int = 1 << 20) -> Iterator[Running]:
    settings = settings or Settings(LOCAL, LOCAL, LOCAL)
    server = ReflectorServer(settings, HTTP, HTTP, longest_body=longest_body)
    server.start()
    try:
        yield Running(server)
    finally:
        server.stop()


def slow(limits: EchoLimits, rate: float = 500) -> Settings:
    return Settings(echo=LOCAL, echo_limits=limits, source_rate=rate, total_rate=rate * 40)


def udp(source: str, to: Address) -> socket.socket:
    client = socket.socket(type=socket.SOCK_DGRAM)
    client.bind((source, 0))
    client.connect(to)
    client.settimeout(PATIENCE)
    return client


def test_every_row_of_the_catalogue_is_emitted_and_every_reason_has_its_label_value() -> None:
    with running() as reflector:
        assert {sample.metric for sample in reflector.server.samples()} == {agent.BUILD, *METRICS}
        answer = fetch(reflector.address("metrics"), "/metrics")
    assert answer.status == 200
    assert b'natobs_reflector_requests_total{service="stamp"} 0\n' in answer.body
    assert tuple(drop.value for drop in Drop) == REASONS
    assert re.findall(rb'requests_total\{service="(\w+)"', answer.body) == [name.encode() for name in SERVICES]


def test_a_flood_from_one_source_stays_within_its_rate_and_others_are_served() -> None:
    rate, flood = 200, 100_000
    asked = served = 0
    with running(Settings(LOCAL, source_rate=rate)) as reflector:
        to = reflector.address("stamp")
        with udp("127.0.0.2", to) as flooder, udp("127.0.0.3", to) as other:
            start = time.monotonic()
            packet = stamp.encode_request(1, time.time_ns())
            for sent in range(1, flood + 1):
                flooder.send(packet)
                if sent % 500 == 0:
                    # as fast as it can be read: what the kernel has to throw away says nothing about the rate
                    assert eventually(lambda: reflector.value("requests_total", "stamp") >= sent + asked, 20)  # noqa: B023 - called at once
                if sent % 5000 == 250:
                    asked += 1
                    other.send(stamp.encode_request(asked, time.time_ns()))
                    served += stamp.decode_reply(other.recv(100)).sender_sequence == asked

            def settled() -> bool:
                return (
                    reflector.value("replies_total", "stamp") + sum(reflector.dropped("stamp").values()) == sent + asked
                )

            assert eventually(settled)  # each is counted when it has come, and again when it is dealt with
            took = time.monotonic() - start
            assert reflector.value("receive_bytes_total", "stamp") == 44 * (flood + asked)
            replies = reflector.value("replies_total", "stamp")
            dropped = reflector.dropped("stamp")
    assert served == asked == 20
    assert rate <= replies - served <= rate * took + rate + 1
    assert dropped == {"source_rate": flood + asked - replies}


@pytest.mark.parametrize("size", [1, 3000, 100_000, EchoLimits().size])
def test_echo_gives_back_what_it_is_given(size: int) -> None:
    data = os.urandom(size)
    with running() as reflector, reflector.connect() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == data
        assert eventually(lambda: reflector.value("connections", "echo") == 0)
        assert reflector.value("transmit_bytes_total", "echo") == size
        assert reflector.value("replies_total", "echo") == 1
        assert reflector.dropped("echo") == ({"size": 1} if size == EchoLimits().size else {})


def test_echo_ends_after_so_many_bytes_and_the_client_sees_them() -> None:
    data = os.urandom(EchoLimits().size + 50_000)
    with running() as reflector, reflector.connect() as client:
        client.sendall(data)
        assert read_all(client) == data[: EchoLimits().size]
        assert reflector.dropped("echo") == {"size": 1}
        client.sendall(data)
        assert eventually(lambda: reflector.value("connections", "echo") == 0)


def send_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(bytes(4096))


def test_echo_takes_no_more_than_it_can_give_back() -> None:
    with running(slow(EchoLimits(size=1 << 30), rate=1e9)) as reflector, reflector.connect() as client:
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):  # nobody reads: the windows fill up, and nothing is stored beside them
            send_for_ever(client)
        assert reflector.value("receive_bytes_total", "echo") < 4_000_000


def test_an_idle_echo_connection_is_reset() -> None:
    with running(slow(EchoLimits(idle=0.3))) as reflector, reflector.connect() as client:
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        assert reflector.dropped("echo") == {"deadline": 1}


def chat_for_ever(client: socket.socket) -> None:
    while True:
        client.sendall(b"x")
        assert client.recv(1)
        time.sleep(0.1)


def test_no_echo_connection_lives_for_ever() -> None:
    with running(slow(EchoLimits(total=1.2))) as reflector, reflector.connect() as client:
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            chat_for_ever(client)
        assert reflector.dropped("echo") == {"deadline": 1}


@pytest.mark.parametrize("limits", [EchoLimits(connections=3), EchoLimits(source_connections=3)])
def test_echo_connections_are_capped(limits: EchoLimits) -> None:
    with running(slow(limits)) as reflector:
        kept = [reflector.connect() for _ in range(3)]
        for client in kept:
            client.sendall(b"x")
            assert client.recv(1) == b"x"
        with pytest.raises(ConnectionResetError):
            reflector.connect_and_read()
        assert reflector.dropped("echo") == {"connections": 1}
        kept.pop().close()
        assert eventually(lambda: reflector.value("connections", "echo") == 2)
        with reflector.connect() as next_one:
            next_one.sendall(b"y")
            assert next_one.recv(1) == b"y"
        for client in kept:
            client.close()


def test_a_reset_connection_leaves_nothing() -> None:
    with running() as reflector:
        for _ in range(20):
            client = reflector.connect()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.sendall(b"x" * 2000)
            client.close()
        assert eventually(lambda: reflector.value("requests_total", "echo") == 20)
        assert eventually(lambda: reflector.value("connections", "echo") == 0)


def test_http_shows_the_address_and_gives_bodies_of_any_size() -> None:
    with running() as reflector:
        to = reflector.address("http")
        assert fetch(to, "/").body == b"127.0.0.1\n"
        assert fetch(to, "/healthz").status == 200
        for size in (0, 1, 1499, 65_536, 200_001):
            answer = fetch(to, f"/bytes/{size}", headers={"Accept-Encoding": "gzip"})
            assert (answer.status, len(answer.body)) == (200, size)
            assert "content-encoding" not in answer.headers
        assert reflector.value("transmit_bytes_total", "http") == 10 + 14 + 1 + 1499 + 65_536 + 200_001
        assert reflector.value("replies_total", "http") == 7
        assert fetch(to, "/bytes/7", method="HEAD").headers["content-length"] == "7"


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/bytes/1001", 403, "size"),
        ("/bytes/", 404, "malformed"),
        ("/bytes/-1", 404, "malformed"),
        ("/bytes/" + "9" * 13, 404, "malformed"),
        ("/metrics", 404, "malformed"),
        ("/bytes/%D9%A3", 404, "malformed"),
    ],
)
def test_http_refuses_what_is_too_large_or_not_there(path: str, status: int, reason: str) -> None:
    with running(longest_body=1000) as reflector:
        assert fetch(reflector.address("http"), path).status == status
        assert reflector.dropped("http") == {reason: 1}


def test_large_bodies_are_rationed_and_do_not_keep_others_behind_the_same_nat_from_asking() -> None:
    with running(Settings(source_rate=100)) as reflector:
        to = reflector.address("http")
        assert fetch(to, "/bytes/900000").status == 200
        refused = fetch(to, "/bytes/900000")
        assert (refused.status, refused.headers["retry-after"]) == (429, "1")
        assert fetch(to, "/").status == 200
        assert reflector.dropped("http") == {"source_rate": 1}


def test_a_filler_is_made_as_it_is_sent() -> None:
    whole = Filler(200_000)[0:200_000]
    assert len(whole) == 200_000
    assert len(set(whole)) == 256
    for start, stop in ((0, 10), (65_530, 65_540), (131_000, 200_000), (199_999, 300_000)):
        assert Filler(200_000)[start:stop] == whole[start:stop]


@pytest.mark.parametrize("service", ["stamp", "stun", "echo"])
def test_a_port_in_use_is_named_and_nothing_stays_open(service: str) -> None:
    kind = socket.SOCK_STREAM if service == "echo" else socket.SOCK_DGRAM
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        if kind == socket.SOCK_STREAM:
            taken.listen()
        endpoint = (("127.0.0.1", port),)
        settings = {"stamp": Settings(stamp=endpoint), "stun": Settings(stun=endpoint), "echo": Settings(echo=endpoint)}
        server = ReflectorServer(settings[service], HTTP)
        with pytest.raises(ReflectorError, match=rf"127\.0\.0\.1:{port}.*another program"):
            server.start()
        assert not server.running


def test_stun_is_answered_beside_a_large_body() -> None:
    with (
        running() as reflector,
        udp("127.0.0.1", reflector.address("stun")) as client,
        socket.create_connection(reflector.address("http"), PATIENCE) as reader,
    ):
        reader.sendall(b"GET /bytes/1000000 HTTP/1.1\r\nHost: x\r\n\r\n")  # and does not read
        assert eventually(lambda: reflector.value("replies_total", "http") == 1)
        client.send(stun.encode_request(os.urandom(12)))
        assert stun.decode_response(client.recv(100)).mapped == client.getsockname()
