"""``natobs up`` and ``natobs down``, in a run directory of their own."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
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
        timeout=60,
        check=False,
    )


@pytest.fixture
def probes(tmp_path: Path) -> Iterator[Path]:
    """A probe file whose one target answers."""
    path = tmp_path / "probes.toml"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        path.write_text(
            f'[[probe]]\nname = "web"\nkind = "tcp"\ntargets = ["{target}"]\ncritical = true\n'
            "interval_seconds = 0.2\ntimeout_seconds = 0.2\n",
            "utf-8",
        )
        yield path


def nothing_runs(environment: dict[str, str]) -> bool:
    """Whether neither a state file nor a process of this run directory is left."""
    mine = f"XDG_RUNTIME_DIR={environment['XDG_RUNTIME_DIR']}".encode()
    left = []
    for process in psutil.process_iter():
        try:
            left += [process] if mine in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0") else []
        except OSError:
            continue  # it has ended meanwhile
    return left == [] and run(environment, "down").stdout == "no agent runs in the background\n"


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
        assert second.stderr == ""
    finally:
        down = run(environment, "down")
    assert (down.returncode, down.stdout) == (0, f"ended the agent (process {process_of(first.stdout)})\n")
    assert start_ticks(process_of(first.stdout)) is None
    assert run(environment, "down").stdout == "no agent runs in the background\n"


def test_an_agent_that_was_killed_is_forgotten(environment: dict[str, str]) -> None:
    first = run(environment, "up", "--listen", "127.0.0.1:0")
    os.kill(process_of(first.stdout), signal.SIGKILL)
    assert eventually(lambda: start_ticks(process_of(first.stdout)) is None)
    again = run(environment, "up", "--listen", "127.0.0.1:0")
    assert again.stdout.startswith("The agent serves this host")
    assert process_of(again.stdout) != process_of(first.stdout)
    run(environment, "down")


def test_ctrl_c_during_up_leaves_no_agent_that_nobody_knows(environment: dict[str, str], tmp_path: Path) -> None:
    never_read = tmp_path / "natobs.toml"
    os.mkfifo(never_read)  # an agent that waits for it is not ready before Ctrl-C, however late that is
    command = [sys.executable, "-m", "natobs", "up", "--listen", "127.0.0.1:0", "--config", str(never_read)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as up:
        assert eventually(lambda: psutil.Process(up.pid).children() != [])
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


def test_without_a_probe_file_this_host_alone_is_probed_and_the_output_says_so(environment: dict[str, str]) -> None:
    done = run(environment, "up", "--listen", "127.0.0.1:0")
    run(environment, "down")
    page, metrics, probes, end = done.stdout.splitlines()
    assert page.startswith("The agent serves this host at http://127.0.0.1:")
    assert metrics == f"metrics: {page.split()[-1]}metrics"
    assert re.fullmatch(
        r"probes: [23] targets on this host alone, which shows only that probing works; "
        r"your own: natobs up --probes probes/default\.toml",
        probes,
    )
    assert end.endswith("end it with: natobs down")


@pytest.mark.parametrize("by", ["option", "configuration"])
def test_a_probe_file_is_probed_in_the_same_process(
    environment: dict[str, str], tmp_path: Path, probes: Path, by: str
) -> None:
    config = tmp_path / "natobs.toml"
    config.write_text(f'[probes]\nfile = "{probes}"\n', "utf-8")
    option = {"option": f"--probes={probes}", "configuration": f"--config={config}"}[by]
    done = run(environment, "up", "--listen", "127.0.0.1:0", option)
    try:
        assert f"probes: 1 target of {probes}\n" in done.stdout, done.stderr
        url = done.stdout.splitlines()[0].split()[-1]

        def attempted() -> bool:
            with urlopen(f"{url}metrics", timeout=10) as response:  # noqa: S310 - http on loopback
                found = re.search(
                    r'natobs_probe_first_attempt_success_total{probe="web".*} (\d+)', response.read().decode()
                )
            return found is not None and int(found[1]) > 1

        assert eventually(attempted)
        again = run(environment, "up", "--no-probes")
        assert f"probes: 1 target of {probes}\n" in again.stdout
        assert "It runs as it was started" in again.stderr
    finally:
        run(environment, "down")
    assert nothing_runs(environment)


def test_probes_are_switched_off_whatever_the_configuration_says(
    environment: dict[str, str], tmp_path: Path, probes: Path
) -> None:
    config = tmp_path / "natobs.toml"
    config.write_text(f'[probes]\nfile = "{probes}"\n', "utf-8")
    done = run(environment, "up", "--listen", "127.0.0.1:0", "--config", str(config), "--no-probes")
    run(environment, "down")
    assert "\nprobes: none\n" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[probe]]\nname = 1\n", "probes.toml: probe[0].name: Expected `str`"),
        ("", "no probe: the file has no [[probe]] with targets"),
        ('[[probe]]\nname = "a"\nkind = "tcp"\ntargets = ["host"]\n', "needs a port"),
    ],
)
def test_a_wrong_probe_file_ends_up_with_its_message_and_leaves_nothing(
    environment: dict[str, str], probes: Path, text: str, said: str
) -> None:
    probes.write_text(text, "utf-8")
    done = run(environment, "up", "--listen", "127.0.0.1:0", "--probes", str(probes))
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert nothing_runs(environment)


@pytest.mark.parametrize("wrong", [["--probes", "/nowhere.toml"], ["--probes", "{probes}", "--no-probes"]])
def test_wrong_usage_of_up_starts_nothing(environment: dict[str, str], probes: Path, wrong: list[str]) -> None:
    done = run(environment, "up", *(word.format(probes=probes) for word in wrong))
    assert done.returncode == 2
    assert nothing_runs(environment)
