"""natobs' own processes: killed, stopped and restarted."""

from typing import ClassVar

from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.scene import Scene

_AWAY_SCRAPES = 6
AGENT, PROBER, REFLECTOR = "agent nat1", "prober nat1-client1", "reflector nat1"
"""Names of the parts of a stack with one NAT."""


def _down(instance: str) -> Report:
    return Report("scrapes without an answer (up 0)", f'sum_over_time((1 - up{{instance="{instance}"}})[$window:1s])')


def _anew(metric: str, instance: str) -> Report:
    return Report(f"{metric} began anew", f'max(resets({metric}{{instance="{instance}"}}[$window]))', most=1)


_FAILED = Report("probes failed", "increase(natobs_probe_failures_total[$window])")
_AGENT_DOWN, _AGENT_ANEW = _down("nat1"), _anew("natobs_agent_cpu_seconds_total", "nat1")
_PROBER_DOWN = _down("nat1-client1")
_PROBER_ANEW = _anew("natobs_probe_attempts_total", "nat1-client1")
_REFLECTOR_DOWN = _down("nat1-reflector")
_INNOCENT = Report("probes failed", "increase(natobs_probe_failures_total[$window])", least=0, most=0)
"""natobs must not blame the NAT for what befell natobs."""


class _Killed(SelfFault):
    part: ClassVar[str]
    title = "killed"

    def act(self, scene: Scene) -> list[str]:
        scene.kill(self.part)
        scene.wait(_AWAY_SCRAPES / 2)
        scene.start(self.part)
        return []


class _Stopped(SelfFault):
    part: ClassVar[str]

    def act(self, scene: Scene) -> list[str]:
        with scene.frozen(self.part):
            scene.wait(_AWAY_SCRAPES)
        return []


class _Restarted(SelfFault):
    part: ClassVar[str]

    def act(self, scene: Scene) -> list[str]:
        scene.restart(self.part)
        return []


class AgentKilled(_Killed):
    """SIGKILL, and no agent for three scrapes."""

    name, part = "agent-killed", AGENT
    title = "agent killed (-9)"
    sentence = "The agent is killed, and started again after three scrapes."
    lost = "events and peaks while it was away"
    reports = (_AGENT_DOWN, _AGENT_ANEW, _INNOCENT)
    quick = True


class AgentStopped(_Stopped):
    """SIGSTOP, then SIGCONT."""

    name, part = "agent-stopped", AGENT
    title = "agent stopped, continued"
    sentence = "The agent is stopped for six scrapes, and goes on."
    lost = "scrapes and peaks meanwhile"
    reports = (_AGENT_DOWN, _INNOCENT)


class AgentRestarted(_Restarted):
    """SIGTERM, and the next one at once."""

    name, part = "agent-restarted", AGENT
    title = "agent restarted"
    sentence = "The agent is ended in order and started again at once."
    lost = "events in between"
    reports = (_AGENT_ANEW, _INNOCENT)


class ProberKilled(_Killed):
    """SIGKILL, and no prober for three scrapes."""

    name, part = "prober-killed", PROBER
    title = "prober killed (-9)"
    sentence = "A prober is killed, and started again after three scrapes."
    lost = "attempts while it was away"
    reports = (_PROBER_DOWN, _PROBER_ANEW, _INNOCENT)


class ProberStopped(_Stopped):
    """SIGSTOP, then SIGCONT: answers came while it stood still."""

    name, part = "prober-stopped", PROBER
    title = "prober stopped, continued"
    sentence = "A prober is stopped for six scrapes, with attempts under way, and goes on."
    lost = "attempts that were due meanwhile"
    reports = (
        _PROBER_DOWN,
        Report("beats skipped", 'increase(natobs_probe_beats_skipped_total{instance="nat1-client1"}[$window])'),
        _INNOCENT,
    )
    quick = True


class ProberRestarted(_Restarted):
    """SIGTERM, and the next one at once."""

    name, part = "prober-restarted", PROBER
    title = "prober restarted"
    sentence = "A prober is ended in order and started again at once."
    lost = "attempts in between"
    reports = (_PROBER_ANEW, _INNOCENT)


class ReflectorKilled(_Killed):
    """SIGKILL, and no reflector for three scrapes."""

    name, part = "reflector-killed", REFLECTOR
    title = "reflector killed (-9)"
    sentence = "The reflector is killed, and started again after three scrapes."
    lost = "answers while it was away"
    reports = (_REFLECTOR_DOWN, _FAILED)


class ReflectorStopped(_Stopped):
    """SIGSTOP, then SIGCONT."""

    name, part = "reflector-stopped", REFLECTOR
    title = "reflector stopped, continued"
    sentence = "The reflector is stopped for six scrapes, and goes on."
    lost = "answers meanwhile"
    reports = (_REFLECTOR_DOWN, _FAILED)


class ReflectorRestarted(_Restarted):
    """SIGTERM, and the next one at once."""

    name, part = "reflector-restarted", REFLECTOR
    title = "reflector restarted"
    sentence = "The reflector is ended in order and started again at once."
    lost = "answers in between"
    reports = (_anew("natobs_reflector_requests_total", "nat1-reflector"),)
