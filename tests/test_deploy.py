"""Units that users copy: their commands exist, and they ask for the rights that README says, and no more."""

import re
import shlex
from pathlib import Path

import click
import pytest

from natobs.cli.main import natobs

ROOT = Path(__file__).parent.parent
UNITS = sorted(ROOT.glob("*/**/*.service"))
_SETTING = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)


def settings(unit: Path, name: str) -> list[str]:
    return [value for key, value in _SETTING.findall(unit.read_text("utf-8")) if key == name]


def commands(unit: Path) -> list[list[str]]:
    lines = [line for name in ("ExecStartPre", "ExecStart", "ExecReload") for line in settings(unit, name)]
    return [words[1:] for words in map(shlex.split, lines) if words[0] == "/usr/bin/env"]


def test_there_are_units_for_agent_prober_and_reflector() -> None:
    assert [unit.name for unit in UNITS] == ["natobs-agent.service", "natobs-probe.service", "natobs-reflector.service"]


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_every_command_is_one_that_natobs_has(unit: Path) -> None:
    found = commands(unit)
    assert found
    for program, command, *options in found:
        assert program == "natobs"
        known = natobs.get_command(click.Context(natobs), command)
        assert known is not None, command
        known.make_parser(click.Context(known)).parse_args(args=[*options])


def test_a_command_that_does_not_exist_is_noticed() -> None:
    known = natobs.get_command(click.Context(natobs), "agent")
    assert known is not None
    with pytest.raises(click.NoSuchOption):
        known.make_parser(click.Context(known)).parse_args(args=["--no-such-option"])


def test_the_agent_has_the_capabilities_that_the_readme_names() -> None:
    (unit,) = [unit for unit in UNITS if unit.name == "natobs-agent.service"]
    table = (ROOT / "README.md").read_text("utf-8").partition("| to read | the agent needs |")[2].partition("\n\n")[0]
    (bounding,) = settings(unit, "CapabilityBoundingSet")
    assert set(bounding.split()) == set(re.findall(r"CAP_\w+", table))
    assert settings(unit, "NoNewPrivileges") == ["yes"]
