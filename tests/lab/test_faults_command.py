"""Faults by hand: one process injects, another heals, and nothing outlives the lab; as root and as an ordinary user."""

import json
from collections.abc import Iterator

import psutil
import pytest

from tests.lab import people
from tests.loopback import eventually

pytestmark = pytest.mark.lab

LAB = ("-m", "natobs", "lab")
NAME = ("--name", "by-hand")


@pytest.fixture(params=[people.this_user, people.ordinary_user])
def person(request: pytest.FixtureRequest) -> Iterator[people.Person]:
    with people.as_user(request.param) as who:
        up = who.run(*LAB, "up", *NAME, "--topology", "one-armed")
        assert up.returncode == 0, up.stderr
        try:
            yield who
        finally:
            assert who.run(*LAB, "down", *NAME).returncode == 0


def fault(person: people.Person, *words: str) -> tuple[int, str]:
    done = person.run(*LAB, "fault", *words)
    return done.returncode, done.stdout + done.stderr


def asked(person: people.Person) -> int:
    """The status of curl: 0 where a server answers."""
    ask = ("client1", "--", "curl", "-sfm1", "http://198.51.100.1/")
    return person.run(*LAB, "exec", *NAME, *ask).returncode


def programs(person: people.Person) -> set[str]:
    (shown,) = json.loads(person.run(*LAB, "status", "--json").stdout)
    return {process["command"] for host in shown["hosts"] for process in host["processes"]}


def test_one_process_injects_and_another_heals(person: people.Person) -> None:
    before = programs(person)
    assert eventually(lambda: asked(person) == 0)
    status, said = fault(person, "inject", *NAME, "return-blocked")
    assert (status, said.splitlines()[1]) == (0, "heal:  natobs lab fault heal --name by-hand return-blocked")
    assert said.startswith("return-blocked is injected in lab by-hand: A new rule on the NAT drops")
    assert asked(person) == 28  # a time-out
    assert fault(person, "inject", *NAME, "cpu-neighbour")[0] in {0, 1}  # 1 where the machine is busy already
    assert fault(person, "inject", *NAME, "carrier-flap")[0] == 0
    (shown,) = json.loads(person.run(*LAB, "status", "--json").stdout)
    assert [found["name"] for found in shown["faults"]][:1] == ["return-blocked"]
    assert "  broken        carrier-flap since " in person.run(*LAB, "status").stdout
    assert len(programs(person)) > len(before)
    assert fault(person, "heal", *NAME, "return-blocked") == (0, "return-blocked is healed in lab by-hand\n")
    assert "carrier-flap is healed in lab by-hand\n" in fault(person, "heal", *NAME, "--all")[1]
    assert eventually(lambda: programs(person) == before)
    assert eventually(lambda: asked(person) == 0)
    assert fault(person, "heal", *NAME, "--all") == (0, "nothing is injected in lab by-hand\n")


def test_what_a_fault_runs_ends_with_the_lab(person: people.Person) -> None:
    assert fault(person, "inject", *NAME, "nic-drops")[0] == 0
    (shown,) = json.loads(person.run(*LAB, "status", "--json").stdout)
    members = people.family_of(shown["pid"])
    assert any("natobs.lab.load" in " ".join(process.cmdline()) for process in members)
    psutil.Process(shown["pid"]).kill()
    assert eventually(lambda: people.living(members) == [])
    status, said = fault(person, "heal", *NAME, "nic-drops")
    assert status == 1
    assert "no lab 'by-hand' is up" in said


def test_wrong_words_are_answered(person: people.Person) -> None:
    status, said = fault(person, "inject", *NAME, "fire")
    assert status == 1
    assert "no fault 'fire'; there are table-evicting, " in said
    status, said = fault(person, "heal", *NAME, "dns-down")
    assert status == 1
    assert "dns-down is not injected in lab by-hand; injected: nothing" in said
    assert fault(person, "heal", *NAME)[0] == 2
    assert fault(person, "heal", *NAME, "--all", "dns-down")[0] == 2
