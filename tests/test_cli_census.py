"""``natobs census``: what a person and a program get to see, from censuses made by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from natobs.cli import census as subject
from natobs.cli.census_worker import work
from natobs.cli.main import natobs
from natobs.errors import UnavailableError
from natobs.kernel import flow_worker
from natobs.kernel.flow_results import Reason
from natobs.kernel.flow_worker import Answer, Order
from natobs.kernel.machine import Machine
from tests import censuses
from tests.test_golden import compare

ORDERS: list[Order] = []


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command set its variables for this test only."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


class Clock:
    """Stands still, but for what looking and sleeping take."""

    def __init__(self, looks: int = 1) -> None:
        self.now = 100.0
        self.looks = looks
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        if len(self.slept) == self.looks:
            raise KeyboardInterrupt


def run(
    monkeypatch: pytest.MonkeyPatch,
    *options: str,
    found: Answer | BaseException | None = None,
    clock: Clock | None = None,
) -> Result:
    clock = clock or Clock()

    def carry_out(order: Order, machine: Machine, progress: Callable[[int], object]) -> Answer:
        ORDERS.append(order)
        clock.now += 0.75
        if isinstance(found, BaseException):
            raise found
        progress(102)
        return found or censuses.answer(unanswered=50)

    monkeypatch.setattr(subject, "carry_out", carry_out)
    monkeypatch.setattr(subject, "time", clock)
    return CliRunner().invoke(natobs, ["census", *options], prog_name="natobs")


def test_tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, found=censuses.answer(size=125, unanswered=50))
    assert (result.exit_code, result.stderr) == (0, "")
    compare(request, "census.txt", result.stdout)


def test_json(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, "--json", "--top", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    compare(request, "census.json", result.stdout)


def schema(value: object) -> object:
    """Names and types, of the first row of each list."""
    if isinstance(value, dict):
        return {name: schema(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [schema(row) for row in value[:1]]
    return type(value).__name__


def documented() -> dict[str, Any]:
    """Give the example in docs/census.md."""
    page = (Path(__file__).parent.parent / "docs/census.md").read_text("utf-8")
    example: dict[str, Any] = json.loads(page.partition("```json\n")[2].partition("```")[0])
    return example


def test_the_documented_example_is_of_the_form_that_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert schema(json.loads(run(monkeypatch, "--json").stdout)) == schema(documented())


@pytest.mark.parametrize(
    ("by", "title"),
    [
        ("host", "Private hosts (2)"),
        ("destination", "Destinations (20)"),
        ("tuple", "SNAT ports"),
        ("tenant", "Tenant"),
    ],
)
def test_one_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by: str, title: str) -> None:
    file = tmp_path / "natobs.toml"
    file.write_text('[nat]\ninside = ["10.0.0.0/16"]\n[census.tenants.web]\nmarks = [3]\n', "utf-8")
    result = run(monkeypatch, "--by", by, "--config", str(file))
    assert result.exit_code == 0
    assert title in result.stdout
    others = {"Private hosts", "Destinations", "SNAT ports", "Tenants"} - {title.partition(" (")[0], f"{title}s"}
    assert not any(other in result.stdout for other in others)
    assert ORDERS[-1].inside == ("10.0.0.0/16",)
    assert [tenant.name for tenant in ORDERS[-1].tenants] == ["web"]


def test_what_is_beyond_the_top_is_other(monkeypatch: pytest.MonkeyPatch) -> None:
    found = censuses.many_hosts(30)
    shown = json.loads(run(monkeypatch, "--json", "--top", "5", found=found).stdout)
    assert len(shown["hosts"]["rows"]) == 5
    assert sum(row["flows"] for row in (*shown["hosts"]["rows"], shown["hosts"]["other"])) == sum(range(31)) + 7
    lines = run(monkeypatch, "--by", "host", "--top", "5", found=found).stdout.splitlines()
    assert lines[-1].split()[:2] == ["other", f"{sum(range(26)) + 7:,}"]


@pytest.mark.parametrize("reason", ["interrupted", "overrun", "timeout", "changed", "malformed"])
def test_an_incomplete_census_is_shown_and_said_to_be_so(monkeypatch: pytest.MonkeyPatch, reason: Reason) -> None:
    result = run(monkeypatch, found=censuses.answer(reason=reason))
    assert result.exit_code == 1
    assert "102 flows" in result.stdout
    assert result.stderr.startswith(f"natobs: the census is incomplete ({reason}): ")
    result = run(monkeypatch, "--json", found=censuses.answer(reason=reason))
    assert result.exit_code == 1
    assert json.loads(result.stdout)["taking"]["reason"] == reason


def test_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    result = run(monkeypatch, "--by", "tenant")
    assert result.exit_code == 2
    assert "[census.tenants.NAME]" in result.stderr
    assert run(monkeypatch, "--by", "colour").exit_code == 2
    assert run(monkeypatch, "--top", "0").exit_code == 2


def test_a_refusal_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run(monkeypatch, found=UnavailableError("permission", "needs CAP_NET_ADMIN"))
    assert isinstance(result.exception, UnavailableError)  # which main() makes into one line and status 1


def test_watching_looks_again_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(looks=3)
    result = run(monkeypatch, "--json", "--watch", clock=clock)
    assert result.exit_code == 0
    assert [json.loads(line)["format"] for line in result.stdout.splitlines()] == [1, 1, 1]
    assert clock.slept == [4.25] * 3
    clock = Clock(looks=3)
    assert run(monkeypatch, "--watch", "0.5", clock=clock).stdout.count("Private hosts") == 3
    assert clock.slept == [0.0] * 3


def test_whoever_interrupts_the_first_look_has_not_seen_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    for options in ((), ("--json", "--watch")):
        result = run(monkeypatch, *options, found=KeyboardInterrupt())
        assert (result.exit_code, result.stdout) == (1, "")


def test_an_order_that_is_none_ends_in_one_line() -> None:
    """The process of the agent, given rubbish."""
    reading, writing = os.pipe()
    try:
        argv = [sys.executable, "-m", "natobs", "census", "--worker", str(reading)]
        done = subprocess.run(argv, input=b"rubbish", capture_output=True, pass_fds=[reading], check=False)
    finally:
        os.close(reading)
        os.close(writing)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith("natobs: census: not an order: ")
    assert callable(work)
    assert flow_worker.Order(()).seconds == 30
