"""Commands that build labs leave nothing on the machine, however they end: not even by SIGKILL."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from natobs.cli.lab import command
from tests.lab import people
from tests.lab.leftovers import MARK, marked, nothing_left, snapshot
from tests.loopback import eventually

pytestmark = pytest.mark.lab

LAB = ("-m", "natobs", "lab")
RUNS = {
    "demo": ("demo", "--seconds", "60"),
    "selftest": ("selftest", "agent-killed"),
    "gameday": ("gameday", "--any-load", "return-blocked"),
    "soak": ("soak", "--any-load", "--minutes", "1"),
}
"""Commands that run a lab and end it, with what makes them short; those that there are."""
ENDING = [RUNS[name] for name in RUNS if name in command.commands]
STACK = ("up", "--stack", "--name", "left", "--time-scale", "15")
AT_WORK = 8
"""So many processes of a command have begun something that could be left."""


@pytest.fixture(params=[people.this_user, people.ordinary_user])
def person(request: pytest.FixtureRequest) -> Iterator[people.Person]:
    with people.as_user(request.param) as who:
        who.environment["PATH"] = f"{who.environment['PATH']}:{os.environ['PATH']}"
        yield who


def test_a_stack_that_is_ended_leaves_nothing(person: people.Person) -> None:
    with nothing_left(person) as mark:
        up = person.run(*LAB, *STACK, timeout=90)
        assert up.returncode == 0, up.stderr
        assert len(marked(mark)) > AT_WORK
        assert person.run(*LAB, "down", "--name", "left").returncode == 0


@pytest.mark.parametrize("after", [0.0, 1.5])
def test_kill_9_while_a_stack_is_being_started_leaves_nothing(person: people.Person, after: float) -> None:
    with nothing_left(person) as mark:
        up = person.popen(*LAB, *STACK)
        assert eventually(lambda: len(marked(mark)) >= AT_WORK, 60)
        time.sleep(after)
        up.kill()
        up.wait(10)
        assert person.run(*LAB, "down", "--name", "left").returncode == 0


def test_a_demo_that_ends_by_itself_leaves_nothing(person: people.Person) -> None:
    with nothing_left(person):
        assert person.run(*LAB, "demo", "--seconds", "2", timeout=90).returncode == 0


@pytest.mark.parametrize("run", ENDING, ids=lambda run: run[0])
def test_kill_9_of_a_run_leaves_nothing(person: people.Person, run: tuple[str, ...]) -> None:
    with nothing_left(person) as mark:
        command = person.popen(*LAB, *run)
        assert eventually(lambda: len(marked(mark)) >= AT_WORK, 60)
        time.sleep(1)
        assert command.poll() is None
        command.kill()
        command.wait(10)


def test_a_process_and_a_directory_that_are_left_are_found(tmp_path: Path) -> None:
    with people.as_user(people.this_user) as person:
        person.environment[MARK] = "planted"
        before = snapshot("planted")
        person.popen("-c", "import os, time; os.setsid(); time.sleep(60)")
        directory = Path("/tmp/natobs-planted")  # noqa: S108 - that is where to look
        directory.mkdir()
        try:
            assert eventually(lambda: set(before.changes(snapshot("planted"))) == {"processes", "files"})
        finally:
            directory.rmdir()


@pytest.mark.parametrize("kind", ["namespaces", "interfaces", "queues", "tables", "sysctls", "mounts"])
def test_whatever_else_is_left_is_found(kind: str) -> None:
    before = snapshot()
    planted = frozenset({"planted"})
    assert before.changes(replace(before, **{kind: getattr(before, kind) | planted})) == {kind: ["planted"]}


@pytest.mark.parametrize("kind", ["queues", "tables", "sysctls"])
def test_whatever_is_no_longer_as_it_was_is_found(kind: str) -> None:
    after = snapshot()
    planted = frozenset({"planted"})
    assert replace(after, **{kind: getattr(after, kind) | planted}).changes(after) == {kind: ["planted"]}


def test_a_look_sees_the_machine() -> None:
    found = snapshot()
    assert "lo" in found.interfaces
    assert len(found.sysctls) > 100
    assert found.queues
