"""``natobs up`` and ``natobs down``, in a run directory of their own."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import urlopen

import psutil
import pytest

from natobs.rundir import start_ticks
from tests.loopback import Certificates, eventually


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "natobs", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )


def process_of(said: str) -> int:
    return int(said.partition("process ")[2].partition(",")[0])


def test_up_is_idempotent_and_down_ends_it(environment: dict[str, str]) -> None:
    first = run(environment, "up", "--listen", "127.0.0.1:0")
    try:
        assert first.returncode == 0, first.stderr
        assert first.stdout.startswith("The agent serves this host at http://127.0.0.1:")
        url = next(word for word in first.stdout.split() if word.endswith("/metrics"))
        with urlopen(url, timeout=10) as response:  # noqa: S310 - http on loopback
            assert b"natobs_build_info" in response.read()
        second = run(environment, "up")
        assert second.stdout.startswith("The agent already serves this host")
        assert process_of(second.stdout) == process_of(first.stdout)
    finally:
        down = run(environment, "down")
    assert (down.returncode, down.stdout) == (0, f"ended the agent (process {process_of(first.stdout)})\n")
    assert start_ticks(process_of(first.stdout)) is None
    assert run(environment, "down").stdout == "no agent runs in the background\n"


def test_an_agent_that_was_killed_is_forgotten(environment: dict[str, str]) -> None:
    first = run(environment, "up", "--listen", "127.0.0.1:0")
    os.kill(process_of(first.stdout), signal.SIGKILL)
    time.sleep(0.1)
    again = run(environment, "up", "--listen", "127.0.0.1:0")
    assert again.stdout.startswith("The agent serves this host")
    assert process_of(again.stdout) != process_of(first.stdout)
    run(environment, "down")


def test_ctrl_c_during_up_leaves_no_agent_that_nobody_knows(environment: dict[str, str]) -> None:
    command = [sys.executable, "-m", "natobs", "up", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
        assert eventually(lambda: psutil.Process(up.pid).children() != [], within=10)
        (agent,) = psutil.Process(up.pid).children()
        up.send_signal(signal.SIGINT)
        out, _err = up.communicate(timeout=20)
    assert (up.returncode, out) == (1, b"")
    assert not agent.is_running()
    assert run(environment, "down").stdout == "no agent runs in the background\n"


def test_up_names_https_where_the_web_configuration_asks_for_it(environment: dict[str, str], tmp_path: Path) -> None:
    Certificates(tmp_path)
    (tmp_path / "web.yml").write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n", "utf-8")
    config = tmp_path / "natobs.toml"
    config.write_text(f'[agent]\nlisten = ["127.0.0.1:0"]\nweb_config_file = "{tmp_path}/web.yml"\n', "utf-8")
    done = run(environment, "up", "--config", str(config))
    run(environment, "down")
    assert done.stdout.startswith("The agent serves this host at https://127.0.0.1:"), done.stderr


def test_an_agent_that_cannot_start_is_quoted(environment: dict[str, str], tmp_path: Path) -> None:
    config = tmp_path / "bad.toml"
    config.write_text("[agent]\nfoo = 1\n", "utf-8")
    done = run(environment, "up", "--config", str(config))
    assert done.returncode == 1
    assert "agent.foo: unknown key" in done.stderr
    assert run(environment, "down").stdout == "no agent runs in the background\n"
