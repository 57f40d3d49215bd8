import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from natobs.config import Config, parse
from natobs.errors import ConfigError
from natobs.exposition.agent import Agent
from natobs.kernel import conntrack
from natobs.kernel.machine import Machine, Query
from tests.agent_process import agent_process
from tests.fakes import FakeMachine
from tests.loopback import eventually, fetch, raw
from tests.test_kernel_conntrack import PROCFS_5_15, stats, u32

LISTEN = '[agent]\nlisten = ["127.0.0.1:0"]\ncollector_limit_seconds = 60\n'
"""With patience: a collector that was kept from the CPU is none that hangs."""


def nat_machine(entries: int = 42) -> FakeMachine:
    return FakeMachine(
        {
            conntrack.STATS.key: stats(u32(1, entries), u32(2, 4096)),
            conntrack.STAT_FILE.key: PROCFS_5_15,
        }
    )


@contextmanager
def serving(machine: Machine, load: Callable[[], Config]) -> Iterator[tuple[Agent, str]]:
    agent = Agent(machine, load)
    agent.start()
    try:
        yield agent, f"http://{agent.addresses[0]}"
    finally:
        agent.stop()


@pytest.fixture
def base() -> Iterator[str]:
    with serving(nat_machine(), lambda: parse(LISTEN, "test")) as (_agent, url):
        yield url


def get(url: str, **headers: str) -> tuple[str, str]:
    with urlopen(Request(url, headers=headers), timeout=10) as response:  # noqa: S310 - always http on loopback
        return response.read().decode(), response.headers["Content-Type"]


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_a_scrape_has_what_was_read_and_says_what_was_not(base: str) -> None:
    text, kind = get(f"{base}/metrics")
    assert kind == "text/plain; version=0.0.4; charset=utf-8"
    assert value(text, "natobs_conntrack_entries") == 42
    assert value(text, "natobs_collector_success", collector="conntrack") == 1
    assert value(text, "natobs_collector_unavailable", collector="conntrack", reason="absent") == 1
    assert "natobs_conntrack_buckets" not in text


def test_openmetrics_by_negotiation(base: str) -> None:
    text, kind = get(f"{base}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")


def test_health_and_readiness(base: str) -> None:
    assert get(f"{base}/healthz")[0].startswith("200 OK: alive")
    assert get(f"{base}/readyz")[0] == "200 OK: ready\n"


def test_an_unknown_path_lists_the_others(base: str) -> None:
    with pytest.raises(HTTPError) as caught:
        get(f"{base}/nothing")
    assert caught.value.code == 404
    assert 'href="/metrics"' in caught.value.read().decode()


def test_the_page_shows_values_and_says_why_one_is_unknown(base: str) -> None:
    text, kind = get(f"{base}/")
    assert kind == "text/html; charset=utf-8"
    assert '<div class="now">1.0 %</div>' in text  # 42 of 4096
    assert re.search(r"UNKNOWN</td>.*?absent: psutil", text, re.DOTALL)
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_rates_appear_with_the_second_look() -> None:
    machine = nat_machine()
    with serving(machine, lambda: parse(LISTEN, "test")) as (_agent, url):
        assert "/s</td>" not in get(f"{url}/")[0]
        time.sleep(1.1)
        assert "/s</td>" in get(f"{url}/")[0]


def test_a_reload_keeps_what_was_counted_and_a_wrong_one_changes_nothing() -> None:
    text = LISTEN
    with serving(nat_machine(), lambda: parse(text, "f.toml")) as (agent, url):
        text = LISTEN + '[collectors]\ndisabled = ["firewall"]\n'
        agent.reload()
        scrape = get(f"{url}/metrics")[0]
        assert value(scrape, "natobs_collector_success", collector="firewall") is None
        assert value(scrape, "natobs_conntrack_drop_total") == 7
        for wrong in (
            "[agent]\nfoo = 1",
            '[collectors]\ndisabled = ["nonsense"]',
            '[agent]\nweb_config_file = "/none"',
        ):
            text = wrong
            with pytest.raises(ConfigError):
                agent.reload()
        assert get(f"{url}/metrics")[0].count("\n") == scrape.count("\n")


HEAD = b"HEAD /metrics HTTP/1.1\r\nHost: n\r\n\r\n"


def test_a_connection_outlives_a_reload_that_leaves_the_web_configuration_as_it_is(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text("{}\n", "utf-8")
    text = f'{LISTEN}web_config_file = "{web}"\n'
    with (
        serving(nat_machine(), lambda: parse(text, "f.toml")) as (agent, _url),
        raw(agent.addresses[0], HEAD) as client,
    ):
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        agent.reload()
        client.sendall(HEAD)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        web.write_text("http_server_config: {headers: {X-Frame-Options: deny}}\n", "utf-8")
        agent.reload()
        assert client.recv(1) == b""


def test_a_web_configuration_that_is_wrong_keeps_the_collectors_too(tmp_path: Path) -> None:
    text = LISTEN
    with serving(nat_machine(), lambda: parse(text, "f.toml")) as (agent, url):
        text = f'{LISTEN}web_config_file = "{tmp_path}/none"\n[collectors]\ndisabled = ["conntrack"]\n'
        with pytest.raises(ConfigError):
            agent.reload()
        assert value(get(f"{url}/metrics")[0], "natobs_conntrack_entries") == 42


def test_a_textfile_begins_and_ends_with_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    monkeypatch.chdir(here)
    every_second = f"{LISTEN}textfile_interval_seconds = 1\n"
    text = every_second
    with serving(nat_machine(), lambda: parse(text, "f.toml")) as (agent, _url):
        text = f'{every_second}textfile_directory = "{there}"\n'
        agent.reload()
        assert eventually((there / "natobs.prom").exists)
        text = every_second
        agent.reload()
        (there / "natobs.prom").unlink()
        time.sleep(1.5)
    assert list(tmp_path.rglob("*.prom")) == []


def test_a_textfile_that_is_being_made_when_a_reload_ends_it_is_not_written(tmp_path: Path) -> None:
    text = f'{LISTEN}textfile_directory = "{tmp_path}"\n'

    class Reloading(FakeMachine):
        def ask(self, query: Query) -> bytes:
            nonlocal text
            if text != LISTEN:
                text = LISTEN
                agent.reload()
            return super().ask(query)

    agent = Agent(Reloading(), lambda: parse(text, "f.toml"))
    agent._write_textfile_again()
    assert text == LISTEN
    assert list(tmp_path.iterdir()) == []
    agent.stop()


@pytest.mark.parametrize("key", ["max_connections = 8", "scrape_limit_seconds = 3", 'listen = ["127.0.0.1:1"]'])
def test_a_key_that_takes_a_restart_says_so(key: str, caplog: pytest.LogCaptureFixture) -> None:
    text = LISTEN
    with serving(nat_machine(), lambda: parse(text, "f.toml")) as (agent, _url):
        text = f"[agent]\n{key}\n" if key.startswith("listen") else f"{LISTEN}{key}\n"
        agent.reload()
    assert f"agent.{key.partition(' ')[0]} has changed; that takes a restart" in caplog.text


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "natobs", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_check_says_whether_a_configuration_is_right(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.toml", tmp_path / "bad.toml"
    good.write_text("[agent]\nmax_connections = 8\n", "utf-8")
    bad.write_text("[agent]\nmax_connection = 8\n", "utf-8")
    done = run("agent", "--config", str(good), "--check")
    assert (done.returncode, done.stdout) == (0, f"{good}: good\n")
    done = run("agent", "--config", str(bad), "--check")
    assert done.returncode == 2
    assert "agent.max_connection: unknown key; known here: " in done.stderr
    done = run("agent", "--check", "--listen", "nonsense")
    assert done.returncode == 2
    assert "agent.listen: listen address 'nonsense' is not HOST:PORT" in done.stderr
    assert run("agent", "--check", "--textfile", str(tmp_path), "--interval", "0").returncode == 2


def test_a_textfile_is_written_once_without_serving(tmp_path: Path) -> None:
    done = run("agent", "--textfile", str(tmp_path), "--once")
    assert (done.returncode, done.stdout) == (0, f"wrote {tmp_path / 'natobs.prom'}\n")
    assert "natobs_build_info" in (tmp_path / "natobs.prom").read_text("utf-8")
    assert run("agent", "--once").returncode == 2


def test_the_process_reloads_and_ends_on_signals(tmp_path: Path) -> None:
    config = tmp_path / "natobs.toml"
    config.write_text("", "utf-8")
    with agent_process("--config", str(config)) as agent:
        config.write_text('[collectors]\ndisabled = ["conntrack"]\n', "utf-8")
        agent.popen.send_signal(signal.SIGHUP)
        assert eventually(lambda: b'collector="conntrack"' not in fetch(agent.address).body)
        config.write_text("[agent]\nfoo = 1\n", "utf-8")
        agent.popen.send_signal(signal.SIGHUP)
        assert eventually(lambda: "the configuration stays as it was" in agent.said)
        agent.popen.send_signal(signal.SIGTERM)
        assert agent.popen.wait(30) == 0
        assert "configuration read again" in agent.said
        assert f"{config}: agent.foo: unknown key" in agent.said
        assert agent.said.endswith("stopping\n")


def test_an_address_in_use_is_said_in_one_line(base: str) -> None:
    done = run("agent", "--listen", base.removeprefix("http://"))
    assert done.returncode == 1
    assert "another program listens there" in done.stderr
    assert "Traceback" not in done.stderr
