"""A game day: a fault reaches the pager as it must; an alert that cannot come is missed; noise tells nobody.

Two faults here, quickly; all of them take an hour (`make gameday`).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from natobs.lab import sweep, topology
from natobs.lab.faults.expected import EXPECTED, Expectation
from natobs.lab.faults.registry import find
from natobs.lab.gameday import judge
from natobs.lab.gameday.day import Play
from natobs.lab.gameday.setting import Setting
from tests.lab import people

pytestmark = pytest.mark.lab

SCALE = 30


def test_the_command_plays_a_fault_and_reports_it(tmp_path: Path) -> None:
    html = tmp_path / "day.html"
    options = ("--time-scale", str(SCALE), "--any-load", "--json", "--html", str(html))
    done = subprocess.run(
        [sys.executable, "-m", "natobs", "lab", "gameday", "no-default-route", *options],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (outcome,) = json.loads(done.stdout)
    (expected,) = outcome["expected"]
    assert expected["alert"] == "NatDefaultRouteMissing"
    assert 0 < expected["metric"] <= expected["firing"] <= expected["notified"] < outcome["limit"]
    assert expected["notifications"] >= 1
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
    setting = Setting(topology.two_armed, scale=SCALE, any_load=True)
    monkeypatch.setattr(Setting, "limit", lambda self, expectation: 25.0)
    said: list[str] = []
    outcome = Play(find("address-changed"), setting, said.append).outcome()
    assert not outcome.passed
    assert [one.alert for one in outcome.missing] == ["NatTableFull"]
    assert "NatPublicAddressUnexpected" in {one.alert for one in outcome.false}
    assert any("NatTableFull did NOT arrive" in line for line in said)


def test_kill_9_in_the_middle_of_a_game_day_leaves_nothing() -> None:
    before = people.links(), people.mounts()
    day = subprocess.Popen(
        [sys.executable, "-m", "natobs", "lab", "gameday", "carrier-flap", "--any-load"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert day.stderr is not None
    for line in day.stderr:
        if "healthy for" in line:
            break
    members = [process for process in people.family_of(day.pid) if process.pid != day.pid]
    assert len(members) > 10  # agents, probers, users, Prometheus, Alertmanager
    day.kill()
    day.communicate(timeout=10)
    assert people.eventually(lambda: people.living(members) == [])
    assert (people.links(), people.mounts()) == before
    assert sweep.strays() == []


def test_a_soak_hears_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "natobs", "lab", "soak", "--minutes", "0.7", "--any-load", "--json"],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, []), done.stderr
    assert done.stderr.count("told") >= 2


def test_actions_that_wake_or_bother_somebody_are_those_of_the_receivers() -> None:
    configuration = Setting(topology.two_armed).inputs().alertmanager
    for action in judge.PEOPLE:
        assert f'natobs_action="{action}"' in configuration
