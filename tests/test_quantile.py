import pytest

from natobs.catalogue.types import HistogramSample, HistogramValue, Kind, Metric
from natobs.exposition.quantile import quantile

METRIC = Metric("natobs_test_seconds", Kind.HISTOGRAM, "Test", "test", unit="seconds", buckets=(1.0, 3.0, 7.0))


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((0, 0, 0, 0), 0.5, None),
        ((4, 0, 0, 0), 0.5, 0.5),
        ((0, 4, 0, 0), 0.25, 1.5),
        ((2, 4, 4, 0), 0.5, 2.5),
        ((2, 4, 4, 0), 0.99, 6.9),
        ((0, 0, 0, 9), 0.5, 7.0),
        ((5, 0, 5, 0), 0.5, 1.0),
        ((5, 0, 5, 0), 0.6, 3.8),
    ],
)
def test_a_quantile_is_interpolated_in_its_bucket(
    counts: tuple[int, ...], share: float, expected: float | None
) -> None:
    found = quantile(HistogramSample(METRIC, (), HistogramValue(counts, 0.0)), share)
    assert found == pytest.approx(expected)
