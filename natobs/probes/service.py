"""The probes of a file at work: targets, plan and engine built from it, a thread that runs them, and what came of it.

Knows how the parts of this package fit together; refuses to know who asks and
in which format the answer leaves.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample, Sample
from natobs.errors import ConfigError, SetupError
from natobs.probe_config import ProbeFile, ProbeSettings, split_target
from natobs.probes.companion import beats, open_prober
from natobs.probes.discovery import Discovery
from natobs.probes.engine import Change, Engine
from natobs.probes.environment import Environment
from natobs.probes.model import Attempt, Prober, Target
from natobs.probes.own_address import OwnAddresses
from natobs.probes.plan import Plan, check_rate
from natobs.probes.registry import KindByName, Kinds
from natobs.probes.resolve import Resolver
from natobs.probes.roster import Roster
from natobs.probes.sources import Source, sources_of
from natobs.probes.stats import Stats
from natobs.probes.tracing import Tracing

logger = logging.getLogger(__name__)

_END_SECONDS = 5.0

MakeKinds = Callable[[], KindByName]
"""Makes the kinds of one engine."""
Discovered = Mapping[Source, tuple[str, ...]]
"""What the sources of targets hold."""


@dataclass(slots=True)
class _Crew:
    """An engine with what it was built from."""

    roster: Roster
    kinds: KindByName
    environment: Environment
    engine: Engine
    plan: Plan
    thread: threading.Thread


class ProbeService:
    """Probes what a file says, between :meth:`start` and :meth:`stop`.

    Other targets, of another file or found by the sources that it names, leave alone those that stay: each keeps its
    sockets, its beat and the attempt under way.

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
        self.tracing: Tracing | None = None
        """Each attempt passes it before it is counted; may be changed at any time."""
        self._skipped = 0
        self._own = OwnAddresses()
        self._started = False
        self._changing = threading.RLock()
        self._discovered: Discovered = {}
        self.discovery = Discovery(self._accept)
        self.file = file
        sources = sources_of(file.probe)
        self._crew = self._build(file, self._discovered)
        self.stats.retarget(self._crew.roster.targets)
        self.discovery.watch(sources, file.prober)

    @property
    def targets(self) -> list[Target]:
        """What is probed."""
        return self._crew.roster.targets

    def lists(self, probe: ProbeSettings, text: str) -> bool:
        """Whether a text is a target of a probe, by the file or by what its sources hold."""
        return text in probe.targets or any(
            source.probe == probe.name and text in found for source, found in self._discovered.items()
        )

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
        if sources_of(self.file.probe):
            self.discovery.start()

    def stop(self) -> None:
        """End; attempts in flight are abandoned, and counted nowhere."""
        self.discovery.stop()
        with self._changing:
            self._dismiss(self._crew)
            self._started = False

    def reload(self, file: ProbeFile) -> None:
        """Probe what another file says, and look at its sources of targets; targets that stay keep their counters.

        Raises:
            ConfigError: as when built; the probes go on as they were.
            SetupError: likewise, or this process has run out of descriptors.
        """
        sources = sources_of(file.probe)
        with self._changing:
            kept = {source: found for source, found in self._discovered.items() if source in sources}
            self._retarget(file, kept, afresh=True)
            self.discovery.watch(sources, file.prober)
            if self._started and sources:
                self.discovery.start()

    def samples(self) -> list[AnySample]:
        """Everything that is known now."""
        counted = self.stats.samples()
        return [
            *counted,
            *without_targets(self.file, counted),
            *self.discovery.samples(),
            *self._own.samples(self.file.probe),
            metric.BEATS_SKIPPED.sample(self._skipped + self._crew.plan.skipped),
            metric.ENGINE_UP.sample(self.running),
        ]

    def _report(self, attempt: Attempt) -> None:
        """Take a finished attempt, on the engine's thread."""
        tracing = self.tracing
        self.stats.report(attempt if tracing is None else tracing(attempt))

    def _accept(self, source: Source, texts: tuple[str, ...]) -> None:
        """Probe what a source holds.

        Raises:
            ConfigError, SetupError: it cannot be probed; the probes go on as they were.
        """
        with self._changing:
            if source in sources_of(self.file.probe):
                self._retarget(self.file, {**self._discovered, source: texts})

    def _retarget(self, file: ProbeFile, discovered: Discovered, *, afresh: bool = False) -> None:
        try:
            if self._started and not self.running:
                self._rebuild(file, discovered)
            else:
                self._change(file, discovered, afresh=afresh)
        except OSError as error:
            reason = error.strerror or str(error)
            raise SetupError(f"the targets cannot be changed, and stay as they were: {reason}") from error
        self._discovered, self.file = discovered, file

    def _change(self, file: ProbeFile, discovered: Discovered, *, afresh: bool) -> None:
        crew = self._crew
        targets = targets_of(file, crew.kinds, discovered)
        check_rate(beats(targets), file.prober.max_rate)
        difference = crew.roster.compare(targets, afresh=afresh)
        added: dict[int, tuple[Target, Prober]] = {}
        for index, target in difference.added.items():  # which opens no socket yet
            added[index] = target, open_prober(target, crew.kinds, crew.environment)
        # Nothing can fail from here on.
        crew.environment.resolver.seconds = file.prober.resolve_seconds
        crew.roster.change(targets, difference)
        self.stats.retarget(targets)
        crew.engine.change(Change(file.prober.max_rate, difference.removed, added, difference.renewed))

    def _rebuild(self, file: ProbeFile, discovered: Discovered) -> None:
        """Begin anew, after the thread that sends probes has died."""
        crew = self._build(file, discovered)
        self._dismiss(self._crew)
        self._skipped += self._crew.plan.skipped
        self._crew = crew
        self.stats.retarget(crew.roster.targets)
        crew.thread.start()

    def _build(self, file: ProbeFile, discovered: Discovered) -> _Crew:
        kinds = self._make_kinds()
        targets = targets_of(file, kinds, discovered)
        check_rate(beats(targets), file.prober.max_rate)
        plan = Plan([target.settings.interval_seconds for target in targets], file.prober.max_rate, time.monotonic())
        environment = Environment(Resolver(file.prober.resolve_seconds), self.stats)
        probers = [open_prober(target, kinds, environment) for target in targets]
        engine = Engine(targets, probers, plan, self._report)
        thread = threading.Thread(target=_run, args=(engine,), name="natobs-probes", daemon=True)
        return _Crew(Roster(targets), kinds, environment, engine, plan, thread)

    def _dismiss(self, crew: _Crew) -> None:
        crew.engine.stop()
        if crew.thread.is_alive():
            crew.thread.join(_END_SECONDS)
        if crew.thread.is_alive():
            logger.warning("the thread that sends probes has not ended within %g s", _END_SECONDS)
        else:
            crew.engine.close()
        crew.environment.resolver.close()


def targets_of(file: ProbeFile, kinds: KindByName, discovered: Discovered | None = None) -> list[Target]:
    """The targets of a file, in its order, and then those that its sources hold.

    Raises:
        ConfigError: a target is wrong or stands twice in one probe, there are too many, or there is nothing that any
            could come from.
        SetupError: a kind needs a library that is not installed.
    """
    targets: dict[tuple[str, str], Target] = {}
    for probe in file.probe:
        for text in probe.targets:
            target = target_of(probe, text, kinds)
            if targets.setdefault((probe.name, target.name), target) is not target:
                raise ConfigError(f"probe {probe.name}: the target {target.name} stands there twice")
    if not targets and not sources_of(file.probe):
        raise ConfigError("no probe: the file has no [[probe]] with targets")
    _add_discovered(targets, file.probe, kinds, discovered or {})
    if len(targets) > file.prober.max_targets:
        raise ConfigError(f"there are {len(targets)} targets; prober.max_targets allows {file.prober.max_targets}")
    return list(targets.values())


def without_targets(file: ProbeFile, counted: Iterable[AnySample]) -> list[Sample]:
    """The number of targets of probes whose sources hold none.

    Args:
        file: of the probes.
        counted: samples of the probes that have targets: of the same moment, so that none is there twice.
    """
    having = {sample.labels[0] for sample in counted if sample.metric is metric.TARGETS}
    return [metric.TARGETS.sample(0, one.name, one.kind, "") for one in file.probe if one.name not in having]


def _add_discovered(
    targets: dict[tuple[str, str], Target], probes: Sequence[ProbeSettings], kinds: KindByName, discovered: Discovered
) -> None:
    """Add what sources hold. What the file lists already, or another source holds too, is one target."""
    by_name = {probe.name: probe for probe in probes}
    for source, texts in discovered.items():
        for text in texts:
            target = target_of(by_name[source.probe], text, kinds)
            targets.setdefault((source.probe, target.name), target)


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
