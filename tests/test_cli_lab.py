"""The lab's command line, as far as it needs no lab."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from natobs.cli.lab import command


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_every_command_has_an_example() -> None:
    assert set(command.commands) == {"up", "down", "status", "exec", "demo", "fault", "gameday", "selftest", "soak"}
    for name in command.commands:
        done = CliRunner().invoke(command, [name, "--help"])
        assert done.exit_code == 0
        assert f"Example: natobs lab {name}" in done.output


def test_nothing_is_up_at_first() -> None:
    assert CliRunner().invoke(command, ["status"]).output == "no lab is up\n"
    assert CliRunner().invoke(command, ["status", "--json"]).output == "[]\n"
    assert CliRunner().invoke(command, ["down"]).output == "lab default is not up\n"


@pytest.mark.parametrize(
    "words",
    [
        ["up", "--nats", "2"],
        ["up", "--time-scale", "5"],
        ["up", "--stack", "--time-scale", "0"],
        ["up", "--backend", "pf"],
        ["up", "--topology", "ring"],
        ["exec", "nat"],
        ["demo", "--port", "0"],
    ],
)
def test_wrong_usage_is_2(words: list[str]) -> None:
    done = CliRunner().invoke(command, words)
    assert done.exit_code == 2
    assert isinstance(command, click.Group)
