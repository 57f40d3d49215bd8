"""natobs survives what befalls it: one fault of each kind here, all of them by ``make selffaults``."""

from collections.abc import Iterator

import pytest

from natobs.lab.selffaults import run
from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.processes import AGENT, PROBER
from natobs.lab.selffaults.registry import ALL
from natobs.lab.selffaults.scene import Scene
from natobs.lab.stack.stack import Stack

pytestmark = pytest.mark.lab

QUICK = [fault for fault in ALL if fault.quick]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with run.standing(run.plan("selfquick")) as made:
        yield made


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
def test_natobs_survives(stack: Stack, fault: type[SelfFault]) -> None:
    outcome = run.run(fault(), stack)
    assert outcome.problems == ()
    assert set(outcome.memory) == {"agent nat1", "prober nat1-client1", "prober nat1-client3", "reflector nat1"}
    assert outcome.said


class Planted(SelfFault):
    """Something that natobs does not survive, or does not say."""

    name = "planted"
    title = "planted"
    sentence = "Planted."
    lost = "everything"
    reports = (Report("times the moon fell", "vector(0)"), Report("times it was there", "vector(2)", least=0, most=1))

    def act(self, scene: Scene) -> list[str]:
        scene.part(PROBER).restart()  # and nobody is told
        return ["something was wrong"]


class Dead(Planted):
    """An agent that stays away."""

    def act(self, scene: Scene) -> list[str]:
        scene.kill(AGENT)
        return []


def test_what_is_wrong_is_found(stack: Stack) -> None:
    problems = "\n".join(run.run(Planted(), stack).problems)
    assert "something was wrong" in problems
    assert "times the moon fell: 0, and 1 at least were expected" in problems
    assert "times it was there: 2, and 1 at most were expected" in problems
    assert "natobs_probe_attempts_total of instance=nat1-client1" in problems
    assert "fell 1 times, 0 were expected" in problems


def test_an_agent_that_stays_away_is_found(stack: Stack) -> None:
    try:
        outcome = run.run(Dead(), stack)
    finally:
        stack.parts[AGENT].start()
    assert not outcome.good
    assert "agent nat1 ended with status -9" in outcome.problems[0]
