"""A game day: a fault reaches the pager as it must; an alert that cannot come is missed; noise tells nobody.

One fault here, with little time for health before and after: windows of rules are
not full of it, as on a real day. All of them take an hour (`make gameday`).
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner

from natobs.cli.lab import command
from natobs.lab import sweep, topology
from natobs.lab.faults.expected import EXPECTED, Expectation
from natobs.lab.faults.registry import find
from natobs.lab.gameday import judge, soak
from natobs.lab.gameday.day import Play
from natobs.lab.gameday.setting import Setting
from tests.lab import people
from tests.loopback import eventually

pytestmark = [pytest.mark.lab, pytest.mark.alone]

SCALE = 30
_SHORTLY = """
import sys
from natobs.lab.gameday.setting import Setting
Setting.baseline = Setting.linger = property(lambda self: 3.0)
from natobs.cli.main import main
sys.argv[0] = "natobs"
main()
"""
"""The command without its time of health."""


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Setting, "baseline", property(lambda self: 4.0))
    monkeypatch.setattr(Setting, "linger", property(lambda self: 2.0))


def test_the_command_plays_a_fault_and_reports_it(tmp_path: Path) -> None:
    html = tmp_path / "day.html"
    options = ("--time-scale", str(SCALE), "--any-load", "--json", "--html", str(html))
    done = CliRunner().invoke(command, ["gameday", "no-default-route", *options])
    assert done.exit_code == 0, done.output
    (outcome,) = json.loads(done.stdout)
    (expected,) = outcome["expected"]
    assert expected["alert"] == "NatDefaultRouteMissing"
    assert 0 < expected["metric"] <= expected["firing"] <= expected["notified"] < outcome["limit"]
    assert expected["begins"] == 1
    assert (outcome["false"], outcome["unresolved"]) == ([], [])
    assert outcome["evidence"]["default_routes"] == [2.0, 0.0]
    families = {trace["labels"]["family"] for trace in outcome["traces"]}
    assert families == {"ipv4", "ipv6"}
    assert "no-default-route: NatDefaultRouteMissing arrived after" in done.stderr
    assert "<svg" in html.read_text("utf-8")


def test_an_alert_that_does_not_come_is_missing_and_what_comes_instead_is_false(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(EXPECTED, "address-changed", (Expectation("NatTableFull", "page"),))
    monkeypatch.setattr(Setting, "limit", lambda self, expectation: 12.0)
    monkeypatch.setattr(Setting, "memory", lambda self, expectation: 1.0)
    setting = Setting(topology.two_armed, scale=SCALE, any_load=True)
    said: list[str] = []
    outcome = Play(find("address-changed"), setting, said.append).outcome()
    assert not outcome.passed
    assert [one.alert for one in outcome.missing] == ["NatTableFull"]
    assert "NatPublicAddressUnexpected" in {one.alert for one in outcome.false}
    assert any("NatTableFull did NOT arrive" in line for line in said)


def begun(word: str, *options: str) -> tuple["subprocess.Popen[str]", list[psutil.Process]]:
    """A game day of two faults that has said a word, and all that runs for it."""
    day = subprocess.Popen(
        [sys.executable, "-c", _SHORTLY, "lab", "gameday", "carrier-flap", "nic-drops", "--any-load", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert day.stderr is not None
    for line in day.stderr:
        if word in line:
            break
    members = [process for process in people.family_of(day.pid) if process.pid != day.pid]
    assert len(members) > 10  # agents, probers, users, Prometheus, Alertmanager
    return day, members


@pytest.mark.parametrize(
    ("number", "word", "options"),
    [
        (signal.SIGKILL, "carrier-flap: injected", ()),
        (signal.SIGKILL, "healthy for", ("--jobs", "2")),
        (signal.SIGINT, "healthy for", ("--jobs", "2")),
    ],
    ids=["killed in the middle of a fault", "killed, two at a time", "interrupted, two at a time"],
)
def test_a_game_day_that_is_ended_leaves_nothing(number: int, word: str, options: tuple[str, ...]) -> None:
    before = people.links(), people.mounts()
    day, members = begun(word, *options)
    day.send_signal(number)
    day.communicate(timeout=40)
    assert eventually(lambda: people.living(members) == [])
    assert (people.links(), people.mounts()) == before
    assert sweep.strays() == []


def test_a_soak_hears_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "_NOISE_SECONDS", 3.0)
    done = CliRunner().invoke(command, ["soak", "--minutes", "0.2", "--any-load", "--json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, []), done.stderr
    assert done.stderr.count("told") >= 2


def test_actions_that_wake_or_bother_somebody_are_those_of_the_receivers() -> None:
    configuration = Setting(topology.two_armed).inputs().alertmanager
    for action in judge.PEOPLE:
        assert f'natobs_action="{action}"' in configuration
