"""One round of probes, counted and pushed, from the command line and as a function."""

import json
import os
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from prometheus_client.parser import text_string_to_metric_families

from natobs.catalogue.metrics import probes as metric
from natobs.cli.main import natobs
from natobs.errors import ConfigError, ExpositionError
from natobs.exposition import oneshot
from natobs.probe_config import load
from natobs.probes import round as probing
from natobs.probes.model import Target
from natobs.probes.round import Round
from natobs.probes.sd_document import parse
from tests.loopback import PATIENCE, reserved_port
from tests.otlp_receiver import receiving
from tests.scripted import (
    Attempting,
    all_given_back,
    at_once,
    black_hole,
    echo,
    kept,
    kinds,
    probe_file,
    refused,
    settings,
)
from tests.test_pushgateway import exposed, pushgateway
from tests.web_answers import Web, answer, web

PROJECT = Path(__file__).parent.parent
QUICK: dict[str, object] = {"timeout_seconds": 0.2, "retries": 1, "retry_delay_seconds": 0.05}


def script(target: Target) -> Attempting:
    flaky: list[int] = []

    def second_time(number: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - one of the two below
        flaky.append(number)
        return (echo if len(flaky) > 1 else at_once(refused()))(number)

    return {"good": echo, "bad": at_once(refused()), "silent": black_hole, "flaky": second_time}[
        target.host.partition("-")[0]
    ]


def values(done: Round) -> dict[str, float]:
    return {row.name: value for row, labels, value in done.samples if isinstance(value, (int, float))}


def test_every_target_is_attempted_once_with_its_retries() -> None:
    with all_given_back():
        file = probe_file(settings(targets=("good", "bad", "silent", "flaky"), **QUICK))
        done = probing.run(file, PATIENCE, kinds(script))
    assert (done.targets, done.failed, done.unfinished, done.found) == (4, 2, 0, True)
    assert not done.good
    found = values(done)
    assert found[metric.ATTEMPTS.name] == 4
    assert found[metric.RETRIES.name] == 3
    assert found[metric.FIRST_ATTEMPT_SUCCESS.name] == 1
    assert found[metric.SUCCESS.name] == 2
    assert found[metric.TARGETS.name] == 4
    assert metric.ENGINE_UP.name not in found
    assert {attempt.outcome.success for attempt in done.traced} >= {False}


def test_it_ends_in_time_and_says_what_it_did_not_reach() -> None:
    start = time.monotonic()
    hole = settings(targets=("good", "silent"), timeout_seconds=30, interval_seconds=30)
    done = probing.run(probe_file(hole), 1.5, kinds(script))
    assert time.monotonic() - start < 15
    assert (done.targets, done.failed, done.unfinished) == (2, 0, 1)
    assert values(done)[metric.ATTEMPTS.name] == 1  # what was abandoned is no attempt, and no failure
    assert not done.good


def test_the_rate_holds() -> None:
    names = tuple(f"good-{n}" for n in range(60))
    start = time.monotonic()
    with kept() as late:
        done = probing.run(probe_file(settings(targets=names), max_rate=100), PATIENCE, kinds(script))
        assert 0.5 < time.monotonic() - start < 1.5 + late()
    assert (done.unfinished, done.good) == (0, True)


def test_targets_are_found_where_the_file_says(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text('[{"targets": ["good-1", "good-2"]}]', "utf-8")
    with web(sd=answer(b'[{"targets": ["good-3"]}]'), hangs=lambda client, _request: read(client)) as served:
        both = settings(targets=(), targets_file=str(tmp_path / "t.json"), targets_url=served.url("/sd"))
        done = probing.run(probe_file(both), PATIENCE, kinds(script))
        assert (done.targets, done.found, done.good) == (3, True, True)
        slow = settings(targets=("good",), targets_url=served.url("/hangs"))
        start = time.monotonic()
        done = probing.run(probe_file(slow), 2, kinds(script))
        assert time.monotonic() - start < 9  # the server would wait for longer
    assert (done.targets, done.failed, done.found, done.good) == (1, 0, False, False)
    assert values(done)[metric.DISCOVERY_SUCCESS.name] == 0


def read(client: socket.socket) -> None:
    client.recv(1)


@contextmanager
def gateway() -> Iterator[Web]:
    with web() as served:
        served.paths["/metrics/job/natobs_probe"] = answer(b"", "200 OK", "")
        yield served


@contextmanager
def probes(tmp_path: Path, *more: str) -> Iterator[Path]:
    """A probe file with one target that answers and one that does not."""
    with socket.create_server(("127.0.0.1", 0)) as opened, reserved_port() as closed:
        ports = [opened.getsockname()[1], closed]
        path = tmp_path / "probes.toml"
        lines = ["[[probe]]", 'name = "web"', 'kind = "tcp"', "critical = true", "retry_delay_seconds = 0.01"]
        lines.append(f"targets = {json.dumps([f'127.0.0.1:{port}' for port in ports])}")
        path.write_text("\n".join([*lines, *more]), "utf-8")
        yield path


def push(*words: str) -> Result:
    return CliRunner().invoke(natobs, ["probe", "push", *words])


def test_the_command_pushes_and_failures_are_data(tmp_path: Path) -> None:
    with probes(tmp_path) as path, gateway() as served:
        words = ["--config", str(path), "--pushgateway", served.url()]
        done = push(*words)
        assert done.exit_code == 0, done.output
        assert "of 2 targets: 1 failed" in done.output
        assert push(*words, "--fail").exit_code == 1
        body = served.requests[0].partition(b"\r\n\r\n")[2].decode()
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(body)
        for sample in family.samples
        if sample.labels.get("target", "").startswith("127") or sample.name == "natobs_build_info"
    }
    assert found["natobs_build_info"] == 1
    assert found["natobs_probe_attempts_total"] == 1
    assert "natobs_probe_rtt_seconds_bucket" in found


def test_a_push_that_fails_ends_with_1_and_a_wrong_command_line_with_2(tmp_path: Path) -> None:
    def run(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "natobs", "probe", "push", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert "Traceback" not in done.stderr
        return done.returncode, " ".join(done.stderr.split())

    with probes(tmp_path) as path, reserved_port() as closed:
        nobody = f"http://127.0.0.1:{closed}"
        config = ("--config", str(path))
        assert run(*config, "--pushgateway", nobody) == (
            1,
            f"natobs: nothing was pushed to {nobody}/: Connection refused",
        )
        for words, said in (
            (config, "where to? Either --pushgateway URL, or --otlp"),
            ((*config, "--otlp", "--pushgateway", nobody), "where to?"),
            ((*config, "--otlp"), "otlp.endpoint: not set"),
            ((*config, "--pushgateway", "nobody"), "pushgateway: no URL that can be asked"),
            ((*config, "--pushgateway", nobody, "--grouping", "x"), "grouping 'x': expected NAME=VALUE"),
            ((*config, "--pushgateway", nobody, "--limit", "0"), "Invalid value for '--limit'"),
            (("--config", str(tmp_path / "none"), "--pushgateway", nobody), "No such file"),
        ):
            status, error = run(*words)
            assert (status, said in error) == (2, True), error


def test_over_otlp_go_the_samples_with_the_time_at_which_they_were_zero_and_spans(tmp_path: Path) -> None:
    with receiving() as receiver, probes(tmp_path, f'[otlp]\nendpoint = "{receiver.url}"\n') as path:
        began = time.time()
        done = push("--config", str(path), "--otlp")
        assert done.exit_code == 0, done.output
    metrics = {one.name: one for one in receiver.metrics[0].resource_metrics[0].scope_metrics[0].metrics}
    assert "natobs_probe_rtt_seconds" in metrics
    points = metrics["natobs_probe_attempts_total"].sum.data_points
    assert [point.as_double or point.as_int for point in points] == [1, 1]
    for point in points:
        assert began - 1 < point.start_time_unix_nano / 1e9 < point.time_unix_nano / 1e9
    assert len(receiver.metrics) == 1
    assert len(receiver.spans) >= 3  # a first attempt and its two retries


def test_it_listens_nowhere_and_leaves_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, gateway() as served:
        path = tmp_path / "probes.toml"
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        path.write_text(f'[[probe]]\nname = "t"\nkind = "tls"\ntargets = ["{target}"]\ntimeout_seconds = 9\n', "utf-8")
        start = time.monotonic()
        done = push("--config", str(path), "--pushgateway", served.url(), "--limit", "6")
        assert time.monotonic() - start < 6
    assert (done.exit_code, "1 not finished within the limit" in done.output) == (0, True)


def test_a_short_limit_holds_for_the_push_too(tmp_path: Path) -> None:
    with probes(tmp_path) as path, web() as served:
        served.paths["/metrics/job/natobs_probe"] = lambda client, _request: read(client)
        start = time.monotonic()
        with pytest.raises(ExpositionError, match="nothing was pushed"):
            oneshot.run(load(path), oneshot.Pushgateway(served.url()), 1.0)
        assert time.monotonic() - start < oneshot.PUSH_SECONDS


def test_a_grouping_is_names_and_values() -> None:
    assert oneshot.read_grouping(["a=b", "c=d=e", "f="]) == {"a": "b", "c": "d=e", "f": ""}
    for wrong in (["a"], ["=b"], ["a=b", "a=c"]):
        with pytest.raises(ConfigError, match="expected NAME=VALUE"):
            oneshot.read_grouping(wrong)


HANDLER = """
    import importlib.util, json, sys, threading

    class Context:
        def get_remaining_time_in_millis(self):
            return 15_000

    spec = importlib.util.spec_from_file_location("lambda_function", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for turn in range(2):  # a function is called again and again in one process
        answer = module.handler({}, Context())
    print(json.dumps([answer, threading.active_count()]))
"""


def invoke(tmp_path: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    function = tmp_path / "lambda_function.py"
    function.write_bytes((PROJECT / "probes" / "lambda_function.py").read_bytes())
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(HANDLER), str(function)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False, timeout=120)


def test_the_function_pushes_to_a_real_pushgateway(tmp_path: Path) -> None:
    with probes(tmp_path), pushgateway() as url:
        done = invoke(tmp_path, {"NATOBS_PUSHGATEWAY": url, "NATOBS_GROUPING": "subnet=10.0.7.0/24,nat=nat-a"})
        assert done.returncode == 0, done.stderr
        answer, threads = json.loads(done.stdout)
        assert answer == {"targets": 2, "failed": 1, "unfinished": 0}
        assert threads == 1
        found = exposed(url)
    assert found["natobs_probe_attempts_total", "10.0.7.0/24"] == 1  # of the latest invocation, not of both
    assert found["natobs_probe_failures_total", "10.0.7.0/24"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lambda_function.py", "probes.toml"]


def test_an_invocation_fails_when_nothing_was_pushed(tmp_path: Path) -> None:
    with probes(tmp_path), reserved_port() as closed:
        url = f"http://127.0.0.1:{closed}"
        done = invoke(tmp_path, {"NATOBS_PUSHGATEWAY": url})
        assert done.returncode != 0
        assert "nothing was pushed to" in done.stderr
        done = invoke(tmp_path, {})
        assert "otlp.endpoint: not set" in done.stderr


def test_a_file_without_targets_of_its_own_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "probes.toml"
    path.write_text(f'[[probe]]\nname = "t"\nkind = "tcp"\ntargets_file = "{tmp_path}/none.json"\n', "utf-8")
    done = probing.run(load(path), 2)
    assert (done.targets, done.found) == (0, False)


def test_every_document_that_the_readme_shows_is_one() -> None:
    text = (PROJECT / "probes" / "README.md").read_text("utf-8")
    shown = text.partition("```json\n")[2].partition("```")[0]
    assert parse(shown.encode(), "json", "README.md", 10) == ("10.20.0.5:443", "api.example.com:443")
