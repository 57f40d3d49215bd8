"""Every target of a probe file once, with its retries, and then the end: for hosts where nothing may stay.

Knows how targets are found, attempted and counted within a time; refuses to
know where the figures go.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from natobs.catalogue.types import AnySample
from natobs.probe_config import ProbeFile
from natobs.probes.companion import open_prober
from natobs.probes.discovery import Discovery
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment, Unnoticed
from natobs.probes.model import Attempt, Target
from natobs.probes.plan import Plan
from natobs.probes.registry import Kinds
from natobs.probes.resolve import Resolver
from natobs.probes.service import MakeKinds, targets_of, without_targets
from natobs.probes.sources import Source, sources_of
from natobs.probes.stats import Stats
from natobs.probes.tracing import Tracing

_FINDING_SHARE = 0.5
"""Of the time, at most, for finding targets: some is left for those that are known."""


@dataclass(frozen=True, slots=True)
class Round:
    """What came of it.

    Args:
        samples: as a scrape gives them, except those about a schedule, which there was not.
        began: when the counters among them were zero, in seconds since the epoch.
        traced: attempts that are to be spans.
        targets: how many there were.
        failed: how many of them failed in the end, retries included.
        unfinished: how many of them were not attempted, or not to the end, within the time.
        found: whether everything that should list targets did.
    """

    samples: list[AnySample]
    began: float
    traced: list[Attempt]
    targets: int
    failed: int
    unfinished: int
    found: bool

    @property
    def good(self) -> bool:
        """Whether every target succeeded."""
        return self.found and not self.failed and not self.unfinished


class _Counting:
    """Counts attempts, and notes which targets are done with."""

    def __init__(self, targets: Sequence[Target], successes_per_span: int) -> None:
        self.stats = Stats(targets)
        self.traced: list[Attempt] = []
        self.ended: dict[tuple[str, str], bool] = {}
        self._tracing = Tracing(successes_per_span, self.traced.append)

    def __call__(self, attempt: Attempt) -> None:
        self.stats.report(self._tracing(attempt))
        settings, success = attempt.target.settings, attempt.outcome.success
        if not attempt.companion and (success or attempt.number >= settings.retries):
            self.ended[settings.name, attempt.target.name] = success


def run(file: ProbeFile, limit: float, make_kinds: MakeKinds = Kinds) -> Round:
    """Find the targets, attempt each once, and again where it fails and the file says so. Blocks.

    Args:
        file: targets and limits; ``prober.max_rate`` holds here too.
        limit: seconds for everything; attempts under way at the end are abandoned, and counted nowhere.
        make_kinds: makes the kinds; tests bring their own.

    Raises:
        ConfigError: the file is wrong; what is wrong with a document that lists targets is no error.
        SetupError: a kind needs a library that is not installed.
    """
    began, deadline = time.time(), time.monotonic() + limit
    kinds, resolver = make_kinds(), Resolver(file.prober.resolve_seconds)
    discovered: dict[Source, tuple[str, ...]] = {}
    quiet = Environment(resolver, Unnoticed())

    def accept(source: Source, texts: tuple[str, ...]) -> None:
        for target in targets_of(file, kinds, {**discovered, source: texts}):
            open_prober(target, kinds, quiet).close()
        discovered[source] = texts

    discovery = Discovery(accept)
    try:
        discovery.watch(sources_of(file.probe), file.prober)
        _look(discovery, limit * _FINDING_SHARE)
        targets = targets_of(file, kinds, discovered)
        counting = _Counting(targets, file.otlp.successes_per_span)
        environment = Environment(resolver, counting.stats)
        plan = Plan((), file.prober.max_rate, time.monotonic())
        probers = [open_prober(target, kinds, environment) for target in targets]
        engine = Engine(targets, probers, plan, counting)
        try:
            _attempt_each(engine, plan, len(targets), deadline)
        finally:
            engine.close()
    finally:
        resolver.close()
    counted, ended = counting.stats.samples(), counting.ended
    return Round(
        [*counted, *without_targets(file, counted), *discovery.samples()],
        began,
        counting.traced,
        targets=len(targets),
        failed=sum(not success for success in ended.values()),
        unfinished=len(targets) - len(ended),
        found=discovery.good,
    )


def _look(discovery: Discovery, limit: float) -> None:
    """Look for targets; what is not there within the limit is given up."""
    watchdog = threading.Timer(limit, discovery.abandon)
    watchdog.daemon = True
    watchdog.start()
    discovery.look()
    watchdog.cancel()
    watchdog.join()


def _attempt_each(engine: Engine, plan: Plan, count: int, deadline: float) -> None:
    start = time.monotonic()
    for index in range(count):
        plan.again(index, 0, start + index / plan.rate)
    while (left := deadline - time.monotonic()) > 0 and (engine.in_flight or plan.next_time != float("inf")):
        engine.turn(left)
