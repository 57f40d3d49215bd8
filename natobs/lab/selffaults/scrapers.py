"""The port that is scraped, flooded, on the NAT's own loopback."""

import subprocess
from typing import ClassVar

from natobs.errors import LabError
from natobs.lab.relay import LOOPBACK
from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.scene import Scene
from natobs.lab.stack.plan import AGENT_PORT
from natobs.lab.traffic import first_line

_SCRAPES = 8
_DESCRIPTORS = 'natobs_agent_open_fds{instance="nat1"}'
_READY_SECONDS = 20.0


class _Crowd(SelfFault):
    how: ClassVar[str]
    count: ClassVar[int]
    lost = "scrapes that waited for a place for longer than their time limit"
    reports = (
        Report("scrapes without an answer (up 0)", 'sum_over_time((1 - up{instance="nat1"})[$window:1s])', least=0),
        Report("probes failed", "increase(natobs_probe_failures_total[$window])", least=0, most=0),
    )
    peak_megabytes = 64.0

    def act(self, scene: Scene) -> list[str]:
        argv = scene.nat.python("natobs.lab.crowd", self.how, LOOPBACK, str(AGENT_PORT), str(self.count))
        before = scene.sum(_DESCRIPTORS)
        crowd = scene.nat.popen(argv, stdout=subprocess.PIPE)
        try:
            if first_line(crowd, _READY_SECONDS) != "running":
                raise LabError(f"{' '.join(argv)} does not work")
            scene.wait(_SCRAPES)
        finally:
            crowd.close()
        scene.await_true(f"{_DESCRIPTORS} <= {before}")  # whom nobody waits for any more is answered still
        return []


class HalfOpen(_Crowd):
    """Requests that never end."""

    name, how, count = "scrape-half-open", "half-open", 300
    title = "scrape port: 300 half requests"
    sentence = "300 clients at a time send the agent half a request and wait."


class SlowReaders(_Crowd):
    """Answers that nobody takes."""

    name, how, count = "scrape-slow-readers", "slow", 300
    title = "scrape port: 300 slow readers"
    sentence = "300 clients at a time ask the agent for its metrics and read a byte a second."


class ThousandConnections(_Crowd):
    """More of everything than there are places."""

    name, how, count = "scrape-1000", "many", 1000
    title = "scrape port: 1,000 connections"
    sentence = "1,000 clients at a time ask the agent for its metrics, again and again."
