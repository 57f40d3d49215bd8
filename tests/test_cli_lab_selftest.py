import json

import pytest
from click.testing import CliRunner

from natobs.cli import lab_selftest
from natobs.cli.lab import command
from natobs.lab.selffaults.base import Outcome
from natobs.lab.selffaults.memory import Resident
from natobs.lab.selffaults.registry import ALL


def outcome(*problems: str) -> Outcome:
    memory = {
        "agent nat1": Resident(37_000_000, 49_100_000, 48_200_000),
        "prober nat1-client1": Resident(40_000_000, 40_000_000, 40_000_000),
    }
    return Outcome(
        fault="disk-full",
        title="disk full",
        seconds=9.0,
        lost="the event",
        said=("natobs event record: status 1",),
        restarts=1,
        resets=94,
        memory=memory,
        problems=problems,
    )


def run(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(command, ["selftest", *arguments])
    return done.exit_code, done.output


def test_the_faults_are_listed() -> None:
    status, said = run("--list")
    assert status == 0
    assert [line.split()[0] for line in said.splitlines()] == [fault.name for fault in ALL]
    status, said = run("--list", "--quick", "--json")
    assert [fault["name"] for fault in json.loads(said)] == [fault.name for fault in ALL if fault.quick]


@pytest.mark.parametrize(
    ("arguments", "said"), [(("--quick", "disk-full"), "or say --quick"), (("--time-scale", "0"), "")]
)
def test_a_command_line_that_makes_no_sense(arguments: tuple[str, ...], said: str) -> None:
    status, printed = run(*arguments)
    assert status == 2
    assert said in printed


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("problems", "status"), [((), 0), (("agent nat1 ended with status -9",), 1)])
def test_how_it_turned_out(
    monkeypatch: pytest.MonkeyPatch, problems: tuple[str, ...], status: int, *, as_json: bool
) -> None:
    monkeypatch.setattr(lab_selftest, "_run", lambda faults, scale: [outcome(*problems)])
    found, said = run("disk-full", *(["--json"] if as_json else []))
    assert found == status
    if as_json:
        (told,) = json.loads(said)
        assert (told["good"], told["problems"]) == (not problems, list(problems))
        assert told["memory"]["agent nat1"] == {"before": 37_000_000, "peak": 49_100_000, "after": 48_200_000}
        return
    assert "agent 37.0, 49.1, 48.2" in said
    assert all(f"BAD disk-full: {problem}" in said for problem in problems)
    assert said.endswith(f"{1 - len(problems)} of 1 faults did natobs no harm\n")
