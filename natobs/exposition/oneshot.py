"""One round of probes, pushed: for serverless subnets, cron jobs, and wherever nothing may listen.

Knows what is pushed and where to; how targets are probed is known below.
"""

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from natobs import __version__
from natobs.catalogue.metrics import agent as metric
from natobs.catalogue.types import AnySample
from natobs.errors import ConfigError
from natobs.exposition import pushgateway
from natobs.exposition.otlp.push import push_once
from natobs.probe_config import ProbeFile
from natobs.probes import round as probing
from natobs.probes.round import Round

PUSH_SECONDS = 5.0
"""Kept back of the time for the push itself; less where the probes would have less than a second."""
_SHORTEST_SECONDS = 1.0
_SHORTEST_PUSH_SECONDS = 0.25


class Destination(Protocol):
    """Where a round is pushed to."""

    def check(self, file: ProbeFile) -> None:
        """Whether it can be, before anything is probed.

        Raises:
            ConfigError: it cannot.
        """

    def push(self, file: ProbeFile, samples: list[AnySample], done: Round, limit: float) -> None:
        """Push.

        Args:
            file: whose targets were probed.
            samples: everything that is known of the round and of who made it.
            done: the round.
            limit: seconds.

        Raises:
            ConfigError, ExpositionError, SetupError: nothing was pushed.
        """


@dataclass(frozen=True, slots=True)
class Pushgateway:
    """A Prometheus Pushgateway; keeps the latest round of each group.

    Args:
        url: its base.
        job: label ``job`` of the group.
        grouping: further labels of the group, which tell one subnet's prober from another's.
    """

    url: str
    job: str = "natobs_probe"
    grouping: Mapping[str, str] = field(default_factory=dict)

    def check(self, file: ProbeFile) -> None:
        pushgateway.check(self.url, self.job, self.grouping)

    def push(self, file: ProbeFile, samples: list[AnySample], done: Round, limit: float) -> None:
        pushgateway.push(self.url, samples, job=self.job, grouping=self.grouping, limit=limit)


class Otlp:
    """The receiver of OTLP that the probe file names."""

    def check(self, file: ProbeFile) -> None:
        if not file.otlp.endpoint:
            raise ConfigError("otlp.endpoint: not set, so there is nowhere to push to")

    def push(self, file: ProbeFile, samples: list[AnySample], done: Round, limit: float) -> None:
        push_once(file.otlp, "natobs-probe", "", samples, done.traced, began=done.began, limit=limit)


def run(file: ProbeFile, destination: Destination, limit: float) -> Round:
    """Attempt every target once, and push what came of it. Blocks.

    Args:
        file: whom to probe, and how.
        destination: where to.
        limit: seconds for everything, of which a few are kept for the push; never fewer than one.

    Raises:
        ConfigError: the file or the destination is wrong.
        SetupError: a library is missing.
        ExpositionError: nothing was pushed.
    """
    destination.check(file)
    limit = max(_SHORTEST_SECONDS, limit)
    end = time.monotonic() + limit
    done = probing.run(file, max(min(_SHORTEST_SECONDS, limit / 2), limit - PUSH_SECONDS))
    build = metric.BUILD.sample(1, __version__, platform.python_version())
    left = max(_SHORTEST_PUSH_SECONDS, min(PUSH_SECONDS, end - time.monotonic()))
    destination.push(file, [build, *done.samples], done, left)
    return done


def read_grouping(texts: tuple[str, ...] | list[str]) -> dict[str, str]:
    """Labels from ``name=value``.

    Raises:
        ConfigError: one is written otherwise, or given twice.
    """
    grouping: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in grouping:
            raise ConfigError(f"grouping {text!r}: expected NAME=VALUE, each name once")
        grouping[name] = value
    return grouping
