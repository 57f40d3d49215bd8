"""Collectors, their background thread and their runner, as one thing that can be started, asked and reconfigured.

Knows how the parts of this package fit together; refuses to know who asks and
in which format the answer leaves.
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass

from natobs import __version__
from natobs.catalogue.metrics import agent as metric
from natobs.catalogue.types import AnySample
from natobs.collectors import registry
from natobs.collectors.background import Background
from natobs.collectors.base import Collector
from natobs.collectors.runner import Runner, Snapshot
from natobs.config import Config
from natobs.errors import ConfigError
from natobs.kernel.machine import Machine


@dataclass(frozen=True, slots=True)
class Prepared:
    """Another configuration, found good, with all that it takes.

    Args:
        config: which.
        collectors: those that it asks for.
        background: feeds them; None where the one at work goes on.
    """

    config: Config
    collectors: tuple[Collector, ...]
    background: Background | None

    def drop(self) -> None:
        """Give everything back, unused."""
        if self.background is not None:
            self.background.stop()


class Observer:
    """Observes one machine.

    Args:
        machine: live or recorded.
        config: which collectors, and how they are set.

    Raises:
        ConfigError: a collector is disabled that does not exist.
    """

    def __init__(self, machine: Machine, config: Config) -> None:
        _check(config)
        self._machine = machine
        self._config = config
        self._collectors = registry.build(config)
        self._background = Background(self._collectors, machine)
        self._runner = Runner(self._collectors, machine, config.agent.collector_limit_seconds)

    @property
    def collectors(self) -> tuple[Collector, ...]:
        """The collectors at work."""
        return self._collectors

    def start(self) -> None:
        """Hear streams and tick samplers from now on."""
        self._background.start()

    def prime(self) -> None:
        """Instead of :meth:`start`, for a single reading: take what the streams hold now."""
        self._background.prime()

    def stop(self) -> None:
        """End every thread that can be ended."""
        self._background.stop()
        self._runner.stop()

    def prepare(self, config: Config) -> Prepared:
        """Another configuration for :meth:`use`; nothing changes yet.

        Raises:
            ConfigError: as when built.
        """
        _check(config)
        collectors = registry.build(config, self._config, self._collectors)
        same = collectors == self._collectors
        return Prepared(config, collectors, None if same else Background(collectors, self._machine))

    def use(self, prepared: Prepared) -> None:
        """Use another configuration; collectors whose settings stay keep what they have counted."""
        if prepared.background is not None:
            self._background.stop()
            self._background = prepared.background
            self._background.start()
        self._runner.replace(prepared.collectors, prepared.config.agent.collector_limit_seconds)
        self._collectors, self._config = prepared.collectors, prepared.config

    def collect(self, limit: float) -> Snapshot:
        """Look at everything; see :meth:`natobs.collectors.runner.Runner.collect`."""
        return self._runner.collect(limit)


def samples_of(snapshot: Snapshot) -> Iterator[AnySample]:
    """Every sample of a round, after those that say how each collector fared."""
    yield metric.BUILD.sample(1, __version__, platform.python_version())
    for outcome in snapshot.outcomes:
        yield metric.COLLECTOR_SUCCESS.sample(outcome.success, outcome.collector)
        yield metric.COLLECTOR_DURATION.sample(outcome.seconds, outcome.collector)
        for reason in sorted({gap.reason for gap in outcome.gaps}):
            yield metric.COLLECTOR_UNAVAILABLE.sample(1, outcome.collector, reason)
        yield from outcome.samples
        yield from outcome.distributions


def _check(config: Config) -> None:
    names = [entry.name for entry in registry.ALL]
    for name in config.collectors.disabled:
        if name not in names:
            raise ConfigError(f"collectors.disabled: no collector is called {name!r}; there are {', '.join(names)}")
