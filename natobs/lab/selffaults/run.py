"""Runs faults of natobs itself, one after the other, in one stack, and judges each by the same rules.

Knows the order: all is well, the fault, all is well again, the verdict. Refuses
to know any fault.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from natobs.errors import LabError
from natobs.lab import launch, topology
from natobs.lab.lab import Lab
from natobs.lab.selffaults import verdict
from natobs.lab.selffaults.base import Outcome, Report, SelfFault
from natobs.lab.selffaults.disk import make_small
from natobs.lab.selffaults.scene import COUNTERS, Scene, is_natobs
from natobs.lab.stack.plan import StackPlan, Target, Timing, cluster
from natobs.lab.stack.stack import Inputs, Stack, require

DEFAULT_SCALE = 15.0
_REFLECTOR_PORT = 9652
_SETTLE_SCRAPES = 3
_WHOLE = 10


def plan(name: str, scale: float = DEFAULT_SCALE) -> StackPlan:
    """Give the stack that the faults happen in: one NAT, and its reflector scraped too."""
    made = cluster(name, topology.two_armed, timing=Timing(scale))
    labels = (("nat_cluster", made.cluster), ("nat", "nat1"), ("instance", "nat1-reflector"))
    reflector = Target(job="natobs-reflector", world=0, host="internet", port=_REFLECTOR_PORT, labels=labels)
    return replace(made, extra=(reflector,))


@contextmanager
def standing(made: StackPlan) -> Iterator[Stack]:
    """Run a stack in which every fault can happen while the block runs.

    Raises:
        LabError: a program is missing, or a part did not become ready.
    """
    require()
    with Lab(*made.topologies) as lab:
        make_small(lab)
        stack = Stack(made, lab, Inputs())
        stack.start()
        stack.await_scrapes(_SETTLE_SCRAPES)
        yield stack


def run(fault: SelfFault, stack: Stack) -> Outcome:
    """Bring a fault about, wait until all is well again, and judge.

    Raises:
        LabError: the stack was not well before.
    """
    launch.require(*fault.programs)
    Scene(stack).await_well()
    scene = Scene(stack)
    try:
        problems = fault.act(scene)
        scene.await_well()
        scene.wait(_SETTLE_SCRAPES)
        return _judge(fault, scene, problems)
    except LabError as error:
        return _outcome(fault, scene, problems=[str(error), *_crashes(scene)])


def _judge(fault: SelfFault, scene: Scene, problems: list[str]) -> Outcome:
    told = [(report, scene.sum(report.expression)) for report in fault.reports]
    restarted = scene.instances()
    resets = verdict.falls(scene.ask(f"{COUNTERS}[$window]"))
    memory = scene.memory()
    outcome = _outcome(
        fault,
        scene,
        problems=[
            *problems,
            *(_wrong(report, value) for report, value in told if not report.least <= value <= report.most),
            *verdict.backwards(resets, restarted),
            *verdict.grown(memory, fault.peak_megabytes, fault.rest_megabytes),
            *_crashes(scene),
        ],
    )
    said = (f"{report.words}: {_number(value)}" for report, value in told)
    return replace(outcome, said=(*scene.notes, *said), resets=len(resets), memory=memory)


def _crashes(scene: Scene) -> list[str]:
    parts = filter(is_natobs, scene.stack.parts)
    return [problem for name in parts for problem in verdict.crashed(name, scene.said(name))]


def _outcome(fault: SelfFault, scene: Scene, *, problems: list[str]) -> Outcome:
    return Outcome(
        fault=fault.name,
        title=fault.title,
        seconds=time.time() - scene.began,
        lost=fault.lost,
        said=(),
        restarts=sum(scene.restarts.values()),
        resets=0,
        memory={},
        problems=tuple(problems),
    )


def _wrong(report: Report, value: float) -> str:
    if value < report.least:
        return f"{report.words}: {_number(value)}, and {_number(report.least)} at least were expected"
    return f"{report.words}: {_number(value)}, and {_number(report.most)} at most were expected"


def _number(value: float) -> str:
    """As a person writes it; what increased by counting is whole but for Prometheus' guess at the edges."""
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.2g}"
