"""What a row of the catalogue is, and the rules it is checked against when it is built.

Knows the naming rules of Prometheus and OpenMetrics. Knows no metric by name,
and refuses to know where values come from.

Sources: https://prometheus.io/docs/practices/naming/ and the OpenMetrics
specification (RFC draft-richih-opsawg-openmetrics), section "Metric types".
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from types import ModuleType
from typing import NamedTuple

from natobs.errors import CatalogueError

PREFIX = "natobs_"
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_SERIES_SUFFIXES = ("_bucket", "_count", "_sum", "_created")
_RESERVED_LABELS = frozenset({"le", "quantile", "job", "instance", "nat", "nat_cluster", "subnet"})
"""Labels that Prometheus or the scrape configuration adds; a metric that carried one would be overwritten."""


class Kind(Enum):
    """How the value of a metric behaves over time."""

    COUNTER = "counter"
    GAUGE = "gauge"
    INFO = "info"
    HISTOGRAM = "histogram"


class Start(Enum):
    """When a counter or a histogram was zero. Whoever turns counters into increments takes it for the time of reset."""

    HOST = "host"  # the kernel counts: when the host was started, or later (a rule, a device) and with zero
    PROCESS = "process"  # natobs counts: when its process was started
    KEPT = "kept"  # natobs counts, in a file that outlives processes and hosts: long ago


class Stability(Enum):
    """What a user may rely on: a stable name is never renamed, an experimental one may change in a minor release."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a metric.

    Args:
        name: snake_case.
        help: what its values are, for the reference.
        domain: every value it may take; empty where the machine or the configuration decides.
        bound: what keeps an open label finite, for the reference; required unless there is a domain.
    """

    name: str
    help: str
    domain: tuple[str, ...] = ()
    bound: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name in _RESERVED_LABELS:
            raise CatalogueError(f"label {self.name!r}: must be snake_case and none of {sorted(_RESERVED_LABELS)}")
        if len(set(self.domain)) != len(self.domain):
            raise CatalogueError(f"label {self.name!r}: its domain names a value twice")
        if not self.domain and not self.bound:
            raise CatalogueError(f"label {self.name!r}: neither a closed domain nor a word on what bounds it")


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric: the whole truth about it, wherever it is exported, queried or documented.

    Args:
        name: full name with prefix, unit and, for counters, ``_total``.
        kind: counter, gauge, info or histogram.
        help: one sentence without a final full stop.
        source: the kernel file, netlink message or library call that the value is read from.
        unit: base unit as OpenMetrics writes it (``bytes``, ``seconds``, ``ratio``), empty for plain counts.
        labels: in the order in which samples give their values.
        buckets: of a histogram: inclusive upper bounds, ascending; values above the last are counted too.
        stability: see :class:`Stability`.
        start: see :class:`Start`; means nothing for gauges.
    """

    name: str
    kind: Kind
    help: str
    source: str
    unit: str = ""
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()
    stability: Stability = Stability.STABLE
    start: Start = Start.HOST

    def __post_init__(self) -> None:
        names = self.label_names
        problems = {
            f"must be snake_case and start with {PREFIX!r}": (
                not self.name.startswith(PREFIX) or not _NAME.fullmatch(self.name)
            ),
            "a counter ends in _total, and nothing else does": (
                (self.kind is Kind.COUNTER) != self.name.endswith("_total")
            ),
            "an info metric ends in _info, and nothing else does": (
                (self.kind is Kind.INFO) != self.name.endswith("_info")
            ),
            f"its unit {self.unit!r} must be the last word of its name": (
                bool(self.unit) and not self.family.endswith(f"_{self.unit}")
            ),
            "a histogram has buckets, and nothing else does": (self.kind is Kind.HISTOGRAM) != bool(self.buckets),
            "its buckets must be finite and ascending": (
                not all(map(math.isfinite, self.buckets)) or any(low >= high for low, high in pairwise(self.buckets))
            ),
            f"must not end in a suffix of a histogram's series {_SERIES_SUFFIXES}": (
                self.name.endswith(_SERIES_SUFFIXES)
            ),
            "needs a help text, without a final full stop": not self.help or self.help.endswith("."),
            "needs the source of its values": not self.source,
            "names a label twice": len(set(names)) != len(names),
        }
        broken = [rule for rule, violated in problems.items() if violated]
        if broken:
            raise CatalogueError(f"metric {self.name!r}: {'; '.join(broken)}")

    @property
    def family(self) -> str:
        """The name of the metric family: without ``_total`` or ``_info``, as OpenMetrics names it."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def label_names(self) -> tuple[str, ...]:
        """The names of the labels, in the order of a sample's values."""
        return tuple(label.name for label in self.labels)

    def sample(self, value: float, *labels: str) -> "Sample":
        """One value of this metric.

        Raises:
            CatalogueError: the number of labels is wrong, one is outside its domain, or this is a histogram.
        """
        if self.kind is Kind.HISTOGRAM:
            raise CatalogueError(f"{self.name}: a histogram has no plain value")
        self._check(labels)
        return Sample(self, labels, value)

    def distribution(self, value: "HistogramValue", *labels: str) -> "HistogramSample":
        """One distribution of this histogram.

        Raises:
            CatalogueError: as for :meth:`sample`, or the number of counts is not that of the buckets and one.
        """
        if self.kind is not Kind.HISTOGRAM or len(value.counts) != len(self.buckets) + 1:
            raise CatalogueError(f"{self.name}: {len(value.counts)} counts for {len(self.buckets)} buckets and one")
        self._check(labels)
        return HistogramSample(self, labels, value)

    def _check(self, labels: tuple[str, ...]) -> None:
        if len(labels) != len(self.labels):
            raise CatalogueError(f"{self.name}: {len(labels)} label values for {len(self.labels)} labels")
        for label, text in zip(self.labels, labels, strict=True):
            if label.domain and text not in label.domain:
                raise CatalogueError(f"{self.name}: {label.name}={text!r} is not one of {', '.join(label.domain)}")


class Sample(NamedTuple):
    """A value of one metric at the time it was read."""

    metric: Metric
    labels: tuple[str, ...]
    value: float


class Exemplar(NamedTuple):
    """One value of a bucket with the trace that it was measured in (OpenMetrics 1.0, "Exemplars").

    Args:
        value: in the metric's unit.
        trace_id: 16 bytes.
        span_id: 8 bytes.
        time: when, in seconds since the epoch.
    """

    value: float
    trace_id: bytes
    span_id: bytes
    time: float


class HistogramValue(NamedTuple):
    """What a histogram has counted.

    Args:
        counts: values in each bucket alone, not in those below it; the last is for what lies above all bounds.
        sum: of all values, in the metric's unit.
        exemplars: the latest of a bucket, by its place in the counts.
    """

    counts: tuple[int, ...]
    sum: float
    exemplars: Mapping[int, Exemplar] = {}


class HistogramSample(NamedTuple):
    """The state of one histogram at the time it was read; has the shape of a :class:`Sample`, which stays plain."""

    metric: Metric
    labels: tuple[str, ...]
    value: HistogramValue


AnySample = Sample | HistogramSample
"""What can be exported."""


def metrics_of(module: ModuleType) -> Iterator[Metric]:
    """Every metric that a module of the catalogue defines, in the order of its source text."""
    for value in vars(module).values():
        if isinstance(value, Metric):
            yield value
