"""Documents in files and at URLs: what is read, what stays in force when that fails, and how long it may take."""

import base64
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from natobs.errors import ConfigError
from natobs.probe_config import Prober
from natobs.probes import sources
from natobs.probes.sources import Files, Found, Source, Url, reader_of, sources_of
from natobs.probes.web_request import RequestError, WebRequests, check_url, shown
from tests.loopback import PATIENCE, Certificates, reserved_port
from tests.scripted import all_given_back, settings
from tests.web_answers import Answering, answer, web

PROBER = Prober(max_targets=100, discovery_seconds=5)


def document(*targets: str) -> bytes:
    return json.dumps([{"targets": targets}]).encode()


def files(pattern: Path) -> Files:
    made = Files(pattern)
    made.adjust(PROBER)
    return made


def url_reader(address: str) -> Url:
    made = Url(address)
    made.adjust(PROBER)
    return made


def test_a_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(document("a", "b"))
    reader = files(path)
    assert reader.read() == Found(("a", "b"))
    path.write_bytes(document("b", "c"))
    assert reader.read() == Found(("b", "c"))
    path.write_bytes(b"[]")
    assert reader.read() == Found(())  # an empty list is an answer


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: path.unlink(), "t.json: No such file or directory"),
        (lambda path: path.write_bytes(b"[{"), "t.json: Input data was truncated"),
        (lambda path: path.write_bytes(b""), "t.json: Input data was truncated"),
        (lambda path: path.write_bytes(document(*map(str, range(101)))), "t.json: more than 100 targets"),
        (lambda path: path.write_bytes(b"[" + b" " * sources.MOST_BYTES), "t.json: has more than 16777216 bytes"),
        (lambda path: (path.unlink(), path.mkdir()), "t.json: Is a directory"),
    ],
)
def test_a_file_that_is_broken_keeps_what_it_held(
    tmp_path: Path, spoil: Callable[[Path], object], problem: str
) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(document("a"))
    reader = files(path)
    reader.read()
    spoil(path)
    found = reader.read()
    assert found.targets == ("a",)
    assert problem in found.problem
    assert reader.read() == found


def test_a_file_that_was_never_good_holds_nothing(tmp_path: Path) -> None:
    found = files(tmp_path / "t.json").read()
    assert found.targets == ()
    assert "No such file" in found.problem


def test_a_pattern_joins_its_files_and_forgets_those_that_are_gone(tmp_path: Path) -> None:
    for name, target in (("b.yml", "b"), ("a.json", "a"), ("c.yaml", "c"), ("skip.txt", "x")):
        (tmp_path / name).write_bytes(document(target))
    reader = files(tmp_path / "[abc].*")
    assert reader.read() == Found(("a", "b", "c"))
    (tmp_path / "b.yml").write_bytes(b"{")
    (tmp_path / "c.yaml").write_bytes(document("c", "d"))
    found = reader.read()
    assert found.targets == ("a", "b", "c", "d")
    assert "b.yml: line" in found.problem
    (tmp_path / "b.yml").unlink()
    assert reader.read() == Found(("a", "c", "d"))
    for path in tmp_path.glob("*.[jy]*"):
        path.unlink()
    found = reader.read()
    assert found.targets == ("a", "c", "d")
    assert "no file has such a name" in found.problem


def test_a_directory_that_cannot_be_read_is_no_empty_one(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a.json").write_bytes(document("a"))
    reader = files(tmp_path / "x" / "*.json")
    reader.read()
    (tmp_path / "x").rename(tmp_path / "y")
    found = reader.read()
    assert found.targets == ("a",)
    assert "No such file" in found.problem


def test_a_file_of_another_kind_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(document("a"))
    assert "their names end in .json, .yml, .yaml" in files(tmp_path / "*.txt").read().problem


def test_a_pipe_does_not_hold_a_look_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "t.json")
    assert "no regular file" in files(tmp_path / "t.json").read().problem


def test_a_url_is_asked_as_prometheus_asks() -> None:
    with web(sd=answer(document("a:1"))) as served:
        reader = url_reader(served.url("/sd?zone=x", "user:p%40ss@127.0.0.1"))
        assert reader.read() == Found(("a:1",))
        served.paths["/sd"] = answer(document("b:1"), "200 OK", 'Application/JSON; charset="utf-8"')
        assert reader.read() == Found(("b:1",))
        served.paths["/sd"] = answer(b"[]")
        assert reader.read() == Found(())
        request = served.requests[0].decode().lower()
    assert request.startswith("get /sd?zone=x http/1.1\r\n")
    assert f"host: 127.0.0.1:{served.port}\r\n" in request
    assert "x-prometheus-refresh-interval-seconds: 5.000000\r\n" in request
    assert "user-agent: natobs/" in request
    assert "accept: application/json\r\n" in request
    assert f"authorization: basic {base64.b64encode(b'user:p@ss').decode().lower()}\r\n" in request


def slowly(client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    for _turn in range(100):
        client.sendall(b" ")
        time.sleep(0.05)


def slow_head(client: socket.socket, _request: bytes) -> None:
    for _turn in range(100):
        client.sendall(b"H")
        time.sleep(0.05)


def silent(client: socket.socket, _request: bytes) -> None:
    client.recv(1)  # until the other side has had enough


def huge(client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _turn in range(100):
        client.sendall(b" " * 1_000_000)


def huge_chunks(client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _turn in range(100):
        client.sendall(b"f4240\r\n" + b" " * 1_000_000 + b"\r\n")


def announced(client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000000\r\n\r\n")
    client.recv(1)


def cut_short(client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n[]")


def garbage(client: socket.socket, _request: bytes) -> None:
    client.sendall(os.urandom(2000))


def endless_headers(client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n")
    for _turn in range(10_000):
        client.sendall(b"X: y\r\n")


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (answer(b"oh", "500 Internal Server Error"), "it answers with status 500"),
        (answer(document("x"), "404 Not Found"), "it answers with status 404"),
        (answer(b"", "204 No Content"), "it answers with status 204"),
        (answer(b"<html>", "200 OK", "text/html"), "its content type is 'text/html', not application/json"),
        (answer(document("x"), "200 OK", ""), "its content type is '', not application/json"),
        (answer(document("x"), "200 OK", "application/json; charset=latin-1"), "its content type is"),
        (answer(b"<html>"), "JSON is malformed"),
        (answer(b'[{"targets": [1]}]'), "[0].targets[0]: expected text, found a number"),
        (answer(b"\x1f\x8b", "200 OK", "application/json", "Content-Encoding: gzip"), "the answer is compressed"),
        (cut_short, "does not speak HTTP as it should"),
        (lambda _client, _request: None, "Remote end closed connection without response"),
        (slowly, "no complete answer within 0.5 s"),
        (slow_head, "no complete answer within 0.5 s"),
        (silent, "no complete answer within 0.5 s"),
        (huge, "the answer has more than 1000000 bytes"),
        (huge_chunks, "the answer has more than 1000000 bytes"),
        (announced, "the answer has more than 1000000 bytes"),
        (garbage, "does not speak HTTP"),
        (endless_headers, "does not speak HTTP"),
        (answer(b"", "302 Found", "", "Location: /again"), "it redirects more than 5 times"),
        (answer(b"", "302 Found", "", "Location: https://127.0.0.1/"), "it redirects to https"),
        (answer(b"", "302 Found", "", "Location: file:///etc/passwd"), "it redirects to nowhere"),
        (answer(b"", "302 Found", "", "Location: http://[/"), "it redirects to nowhere"),
        (answer(b"", "302 Found", ""), "it answers with status 302"),
    ],
)
def test_an_answer_of_no_use_keeps_what_was_known_and_takes_bounded_time(
    monkeypatch: pytest.MonkeyPatch, how: Answering, problem: str
) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 1_000_000)
    with all_given_back(), web(sd=answer(document("a"))) as served:
        reader = url_reader(served.url("/sd", "name:secret@127.0.0.1"))
        assert reader.read() == Found(("a",))
        served.paths |= {"/sd": how, "/again": how}
        if "within" in problem:
            reader._requests = WebRequests(0.5, sources.MOST_BYTES)
        start = time.monotonic()
        found = reader.read()
        assert time.monotonic() - start < 4
    assert found.targets == ("a",)
    assert problem in found.problem
    assert "secret" not in found.problem
    assert found.problem.startswith(f"http://127.0.0.1:{served.port}/sd: ")


def test_nobody_there() -> None:
    with reserved_port() as port:
        assert "Connection refused" in url_reader(f"http://127.0.0.1:{port}/").read().problem
    assert "does not resolve" in url_reader("http://nobody.invalid/").read().problem


def test_a_search_for_a_name_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    enough = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_words, **_more: enough.wait(60))
    start = time.monotonic()
    with pytest.raises(RequestError, match=r"no complete answer within 0\.3 s"):
        WebRequests(0.3, 100).send("GET", "http://slow.example/")
    requests = WebRequests(60, 100)
    threading.Timer(0.2, requests.abandon).start()
    for _turn in range(2):
        with pytest.raises(RequestError, match="no complete answer"):
            requests.send("GET", "http://slow.example/")
    assert time.monotonic() - start < PATIENCE
    enough.set()


def test_a_redirect_is_followed_and_a_password_stays_with_its_origin() -> None:
    with web(there=answer(document("a"))) as other:
        moved = answer(b"", "307 Temporary Redirect", "", f"Location: {other.url('/there')}")
        same = answer(b"", "301 Moved Permanently", "", "Location: /moved")
        with web(sd=same, moved=moved) as served:
            assert url_reader(served.url("/sd", "u:p@127.0.0.1")).read() == Found(("a",))
    assert [b"Authorization" in request for request in served.requests] == [True, True]
    assert [b"Authorization" in request for request in other.requests] == [False]


def test_https_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = Certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.path("server.pem"), certificates.path("server.key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _turn in range(2):
                client, _peer = listener.accept()
                try:
                    with context.wrap_socket(client, server_side=True) as tls:
                        answer(document("a"))(tls, tls.recv(4096))
                except OSError:
                    client.close()

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert "its certificate is not good" in url_reader(url).read().problem
        monkeypatch.setenv("SSL_CERT_FILE", certificates.path("ca.pem"))
        assert url_reader(url).read() == Found(("a",))
        thread.join(5)


def test_a_request_can_be_abandoned() -> None:
    with web(sd=silent) as served:
        requests, start = WebRequests(60, 100), time.monotonic()
        threading.Timer(0.2, requests.abandon).start()
        with pytest.raises(RequestError, match="no complete answer"):
            requests.send("GET", served.url("/sd"))
        with pytest.raises(RequestError, match="no complete answer"):
            requests.send("GET", served.url("/sd"))
        assert time.monotonic() - start < 9  # the server waits a second longer


@pytest.mark.parametrize(
    "url", ["", "ftp://a/", "http://", "http://[::1", "http://a:0/", "http://a b/", "//host/", "http://a%3Ab:c@h/"]
)
def test_what_cannot_be_asked_is_refused_before(url: str) -> None:
    with pytest.raises(ConfigError, match="no URL that can be asked"):
        check_url(url)


def test_a_url_is_shown_without_its_secrets() -> None:
    assert shown("https://u:secret@host.example:8443/a/b?token=secret") == "https://host.example:8443/a/b"


def test_the_sources_of_a_file() -> None:
    probes = (
        settings(name="a", targets=("x",)),
        settings(name="b", targets=(), targets_file="f/*.json", targets_url="http://h/"),
    )
    found = sources_of(probes)
    assert found == (Source("b", "file", "f/*.json"), Source("b", "url", "http://h/"))
    assert [type(reader_of(source)) for source in found] == [Files, Url]
    with pytest.raises(ConfigError, match=r"^probe c: targets_url: no URL that can be asked"):
        sources_of((settings(name="c", targets=(), targets_url="http://[::1"),))
