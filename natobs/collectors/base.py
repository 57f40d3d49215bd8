"""What a collector is, and the one wrapper that runs each of them.

A run has three outcomes: samples, a failure with its reason, or *nothing here*
(the machine has no such thing). A collector that could not look gives no
samples and never a zero. Knows no subject and no transport.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from natobs.catalogue.types import HistogramSample, HistogramValue, Metric, Sample
from natobs.errors import KernelError
from natobs.kernel.machine import Machine, StreamName

logger = logging.getLogger(__name__)

NOTHING_HERE = frozenset({"absent", "unsupported"})
"""Reasons that mean the machine has no such thing, which is no failure of the collector."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A source that gave nothing.

    Args:
        reason: a value of the label ``reason`` of ``natobs_collector_unavailable``.
        detail: one sentence for a person: what was asked and what the kernel said.
    """

    reason: str
    detail: str


@dataclass(slots=True)
class Reading:
    """What one run of a collector saw, and what it could not see."""

    samples: list[Sample] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    distributions: list[HistogramSample] = field(default_factory=list)

    def add(self, metric: Metric, value: float, *labels: str) -> None:
        """Append one sample."""
        self.samples.append(metric.sample(value, *labels))

    def add_distribution(self, metric: Metric, value: HistogramValue, *labels: str) -> None:
        """Append one histogram."""
        self.distributions.append(metric.distribution(value, *labels))

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part that may be missing: a KernelError inside becomes a gap, and the collector goes on after it."""
        try:
            yield
        except KernelError as error:
            self.gaps.append(Gap(error.reason, str(error)))


class Collector(Protocol):
    """One subject. An instance lives as long as the agent and may remember earlier readings."""

    @property
    def name(self) -> str:
        """Its value of the label ``collector``."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric that it may emit."""

    def collect(self, machine: Machine) -> Reading:
        """Look once.

        Raises:
            KernelError: nothing could be read at all.
        """


@runtime_checkable
class Listening(Protocol):
    """A collector that also hears a stream, on the background thread (see :mod:`natobs.collectors.background`)."""

    @property
    def stream(self) -> StreamName:
        """The stream to hear."""

    def hear(self, message: bytes) -> None:
        """Take one message; quick, and safe against a concurrent ``collect``.

        Raises:
            FormatError: the message is not what the kernel documents; it is counted as lost.
        """

    def miss(self, error: KernelError) -> None:
        """Take note that messages were lost (reason ``busy`` or ``format``) or that the stream is not to be had."""


@runtime_checkable
class Ticking(Protocol):
    """A collector that also looks at regular times, on the background thread."""

    @property
    def tick_seconds(self) -> float:
        """How often."""

    def tick(self, machine: Machine) -> None:
        """Look; quick, and safe against a concurrent ``collect``.

        Raises:
            KernelError: nothing could be read this time.
        """


@runtime_checkable
class Closing(Protocol):
    """A collector that holds more than memory: a process, for example."""

    def close(self) -> None:
        """Give it back; called once no thread uses the collector any more."""


@runtime_checkable
class Telling(Protocol):
    """A collector that keeps lines of text for the status page."""

    @property
    def title(self) -> str:
        """What the lines are, as a heading."""

    def tail(self) -> Sequence[str]:
        """The latest lines, oldest first, each bounded in length."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of one collector.

    Args:
        collector: its name.
        samples: what it saw.
        gaps: what it could not see, and why.
        seconds: wall-clock duration.
        distributions: the histograms that it saw.
    """

    collector: str
    samples: tuple[Sample, ...]
    gaps: tuple[Gap, ...]
    seconds: float
    distributions: tuple[HistogramSample, ...] = ()

    @property
    def success(self) -> bool:
        """Whether it could look everywhere; a machine that has no such thing counts as looked at."""
        return all(gap.reason in NOTHING_HERE for gap in self.gaps)


def run(collector: Collector, machine: Machine) -> Outcome:
    """Run a collector once; whatever it raises becomes part of the outcome."""
    start = time.monotonic()
    try:
        reading = collector.collect(machine)
    except KernelError as error:
        reading = Reading(gaps=[Gap(error.reason, str(error))])
    except Exception as error:
        logger.exception("collector %s failed", collector.name)
        reading = Reading(gaps=[Gap("error", f"{type(error).__name__}: {error}")])
    return Outcome(
        collector.name,
        tuple(reading.samples),
        tuple(reading.gaps),
        time.monotonic() - start,
        tuple(reading.distributions),
    )
