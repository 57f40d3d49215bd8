"""The wall clock stepped, as far as that can be shown without setting the machine's.

Agent and prober run behind :mod:`natobs.lab.stepped`, whose docstring says what
is stepped and what is not.
"""

import time

from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.processes import AGENT, PROBER
from natobs.lab.selffaults.scene import Scene
from natobs.lab.stack.plan import AGENT_PORT
from natobs.lab.traffic import fetch

_STEPS = (3600, 0, -3600, 0)
"""Seconds ahead of the true time, one after the other: an hour forward, back, an hour back, forward."""
_SCRAPES = 4
_NEAR_SECONDS = 60


class ClockStepped(SelfFault):
    """An hour forward and back, and an hour back and forward."""

    name = "clock-stepped"
    title = "clock stepped by an hour"
    sentence = "The wall clock that agent and prober read goes an hour forward, back, an hour back, and forward."
    lost = "nothing; round trips that were under way are measured by clocks that cannot be set"
    reports = (
        Report("round trips rejected", "increase(natobs_probe_clock_rejects_total[$window])", least=0),
        Report("probes failed", "increase(natobs_probe_failures_total[$window])", least=0, most=0),
    )

    def act(self, scene: Scene) -> list[str]:
        clock = scene.stack.write("clock", "0")
        plain = {name: scene.part(name).argv for name in (AGENT, PROBER)}
        problems: list[str] = []
        for name, argv in plain.items():
            python, _m, module, *arguments = argv
            scene.part(name).argv = [python, "-m", "natobs.lab.stepped", clock, module, *arguments]
            scene.restart(name)
        try:
            scene.await_well()
            for seconds in _STEPS:
                scene.stack.write("clock", str(seconds))
                scene.wait(_SCRAPES)
                problems += _problems(scene, seconds)
        finally:
            for name, argv in plain.items():
                scene.part(name).argv = argv
                scene.restart(name)
        return problems


def _problems(scene: Scene, seconds: int) -> list[str]:
    """What does not go on as before; the last word is that the step was seen at all."""
    window = f"{(_SCRAPES - 1) * scene.scrape_seconds * 1000:.0f}ms"
    found = []
    if scene.sum(f"min(min_over_time(up[{window}]))") != 1:
        found.append(f"a scrape without an answer after the clock went to {seconds:+d} s")
    if not scene.sum(f"sum(increase(natobs_probe_success_total[{window}]))"):
        found.append(f"no probe succeeded after the clock went to {seconds:+d} s")
    alive = fetch(scene.nat, f"http://127.0.0.1:{AGENT_PORT}/healthz")  # says: alive at SECONDS
    if abs(float(alive.split()[-1]) - time.time() - seconds) > _NEAR_SECONDS:
        found.append(f"the agent did not see its clock at {seconds:+d} s: {alive.strip()}")
    return found
