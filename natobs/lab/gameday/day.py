"""Plays one fault: a fresh lab with its stack, health, the fault, the pager, healing, the end of all alerts.

Knows the order of events and what is asked of Prometheus; what came of it is
judged in :mod:`natobs.lab.gameday.judge`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from natobs.catalogue.naming import ACTION
from natobs.lab import launch
from natobs.lab.faults import cpu
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.faults.expected import EXPECTED, Expectation
from natobs.lab.gameday import judge
from natobs.lab.gameday.model import Notice, Outcome, Trace
from natobs.lab.gameday.setting import ABOUT_CPU, PEER, Setting
from natobs.lab.stack.api import Series
from natobs.lab.stack.stack import Stack, require, running

Say = Callable[[str], None]
"""Takes a line of progress."""

_LOOK_SECONDS = 0.25
_MOST_POINTS = 300
_MOST_TRACES = 3
_PEER_ABOUT_CPU = frozenset({"NodeCPUHighUsage", "NodeSystemSaturation"})
_SILENT = {"maintenance-restart": "NatStateLost"}
"""The alert whose value shows a fault that nobody is to be told of."""


class Play:
    """One fault, played.

    Args:
        fault: which.
        setting: with what.
        say: takes progress.
    """

    def __init__(self, fault: type[Fault], setting: Setting, say: Say) -> None:
        self._kind = fault
        self._say = say
        self._expects = EXPECTED[fault.name]
        self._setting = (
            setting.without(ABOUT_CPU - {one.alert for one in self._expects}) if setting.any_load else setting
        )
        self._began = 0.0
        self._healed = 0.0

    def outcome(self) -> Outcome:
        """Play it.

        Raises:
            LabError: a program is missing, this machine is too busy for it, or a part of the lab failed.
        """
        require()
        launch.require(PEER[0], *self._kind.programs)
        if not self._setting.any_load:
            cpu.refuse_busy(self._kind.name)
        name = f"gd-{self._kind.name}"[:14].rstrip("-")
        with (
            running(self._setting.stack(name, self._kind.nats), self._setting.inputs()) as stack,
            ExitStack() as ending,
        ):
            for world in stack.lab.worlds:
                ending.callback(world.host("nat").popen(list(PEER)).close)
            return self._played(stack)

    def _played(self, stack: Stack) -> Outcome:
        setting = self._setting
        stack.await_scrapes(2)
        health = max(setting.baseline, setting.timing.seconds(self._kind.history, 0))
        self._say(f"{self._kind.name}: healthy for {health:.0f} s")
        time.sleep(health)
        fault = self._kind(stack.lab)
        # what the stack itself takes is no other thing: this machine was looked at before it was built
        fault.scrape_seconds, fault.any_load = setting.timing.scrape, True
        before = fault.evidence()
        self._began = time.time()
        fault.inject()
        try:
            self._say(f"{fault.name}: injected within {time.time() - self._began:.1f} s; {fault.sentence}")
            limit = max((setting.limit(one) for one in self._expects), default=setting.baseline)
            self._watch(stack, limit)
            during = fault.evidence()
        finally:
            fault.heal()
        self._healed = time.time()
        self._say(f"{fault.name}: healed")
        self._await_end(stack)
        return self._told(stack, limit, before, during)

    def _watch(self, stack: Stack, limit: float) -> None:
        """Wait until all has come that must, and a while longer; or until the limit has passed."""
        injected = time.time()
        waiting = list(self._expects)
        while waiting and time.time() < injected + limit:
            time.sleep(_LOOK_SECONDS)
            for page in stack.pages():
                for one in [one for one in waiting if page.status == "firing" and judge.matches(one, page.labels)]:
                    if page.time >= self._began:
                        waiting.remove(one)
                        self._say(f"{self._kind.name}: {one.alert} arrived after {page.time - self._began:.1f} s")
        for one in waiting:
            self._say(f"{self._kind.name}: {one.alert} did NOT arrive within {limit:.0f} s")
        time.sleep(self._setting.linger if self._expects else limit)

    def _await_end(self, stack: Stack) -> None:
        """Wait until the pager was told that everything is over, or the limit has passed."""
        limit = max((self._setting.memory(one) for one in self._expects), default=self._setting.baseline)
        deadline = self._healed + limit
        while (still := list(judge.open_alerts(stack.pages()))) and time.time() < deadline:
            time.sleep(_LOOK_SECONDS)
        if still:
            self._say(f"{self._kind.name}: NOT over after {limit:.0f} s: {', '.join(still)}")
        else:
            self._say(f"{self._kind.name}: over after {time.time() - self._healed:.1f} s")

    def _told(self, stack: Stack, limit: float, before: Evidence, during: Evidence) -> Outcome:
        pages, kind = stack.pages(), self._kind
        return Outcome(
            fault=kind.name,
            mode=kind.mode,
            title=kind.title,
            sentence=kind.sentence,
            topology=self._setting.topology,
            time_scale=self._setting.scale,
            limit=round(limit, 1),
            healed=round(self._healed - self._began, 1),
            expected=[
                judge.expected(one, pages, self._steps(stack, one), self._began, self._healed) for one in self._expects
            ],
            false=judge.surprises(self._expects, pages, self._began),
            budgets=judge.budgets(pages, self._began),
            unresolved=list(judge.open_alerts(pages)),
            peer=self._peer(stack),
            evidence={
                name: (float(before[name]) if name in before else None, float(value)) for name, value in during.items()
            },
            traces=[trace for name in self._shown() for trace in self._traces(stack, name)],
        )

    def _history(self, stack: Stack, expression: str) -> list[Series]:
        """The values of an expression from the beginning of health until now."""
        start, step = self._began - self._setting.baseline, self._setting.timing.scrape
        return stack.prometheus.query_range(expression, start, time.time(), step)

    def _steps(self, stack: Stack, expectation: Expectation) -> judge.Steps:
        found = self._history(stack, f'ALERTS{{alertname="{expectation.alert}", {ACTION}="{expectation.action}"}}')
        mine = [one for one in found if judge.matches(expectation, one.labels)]

        def first(states: Sequence[str]) -> float | None:
            times = [at for one in mine if one.labels["alertstate"] in states for at, _ in one.samples]
            return min((at for at in times if at >= self._began), default=None)

        return judge.Steps(first(("pending", "firing")), first(("firing",)))

    def _peer(self, stack: Stack) -> list[Notice]:
        """What node_exporter's rules fired because of the fault: not before it, and before it was healed."""
        firsts: dict[str, Notice] = {}
        for one in self._history(stack, 'ALERTS{alertname=~"Node.+", alertstate="firing"}'):
            first, name = one.samples[0][0], one.labels["alertname"]
            about_others = self._setting.any_load and name in _PEER_ABOUT_CPU and "cpu" not in self._kind.name
            if self._began <= first < self._healed and not about_others:
                firsts.setdefault(name, judge.notice(one.labels, first - self._began))
        return sorted(firsts.values(), key=lambda one: one.seconds)

    def _shown(self) -> list[str]:
        names = [one.alert for one in self._expects] or [_SILENT.get(self._kind.name, "NatProbeFailing")]
        return list(dict.fromkeys(names))

    def _traces(self, stack: Stack, name: str) -> list[Trace]:
        """The value that an alert compares, over all that was played."""
        alert = self._setting.alert(name)
        if alert is None:  # on a budget; the table says when it came
            return []
        actions = {one.action for one in self._expects if one.alert == name}
        levels = [level for level in alert.levels if not actions or level.action.value in actions]
        found = self._history(stack, alert.value.text(self._setting.rules.rendering))
        found.sort(key=lambda one: -max(value for _, value in one.samples))
        return [
            Trace(
                title=name,
                labels={label: value for label, value in one.labels.items() if label not in judge.CONSTANT},
                threshold=levels[0].threshold,
                points=[(round(at - self._began, 1), value) for at, value in _thinned(one.samples)],
            )
            for one in found[:_MOST_TRACES]
        ]


def _thinned(samples: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    return samples[:: 1 + len(samples) // _MOST_POINTS]
