"""``/-/reload``: who may ask, what is answered, and that nothing changes when it goes wrong."""

import contextlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bcrypt
import pytest

from natobs.errors import ConfigError
from natobs.exposition.limits import Limits
from natobs.exposition.listen import Address, parse_listen
from natobs.exposition.messages import Request, Response
from natobs.exposition.prober import Prober
from natobs.exposition.reload import METHODS, Reloading, ReloadPage
from natobs.exposition.routes import Action, Routes
from natobs.exposition.webschema import WebConfig
from tests.agent_process import agent_process
from tests.loopback import eventually, fetch, raw, read_all, serving
from tests.scripted import echo, kinds, probe_file, settings

OTHERS = {"Sec-Fetch-Site": "cross-site"}
LINE = b"POST /-/reload HTTP/1.1\r\nHost: n\r\n"


class Reloads:
    """Counts reloads, fails them, or holds them up."""

    def __init__(self) -> None:
        self.count = 0
        self.error: Exception | None = None
        self.free = threading.Event()
        self.free.set()

    def __call__(self) -> None:
        self.count += 1
        assert self.free.wait(60)
        if self.error is not None:
            raise self.error


def metrics(_request: Request) -> Response:
    return Response(200, b"natobs 1\n", "text/plain")


@contextlib.contextmanager
def site(reloads: Reloads, config: WebConfig | None = None) -> Iterator[Address]:
    routes = Routes({"/metrics": metrics, "/-/reload": Action(ReloadPage(Reloading(reloads)), METHODS)})
    with serving(routes, Limits(linger=0.2), config) as server:
        yield server.addresses[0]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_it_reloads_when_it_is_asked_to(method: str) -> None:
    reloads = Reloads()
    with site(reloads) as address:
        answer = fetch(address, "/-/reload", method=method)
        assert (answer.status, answer.body) == (200, b"200 OK: configuration read again\n")
        assert fetch(address, "/-/reload", method=method, headers={"Sec-Fetch-Site": "same-origin"}).status == 200
    assert reloads.count == 2


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "post", "POST2"])
def test_other_methods_do_nothing(method: str) -> None:
    reloads = Reloads()
    with site(reloads) as address:
        answer = fetch(address, "/-/reload", method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "POST, PUT")
        other = fetch(address, "/metrics", method="POST")
        assert (other.status, other.headers["allow"]) == (405, "GET, HEAD")
        assert fetch(address, "/-/Reload", method="POST").status == 405  # no such path
        assert b"/-/reload" not in fetch(address, "/nothing").body  # a link to it would lead nowhere
    assert reloads.count == 0


def test_what_is_wrong_is_said_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    reloads = Reloads()
    reloads.error = ConfigError("probes.toml: probe[0].kind: no such kind")
    with site(reloads) as address:
        answer = fetch(address, "/-/reload", method="POST")
        assert answer.status == 500
        assert b"stays as it was: probes.toml: probe[0].kind: no such kind" in answer.body
        reloads.error = OSError(24, "Too many open files")
        answer = fetch(address, "/-/reload", method="POST")
        assert answer.status == 500
        assert b"cannot be read now: Too many open files" in answer.body
    assert caplog.text.count("asked by 127.0.0.1 to reload; the configuration stays as it was") == 2


@pytest.mark.parametrize(
    "headers",
    [
        OTHERS,
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "https://evil.example", "Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_a_page_of_another_site_cannot_reload(headers: dict[str, str]) -> None:
    reloads = Reloads()
    with site(reloads) as address:
        answer = fetch(address, "/-/reload", method="POST", headers=headers)
        assert answer.status == 403
        assert fetch(address, "/metrics", headers=headers).status == 200  # reading is another matter
    assert reloads.count == 0


def test_users_are_asked_for_their_password_here_too() -> None:
    reloads = Reloads()
    config = WebConfig(basic_auth_users={"op": bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()})
    with site(reloads, config) as address:
        assert fetch(address, "/-/reload", method="POST").status == 401
        wrong = {"Authorization": "Basic b3A6d3Jvbmc="}
        assert fetch(address, "/-/reload", method="POST", headers=wrong).status == 401
        assert reloads.count == 0
        right = {"Authorization": "Basic b3A6c2VjcmV0"}
        assert fetch(address, "/-/reload", method="POST", headers=right).status == 200
        assert fetch(address, "/-/reload", method="POST", headers=right | OTHERS).status == 403
    assert reloads.count == 1


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        (b"\r\n", b"200"),
        (b"Content-Length: 0\r\n\r\n", b"200"),
        (b"Content-Length: 0\r\nExpect: 100-continue\r\n\r\n", b"200"),
        (b"Content-Length: 5\r\n\r\n", b"413"),
        (b"Content-Length: 5\r\n\r\nhello", b"413"),
        (b"Content-Length: 99999999999999\r\n\r\n", b"413"),
        (b"Content-Length: -1\r\n\r\n", b"400"),
        (b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", b"400"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n5\r\nhello\r\n0\r\n\r\n", b"413"),
        (b"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Site: same-origin\r\n\r\n", b"403"),
        (b"Origin: http://n\r\nOrigin: http://evil.example\r\n\r\n", b"403"),
    ],
)
def test_bodies_are_refused_unless_they_are_empty(rest: bytes, status: bytes) -> None:
    reloads = Reloads()
    with site(reloads) as address, raw(address, LINE + rest) as client:
        client.shutdown(socket.SHUT_WR)
        assert read_all(client).split(b" ")[1] == status
    assert reloads.count == (status == b"200")


def test_a_refused_body_is_not_taken_for_the_next_request() -> None:
    reloads = Reloads()
    smuggled = LINE + b"\r\n"
    with (
        site(reloads) as address,
        raw(address, LINE + b"Content-Length: %d\r\n\r\n" % len(smuggled) + smuggled) as client,
    ):
        assert read_all(client).startswith(b"HTTP/1.1 413 ")
    assert reloads.count == 0


def test_many_who_ask_hold_one_worker_and_scrapes_go_on() -> None:
    reloads = Reloads()
    reloads.free.clear()
    with site(reloads) as address, ThreadPoolExecutor(20) as pool:
        asked = [pool.submit(fetch, address, "/-/reload", method="POST") for _turn in range(20)]
        assert eventually(lambda: sum(one.done() for one in asked) == 19)
        assert fetch(address).body == b"natobs 1\n"
        reloads.free.set()
        answers = [one.result() for one in asked]
    assert sorted(one.status for one in answers) == [200] + [503] * 19
    assert {one.headers.get("retry-after") for one in answers} == {None, "1"}
    assert reloads.count == 1


def test_two_reloads_never_run_at_once() -> None:
    running: list[int] = []
    most: list[int] = []

    def reload() -> None:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()

    reloading = Reloading(reload)
    threads = [threading.Thread(target=reloading) for _turn in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 10


def test_the_prober_reads_its_file_again(caplog: pytest.LogCaptureFixture) -> None:
    file = probe_file(settings(targets=("a.test",)))
    prober = Prober(lambda: file, kinds(lambda target: echo))
    prober.start()
    try:
        address = prober.addresses[0]
        file = probe_file(settings(targets=("b.test",)))
        with caplog.at_level(logging.INFO):
            assert fetch(address, "/-/reload", method="POST").status == 200
        assert [target.host for target in prober.service.targets] == ["b.test"]
        file = probe_file()
        answer = fetch(address, "/-/reload", method="PUT")
        assert (answer.status, b"no probe" in answer.body) == (500, True)
        assert [target.host for target in prober.service.targets] == ["b.test"]
    finally:
        prober.stop()
    assert "configuration read again, as 127.0.0.1 asked" in caplog.text


def test_the_agent_reads_its_configuration_again(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_text("", "utf-8")
    with agent_process("--config", str(path)) as agent:
        assert b'collector="sysctls"' in fetch(agent.address).body
        path.write_text('[collectors]\ndisabled = ["sysctls"]\n', "utf-8")
        assert fetch(agent.address, "/-/reload", method="POST").status == 200
        assert b'collector="sysctls"' not in fetch(agent.address).body
        path.write_text("[collectors]\ndisabled = 7\n", "utf-8")
        answer = fetch(agent.address, "/-/reload", method="POST")
        assert (answer.status, b"collectors.disabled" in answer.body) == (500, True)
        assert b'collector="sysctls"' not in fetch(agent.address).body


def test_without_a_descriptor_left_a_reload_changes_nothing_and_ends_nothing(tmp_path: Path) -> None:
    path, documents = tmp_path / "probes.toml", tmp_path / "t.json"
    documents.write_text('[{"targets": ["127.0.0.1:9"]}]', "utf-8")
    probe = '[[probe]]\nname = "{name}"\nkind = "{kind}"\ntargets_file = "{documents}"\ninterval_seconds = 0.5\n'
    probe += "timeout_seconds = 0.2\n"
    path.write_text(
        "[prober]\ndiscovery_seconds = 1\n" + probe.format(name="a", kind="tcp", documents=documents), "utf-8"
    )
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "natobs", "probe", "--config", str(path), "--listen=127.0.0.1:0"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, f"--ready-fd={writing}"], pass_fds=[writing], stderr=log)
    os.close(writing)
    said = (tmp_path / "log").read_text
    try:
        with os.fdopen(reading) as ready:
            address = parse_listen(ready.readline().strip().removeprefix("http://").rstrip("/"))
        assert eventually(lambda: b'discovery_success{probe="a",source="file"} 1' in fetch(address).body)
        _soft, most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
        # What reads it now needs a module, a file of authorities, and descriptors for both.
        path.write_text(path.read_text("utf-8") + probe.format(name="b", kind="tls", documents=documents), "utf-8")
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, most))
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: "the configuration stays as it was" in said())
        assert eventually(lambda: "Too many open files; going on with the 1 that were known" in said())
        resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
        assert eventually(lambda: b'discovery_success{probe="a",source="file"} 1' in fetch(address).body)
        body = fetch(address).body
        assert b"natobs_probe_engine_up 1" in body
        assert b'probe="b"' not in body
        process.send_signal(signal.SIGHUP)
        assert eventually(lambda: b'natobs_probe_targets{probe="b",kind="tls",target=""} 1' in fetch(address).body)
    finally:
        process.kill()
        process.wait()
    assert "Traceback" not in said()
