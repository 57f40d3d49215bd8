"""The probes of a file at work: targets, plan and engine built from it, a thread that runs them, and what came of it.

Knows how the parts of this package fit together; refuses to know who asks and
in which format the answer leaves.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample
from natobs.errors import ConfigError
from natobs.probe_config import ProbeFile, ProbeSettings, split_target
from natobs.probes.engine import Engine
from natobs.probes.environment import Environment
from natobs.probes.model import Target
from natobs.probes.plan import Plan
from natobs.probes.registry import KindByName, Kinds
from natobs.probes.resolve import Resolver
from natobs.probes.stats import Stats

logger = logging.getLogger(__name__)

_END_SECONDS = 5.0

MakeKinds = Callable[[], KindByName]
"""Makes the kinds of one engine."""


@dataclass(slots=True)
class _Crew:
    """An engine with what it was built from."""

    targets: list[Target]
    engine: Engine
    plan: Plan
    resolver: Resolver
    thread: threading.Thread


class ProbeService:
    """Probes what a file says, between :meth:`start` and :meth:`stop`.

    Args:
        file: targets and limits.
        make_kinds: makes the kinds of an engine; tests bring their own.

    Raises:
        ConfigError: a target is wrong, there is none, or there are more than ``prober.max_rate`` allows.
        SetupError: a kind needs a library that is not installed.
    """

    def __init__(self, file: ProbeFile, make_kinds: MakeKinds = Kinds) -> None:
        self._make_kinds = make_kinds
        self.stats = Stats()
        self._skipped = 0
        self._started = False
        self._crew = self._build(file)
        self.file = file
        self.stats.retarget(self._crew.targets)

    @property
    def targets(self) -> list[Target]:
        """What is probed."""
        return self._crew.targets

    @property
    def running(self) -> bool:
        """Whether the thread that sends probes is alive."""
        return self._crew.thread.is_alive()

    @property
    def in_flight(self) -> int:
        """Attempts that have begun and not ended."""
        return self._crew.engine.in_flight

    def start(self) -> None:
        """Begin to probe."""
        self._started = True
        self._crew.thread.start()

    def stop(self) -> None:
        """End; attempts in flight are abandoned, and counted nowhere."""
        self._dismiss(self._crew)
        self._started = False

    def reload(self, file: ProbeFile) -> None:
        """Probe what another file says; targets that stay keep their counters.

        Raises:
            ConfigError, SetupError: as when built; the probes go on as they were.
        """
        crew = self._build(file)
        self._dismiss(self._crew)
        self._skipped += self._crew.plan.skipped
        self._crew, self.file = crew, file
        self.stats.retarget(crew.targets)
        if self._started:
            crew.thread.start()

    def samples(self) -> list[AnySample]:
        """Everything that is known now."""
        return [
            *self.stats.samples(),
            metric.BEATS_SKIPPED.sample(self._skipped + self._crew.plan.skipped),
            metric.ENGINE_UP.sample(self.running),
        ]

    def _build(self, file: ProbeFile) -> _Crew:
        kinds = self._make_kinds()
        targets = targets_of(file, kinds)
        plan = Plan([target.settings.interval_seconds for target in targets], file.prober.max_rate, time.monotonic())
        resolver = Resolver(file.prober.resolve_seconds)
        environment = Environment(resolver, self.stats)
        probers = [kinds(target.settings.kind).open(target, environment) for target in targets]
        engine = Engine(targets, probers, plan, self.stats.report)
        thread = threading.Thread(target=_run, args=(engine,), name="natobs-probes", daemon=True)
        return _Crew(targets, engine, plan, resolver, thread)

    def _dismiss(self, crew: _Crew) -> None:
        crew.engine.stop()
        if crew.thread.is_alive():
            crew.thread.join(_END_SECONDS)
        if crew.thread.is_alive():
            logger.warning("the thread that sends probes has not ended within %g s", _END_SECONDS)
        else:
            crew.engine.close()
        crew.resolver.close()


def targets_of(file: ProbeFile, kinds: KindByName) -> list[Target]:
    """The targets of a file, in its order.

    Raises:
        ConfigError: a target is wrong, stands twice in one probe, or there is none at all.
        SetupError: a kind needs a library that is not installed.
    """
    targets: dict[tuple[str, str], Target] = {}
    for probe in file.probe:
        for text in probe.targets:
            target = target_of(probe, text, kinds)
            if targets.setdefault((probe.name, target.name), target) is not target:
                raise ConfigError(f"probe {probe.name}: the target {target.name} stands there twice")
    if not targets:
        raise ConfigError("no probe: the file has no [[probe]] with targets")
    return list(targets.values())


def target_of(probe: ProbeSettings, text: str, kinds: KindByName) -> Target:
    """One target of a probe.

    Raises:
        ConfigError: the text is no target.
        SetupError: the kind needs a library that is not installed.
    """
    try:
        host, port = split_target(text, kinds(probe.kind).default_port)
    except ConfigError as error:
        raise ConfigError(f"probe {probe.name}: {error}") from error
    return Target(probe, host, port)


def _run(engine: Engine) -> None:
    try:
        engine.run()
    except Exception:
        logger.exception("the thread that sends probes has ended")
