"""Counters as they are exported: what is added up for one target, or for all targets that share a series.

Knows attempts and rows of the catalogue; refuses to know threads, time and which targets there are.
"""

from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Iterator

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample, Exemplar, HistogramSample, HistogramValue, Metric, Sample
from natobs.probe_config import ProbeSettings
from natobs.probes.model import Attempt, Clock, Target

_TCP_KINDS = frozenset({"tcp", "tls", "http"})
"""Kinds that always send a SYN; the others have a count of retransmissions once there was one."""
_OUTBOUND_ROWS = (
    metric.ATTEMPTS,
    metric.FIRST_ATTEMPT_SUCCESS,
    metric.RETRIES,
    metric.SUCCESS,
    metric.LATE,
    metric.CLOCK_REJECTS,
)
_ACCESS_ROWS = (metric.ACCESS_ATTEMPTS, metric.ACCESS_SUCCESS, metric.LATE, metric.CLOCK_REJECTS)
_REMEMBERED_ADDRESSES = 32
"""Observations by which an address is still known: with a pool of 8 used at random, one that is in use goes unseen
for so long in 1.4 % of cases. Also bounds the series."""

Labels = tuple[str, str, str]
"""Probe, kind and target."""


def labels_of(target: Target) -> Labels:
    """The labels of a target's counters."""
    settings = target.settings
    return settings.name, settings.kind, target.name if settings.critical else ""


def distribution_labels_of(target: Target) -> Labels:
    """The labels of a target's histograms, of which there are fewer."""
    settings = target.settings
    return (settings.name, settings.kind, target.name) if settings.critical else ("", settings.kind, "")


class Histogram:
    """Counts values into the buckets of a metric."""

    def __init__(self, row: Metric) -> None:
        self._metric = row
        self._counts = [0] * (len(row.buckets) + 1)
        self._sum = 0.0
        self._exemplars: dict[int, Exemplar] = {}

    def add(self, value: float, attempt: Attempt | None = None) -> None:
        """Count one value; an attempt that is traced becomes the exemplar of its bucket."""
        place = bisect_left(self._metric.buckets, value)
        self._counts[place] += 1
        self._sum += value
        if attempt is not None and attempt.trace is not None:
            trace, ended = attempt.trace, attempt.started + attempt.seconds
            self._exemplars[place] = Exemplar(value, trace.trace_id, trace.span_id, ended)

    def sample(self, labels: tuple[str, ...]) -> HistogramSample:
        """What has been counted."""
        value = HistogramValue(tuple(self._counts), self._sum, self._exemplars.copy())
        return self._metric.distribution(value, *labels)


class Distributions:
    """The histograms of one label set, and the time spent in each phase."""

    def __init__(self) -> None:
        self._duration = Histogram(metric.DURATION)
        self._rtt = Histogram(metric.RTT)
        self._phases: defaultdict[str, float] = defaultdict(float)

    def add(self, attempt: Attempt) -> None:
        """Count one attempt."""
        self._duration.add(attempt.seconds, attempt)
        outcome = attempt.outcome
        for phase, seconds in outcome.phases.items():
            self._phases[phase] += seconds
        if outcome.rtt is not None and outcome.clock is not Clock.USERSPACE:
            self._rtt.add(outcome.rtt, attempt)

    def samples(self, labels: Labels) -> Iterator[AnySample]:
        """What has been counted."""
        yield self._duration.sample(labels)
        yield self._rtt.sample(labels)
        for phase, seconds in self._phases.items():
            yield metric.PHASE_SECONDS.sample(seconds, *labels, phase)


class AccessDistribution:
    """The histogram of one label set of access probes."""

    def __init__(self) -> None:
        self._rtt = Histogram(metric.ACCESS_RTT)

    def add(self, attempt: Attempt) -> None:
        """Count one attempt."""
        outcome = attempt.outcome
        if outcome.rtt is not None and outcome.clock is not Clock.USERSPACE:
            self._rtt.add(outcome.rtt, attempt)

    def samples(self, labels: Labels) -> Iterator[AnySample]:
        """What has been counted."""
        yield self._rtt.sample(labels)


class Counters:
    """The counters of one label set; all but reasons, clocks and addresses exist from the start, with zero.

    Args:
        settings: the definition of its targets: with ``access`` nothing of them is in a counter of outbound attempts.
    """

    def __init__(self, settings: ProbeSettings) -> None:
        self.access = settings.access
        rows = _ACCESS_ROWS if settings.access else _OUTBOUND_ROWS
        self._counts: Counter[Metric] = Counter(dict.fromkeys(rows, 0))
        if settings.kind in _TCP_KINDS and not settings.access:
            self._counts[metric.SYN_RETRANSMITS] = 0
        self._reasons: Counter[str] = Counter()
        self._clocks: Counter[str] = Counter()
        self._addresses: deque[str] = deque(maxlen=_REMEMBERED_ADDRESSES)

    def add(self, attempt: Attempt) -> None:
        """Count one attempt."""
        outcome, counts = attempt.outcome, self._counts
        if outcome.rtt is not None and outcome.clock is not None:
            self._clocks[outcome.clock.value] += 1
        if self.access:
            if not attempt.number:
                counts[metric.ACCESS_ATTEMPTS] += 1
                counts[metric.ACCESS_SUCCESS] += outcome.success and not outcome.syn_retransmits
            return
        counts[metric.RETRIES if attempt.number else metric.ATTEMPTS] += 1
        if outcome.reason is None:
            counts[metric.SUCCESS] += 1
            if not attempt.number and not outcome.syn_retransmits:
                counts[metric.FIRST_ATTEMPT_SUCCESS] += 1
        else:
            self._reasons[outcome.reason.value] += 1
        if outcome.syn_retransmits:
            counts[metric.SYN_RETRANSMITS] += outcome.syn_retransmits

    def count(self, row: Metric) -> None:
        """Count one event that belongs to no attempt."""
        self._counts[row] += 1

    def saw(self, address: str) -> None:
        """Take note of a public address."""
        if self._addresses and address not in self._addresses:
            self._counts[metric.ADDRESS_CHANGES] += 1
        elif not self._addresses:
            self._counts[metric.ADDRESS_CHANGES] += 0
        self._addresses.append(address)

    @property
    def addresses(self) -> Counter[str]:
        """The addresses of the latest observations, and how often each was seen."""
        return Counter(self._addresses)

    def samples(self, labels: Labels) -> Iterator[AnySample]:
        """What has been counted."""
        for row, count in self._counts.items():
            yield Sample(row, labels, count)
        for reason, count in self._reasons.items():
            yield metric.FAILURES.sample(count, *labels, reason)
        for clock, count in self._clocks.items():
            yield metric.ROUND_TRIPS.sample(count, *labels, clock)
        for address in sorted(self.addresses):
            yield metric.OBSERVED_ADDRESS.sample(1, *labels, address)
