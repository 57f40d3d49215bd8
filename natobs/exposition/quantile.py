"""Quantiles of histograms, as ``histogram_quantile`` of PromQL gives them. Pure."""

from natobs.catalogue.types import HistogramSample


def quantile(sample: HistogramSample, share: float) -> float | None:
    """The value below which a share of all values lies, by linear interpolation in its bucket; None without values.

    Above the last bound nothing is known: the last bound is the answer.
    """
    counts, bounds = sample.value.counts, sample.metric.buckets
    rank = share * sum(counts)
    if not rank:
        return None
    below, low = 0, 0.0
    for count, high in zip(counts, bounds, strict=False):  # the last count has no bound
        if below + count >= rank:
            return low + (high - low) * (rank - below) / count
        below, low = below + count, high
    return bounds[-1]
