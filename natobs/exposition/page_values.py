"""The values of one round as the page needs them: by metric, with what has changed since an earlier round.

Knows samples; refuses to know how anything looks.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from natobs.catalogue.types import HistogramSample, Kind, Metric, Sample
from natobs.collectors.runner import Snapshot


class Share(NamedTuple):
    """How much of a counter is in another one.

    Args:
        sample: of the whole.
        whole: how much was counted.
        part: how much of it is in the other counter; a little more where the two were read one after the other.
        recent: since an earlier round, and not since the counter began.
    """

    sample: Sample
    whole: float
    part: float
    recent: bool


class Values:
    """The samples of a round by metric, with rates against an earlier round."""

    def __init__(self, latest: Snapshot, base: Snapshot | None) -> None:
        self.outcomes = {outcome.collector: outcome for outcome in latest.outcomes}
        self._samples: dict[Metric, list[Sample]] = {}
        for sample in _all(latest):
            self._samples.setdefault(sample.metric, []).append(sample)
        self._distributions: dict[Metric, list[HistogramSample]] = {}
        for outcome in latest.outcomes:
            for distribution in outcome.distributions:
                self._distributions.setdefault(distribution.metric, []).append(distribution)
        self._before = {(sample.metric, sample.labels): sample.value for sample in _all(base)} if base else {}
        self._seconds = latest.time - base.time if base else 0.0

    def of(self, metric: Metric) -> Sequence[Sample]:
        """Every sample of a metric, in the collector's order."""
        return self._samples.get(metric, ())

    def distributions_of(self, metric: Metric) -> Sequence[HistogramSample]:
        """Every series of a histogram, in the collector's order."""
        return self._distributions.get(metric, ())

    def rate(self, sample: Sample) -> float | None:
        """Increase per second; None for gauges, without an earlier value, and after a reset."""
        before = self._before.get((sample.metric, sample.labels))
        if sample.metric.kind is not Kind.COUNTER or before is None or self._seconds <= 0 or sample.value < before:
            return None
        return (sample.value - before) / self._seconds

    def increase(self, sample: Sample) -> float | None:
        """What a counter has counted since the earlier round; None as for :meth:`rate`. A new series began at zero."""
        before = self._before.get((sample.metric, sample.labels), 0.0) if self._before else None
        if sample.metric.kind is not Kind.COUNTER or before is None or sample.value < before:
            return None
        return sample.value - before

    def shares(self, pair: tuple[Metric, Metric]) -> list[Share]:
        """What of the second metric is in the first, by labels, where most is missing first: since the earlier round.

        Where nothing was counted since, or there is no earlier round, of all that was ever counted.
        """
        parts = {sample.labels: sample for sample in self.of(pair[0])}
        found = [
            Share(sample, more, self.increase(parts[sample.labels]) or 0.0, recent=True)
            if (more := self.increase(sample))
            else Share(sample, sample.value, parts[sample.labels].value, recent=False)
            for sample in self.of(pair[1])
            if sample.labels in parts
        ]
        return sorted(found, key=lambda share: (not share.recent, share.part - share.whole, -share.whole))

    def ratio(self, pair: tuple[Metric, Metric]) -> float | None:
        """Quotient of two metrics that have one sample each; None when one is unknown or the divisor is zero."""
        above, below = (self.of(metric) for metric in pair)
        return above[0].value / below[0].value if above and below and below[0].value else None


def _all(snapshot: Snapshot) -> Iterator[Sample]:
    for outcome in snapshot.outcomes:
        yield from outcome.samples
