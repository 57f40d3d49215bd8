"""``natobs event``: what is recorded, listed and refused."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from natobs.cli.main import natobs
from natobs.cli.parameters import local
from natobs.errors import OperationsError
from natobs.operations.file import JournalFile


def event(state: Path, *words: str) -> Result:
    return CliRunner().invoke(natobs, ["event", *words, "--state", str(state)], prog_name="natobs")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "operations.json"


def test_what_is_recorded_is_listed_by_time(state: Path) -> None:
    hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="seconds")
    result = event(state, "record", "scale_out", "--reason", "load", "--by", "autoscaler")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("recorded: scale_out load at 20")
    words = ["--reason", "new_image", "--at", hour_ago, "--note", "image 7", "--by", "pipeline"]
    assert event(state, "record", "deploy", *words).exit_code == 0

    lines = event(state, "list").stdout.splitlines()
    assert [line.split()[2:] for line in lines[1:]] == [
        ["deploy", "new_image", "pipeline", "image", "7"],
        ["scale_out", "load", "autoscaler"],
    ]
    assert len(event(state, "list", "--since", "30m").stdout.splitlines()) == 2
    rows = json.loads(event(state, "list", "--json").stdout)
    assert [(row["kind"], row["reason"], row["note"], row["by"]) for row in rows] == [
        ("deploy", "new_image", "image 7", "pipeline"),
        ("scale_out", "load", "", "autoscaler"),
    ]
    assert rows[0]["time"] == datetime.fromisoformat(hour_ago).timestamp()
    assert rows[1]["time"] == pytest.approx(time.time(), abs=60)


def test_the_user_is_named_where_nobody_else_is(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "operator")
    event(state, "record", "config", "--reason", "rules")
    monkeypatch.setenv("SUDO_USER", "x" * 300)  # no name that the journal would take
    event(state, "record", "config", "--reason", "rules")
    assert [one.by for one in JournalFile(state).read().events] == ["operator", ""]


def test_nothing_to_list(state: Path) -> None:
    assert event(state, "list").stdout == "no events\n"
    assert json.loads(event(state, "list", "--json").stdout) == []
    event(state, "record", "other", "--reason", "x", "--at", "2026-01-01T00:00:00Z")
    assert event(state, "list", "--since", "1m").stdout == "no events of late; 1 older ones, --since 365d shows them\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explode", "--reason", "x"], "'explode' is not one of"),
        (["deploy"], "--reason"),
        (["deploy", "--reason", "New image!"], "did you mean new_image? --note takes whole sentences"),
        (["deploy", "--reason", "é"], "is no word of the form"),
        (["deploy", "--reason", "x", "--at", "tomorrow"], "is no time such as"),
        (["deploy", "--reason", "x", "--at", "2999-01-01T00:00:00Z"], "has not come yet"),
        (["deploy", "--reason", "x", "--at", "99999999999999"], "is no time such as"),
        (["deploy", "--reason", "x", "--note", "a\nb"], "one line"),
        (["deploy", "--reason", "x", "--by", "x" * 201], "at most 200"),
    ],
)
def test_wrong_usage_records_nothing(state: Path, words: list[str], said: str) -> None:
    result = event(state, "record", *words)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())
    assert not state.exists()


@pytest.mark.parametrize(
    "text", ["1767225600", "1767225600.5", "2026-01-01T00:00:00Z", "2026-01-01 01:00:00+01:00", "20260101T000000Z"]
)
def test_moments(state: Path, text: str) -> None:
    assert event(state, "record", "other", "--reason", "x", "--at", text).exit_code == 0
    assert int(JournalFile(state).read().events[0].time) == 1_767_225_600


def test_a_moment_as_it_is_shown_is_one_that_is_taken(state: Path) -> None:
    event(state, "record", "other", "--reason", "x", "--at", local(1_767_225_600.0))
    assert JournalFile(state).read().events[0].time == 1_767_225_600.0


def test_a_damaged_file_is_moved_aside_and_the_event_is_recorded(state: Path) -> None:
    state.write_text("{", "utf-8")
    assert isinstance(event(state, "list").exception, OperationsError)
    result = event(state, "record", "other", "--reason", "x")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"natobs: {state} was damaged (")
    assert f"is now {state}.damaged; a new one was begun" in result.stderr
    assert len(JournalFile(state).read().events) == 1


def test_the_agent_s_configuration_names_the_file(tmp_path: Path) -> None:
    config, state = tmp_path / "natobs.toml", tmp_path / "elsewhere.json"
    config.write_text(f'[operations]\nstate_file = "{state}"\n', "utf-8")
    words = ["event", "record", "other", "--reason", "x", "--config", str(config)]
    assert CliRunner().invoke(natobs, words).exit_code == 0
    assert state.exists()
    config.write_text('[operations]\nstate_file = ""\n', "utf-8")
    result = CliRunner().invoke(natobs, words)
    assert result.exit_code == 2
    assert "name a file with --state" in result.stderr
