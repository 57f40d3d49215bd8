"""``natobs reflector`` as a process."""

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from natobs.cli import reflector
from natobs.exposition.listen import parse_listen
from natobs.exposition.reflector import ReflectorServer
from natobs.probes.reflector.reflector import Settings
from natobs.wire import stamp

COMMAND = [sys.executable, "-m", "natobs", "reflector"]
SOMEWHERE = [f"--{name}=127.0.0.1:0" for name in ("stamp", "stun", "echo", "http", "metrics")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop(number: int) -> None:
    with subprocess.Popen([*COMMAND, *SOMEWHERE], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        where: dict[str, int] = {}
        for line in process.stderr:
            if found := re.search(r"(\w+): listening on 127\.0\.0\.1:(\d+)", line):
                where[found[1]] = int(found[2])
            if line.endswith("ready\n"):
                break
        assert set(where) == {"stamp", "stun", "echo", "http", "metrics"}
        with socket.socket(type=socket.SOCK_DGRAM) as client:
            client.settimeout(20)
            client.sendto(stamp.encode_request(3, time.time_ns()), ("127.0.0.1", where["stamp"]))
            assert stamp.decode_reply(client.recv(100)).sequence == 3
        with socket.create_connection(("127.0.0.1", where["echo"])) as open_one:
            open_one.sendall(b"x")
            assert open_one.recv(1) == b"x"
            with urlopen(f"http://127.0.0.1:{where['metrics']}/metrics", timeout=20) as answer:
                assert b'natobs_reflector_replies_total{service="stamp"} 1\n' in answer.read()
            process.send_signal(number)
            assert process.wait(20) == 0
            assert "Traceback" not in process.stderr.read()


def test_sighup_reads_what_there_is_to_read_again(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("{}\n", "utf-8")

    def said_after_sighup(process: "subprocess.Popen[str]") -> str:
        assert process.stderr is not None
        process.send_signal(signal.SIGHUP)
        return process.stderr.readline()

    with started() as process:
        assert "there is no configuration to read again" in said_after_sighup(process)
    with started(f"--web.config.file={web}") as process:
        assert said_after_sighup(process).endswith("configuration read again\n")
        web.write_text("nonsense: 1\n", "utf-8")
        assert "the configuration stays as it was: " in said_after_sighup(process)


@contextmanager
def started(*arguments: str) -> "Iterator[subprocess.Popen[str]]":
    with subprocess.Popen([*COMMAND, *SOMEWHERE, *arguments], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any(line.endswith("ready\n") for line in process.stderr)
            yield process
        finally:
            process.kill()


def test_metrics_for_everybody_are_warned_of(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    server = ReflectorServer(Settings(), (), (parse_listen("127.0.0.1:0"),))
    monkeypatch.setattr(ReflectorServer, "private_addresses", (parse_listen("[::]:9652"),))

    def serve(service: ReflectorServer, begun: Callable[[], None], ready_fd: int | None) -> None:
        begun()

    monkeypatch.setattr(reflector, "serve", serve)
    monkeypatch.setattr(reflector, "ReflectorServer", lambda *_, **__: server)
    assert CliRunner().invoke(reflector.command, []).exit_code == 0
    assert "[::]:9652 is reachable from outside" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--stamp", "nonsense"], 2, "not HOST:PORT"),
        (["--without", "dns"], 2, "Invalid value for '--without'"),
        (["--rate", "0"], 2, "Invalid value for '--rate'"),
        (["--stun", "192.0.2.77:3478"], 1, "no interface of this machine has that address"),
        ([f"--without={name}" for name in ("stamp", "stun", "echo", "http", "metrics")], 1, "nothing to serve"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(arguments: list[str], status: int, said: str) -> None:
    done = subprocess.run([*COMMAND, *SOMEWHERE, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
