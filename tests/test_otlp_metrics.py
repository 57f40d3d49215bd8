import math

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.sdk.resources import Resource

from natobs.catalogue.types import (
    AnySample,
    Exemplar,
    HistogramSample,
    HistogramValue,
    Kind,
    Label,
    Metric,
    Sample,
    Start,
)
from natobs.catalogue.types import metrics_of as rows_of
from natobs.exposition.otlp.delivery import Round
from natobs.exposition.otlp.metrics import metrics_data
from natobs.generate.metric_reference import modules
from tests.otlp_receiver import attributes, metrics_of, series_of

DEVICE = Label("device", "an interface", bound="the interfaces")
DROPS = Metric("natobs_test_drops_total", Kind.COUNTER, "Drops", "test", labels=(DEVICE,))
SIZE = Metric("natobs_test_size_bytes", Kind.GAUGE, "Size", "test", unit="bytes", labels=(DEVICE,))
SHARE = Metric("natobs_test_fill_ratio", Kind.GAUGE, "Fill", "test", unit="ratio")
PEAK = Metric("natobs_test_bytes_per_second", Kind.GAUGE, "Peak", "test", unit="bytes_per_second")
BUILD = Metric("natobs_test_build_info", Kind.INFO, "Build", "test", labels=(Label("version", "it", bound="one"),))
TIMES = Metric("natobs_test_time_seconds", Kind.HISTOGRAM, "Times", "test", unit="seconds", buckets=(0.1, 1))
OWN = Metric("natobs_test_own_total", Kind.COUNTER, "Own", "test", start=Start.PROCESS)
KEPT = Metric("natobs_test_kept_total", Kind.COUNTER, "Kept", "test", start=Start.KEPT)
OWN_TIMES = Metric(
    "natobs_test_own_seconds", Kind.HISTOGRAM, "Own", "test", unit="seconds", buckets=(1,), start=Start.PROCESS
)
NOW = 1_700_000_000.5


def starts(began: float) -> dict[Start, float]:
    return {Start.HOST: began, Start.PROCESS: began + 1000, Start.KEPT: 0.0}


def sent(*samples: AnySample, since: float = 0.0, began: float = 1_600_000_000.0) -> dict[str, metrics_pb2.Metric]:
    """Convert, and encode to the protobuf that travels."""
    request = encode_metrics(metrics_data(Round(NOW, since, samples), Resource({"nat_cluster": "a"}), starts(began)))
    assert attributes(request.resource_metrics[0].resource.attributes) == {"nat_cluster": "a"}
    decoded = type(request).FromString(request.SerializeToString())
    return {metric.name: metric for metric in metrics_of(decoded)}


def suffixed(name: str, unit: str, kind: Kind) -> str:
    """The name that a consumer makes which adds the suffixes of Prometheus.

    As "Prometheus and OpenMetrics Compatibility" of the OpenTelemetry specification has it, and the Prometheus
    exporter of its collector: words that are there are not added again, ``total`` and ``ratio`` go to the end.
    """
    words = name.split("_")
    unit_words = {"s": "seconds", "By": "bytes", "1": "", "": ""}
    if unit_words[unit] and unit_words[unit] not in words:
        words.append(unit_words[unit])
    if kind is Kind.COUNTER:
        words = [*(word for word in words if word != "total"), "total"]
    if unit == "1" and kind is not Kind.COUNTER:
        words = [*(word for word in words if word != "ratio"), "ratio"]
    return "_".join(words)


@pytest.mark.parametrize("row", [row for module in modules() for row in rows_of(module)], ids=lambda row: row.name)
def test_every_name_of_the_catalogue_comes_back_from_a_consumer_that_adds_suffixes(row: Metric) -> None:
    labels = tuple(label.domain[0] if label.domain else "x" for label in row.labels)
    counts = HistogramValue((1,) * (len(row.buckets) + 1), 1.5)
    sample = row.distribution(counts, *labels) if row.buckets else row.sample(1, *labels)
    (metric,) = sent(sample).values()
    assert metric.name == row.name
    assert suffixed(metric.name, metric.unit, row.kind) == row.name
    assert metric.description == row.help
    kinds = {Kind.COUNTER: "sum", Kind.GAUGE: "gauge", Kind.INFO: "gauge", Kind.HISTOGRAM: "histogram"}
    assert metric.WhichOneof("data") == kinds[row.kind]


def test_units_are_those_of_ucum_or_none() -> None:
    found = sent(SIZE.sample(1, "a"), SHARE.sample(0.5), PEAK.sample(7), DROPS.sample(1, "a"))
    units = {name: metric.unit for name, metric in found.items()}
    assert units == {SIZE.name: "By", SHARE.name: "1", PEAK.name: "", DROPS.name: ""}


def test_a_counter_is_cumulative_monotonic_and_began_when_it_was_zero() -> None:
    total = sent(DROPS.sample(3, "a"), DROPS.sample(2**64, "b"))[DROPS.name].sum
    assert total.is_monotonic
    assert total.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    assert [(point.as_double, attributes(point.attributes)) for point in total.data_points] == [
        (3.0, {"device": "a"}),
        (2.0**64, {"device": "b"}),
    ]
    assert {point.start_time_unix_nano for point in total.data_points} == {1_600_000_000 * 10**9}
    assert {point.time_unix_nano for point in total.data_points} == {1_700_000_000_500_000_000}


def test_what_natobs_counts_began_with_its_process_and_a_gauge_never() -> None:
    found = sent(
        OWN.sample(3), OWN_TIMES.distribution(HistogramValue((1, 2), 3.0)), DROPS.sample(1, "a"), SHARE.sample(1)
    )
    assert found[OWN.name].sum.data_points[0].start_time_unix_nano == 1_600_001_000 * 10**9
    assert found[OWN_TIMES.name].histogram.data_points[0].start_time_unix_nano == 1_600_001_000 * 10**9
    assert found[DROPS.name].sum.data_points[0].start_time_unix_nano == 1_600_000_000 * 10**9
    assert found[SHARE.name].gauge.data_points[0].start_time_unix_nano == 0


def test_what_is_kept_in_a_file_began_at_a_time_that_is_not_known() -> None:
    assert sent(KEPT.sample(3))[KEPT.name].sum.data_points[0].start_time_unix_nano == 0


def test_no_counter_begins_after_it_was_read() -> None:
    point = sent(DROPS.sample(3, "a"), began=NOW + 60)[DROPS.name].sum.data_points[0]
    assert point.start_time_unix_nano == point.time_unix_nano


def test_a_histogram_has_its_bounds_and_no_guess_of_its_extremes() -> None:
    histogram = sent(TIMES.distribution(HistogramValue((1, 0, 2), 7.25)))[TIMES.name].histogram
    assert histogram.aggregation_temporality == metrics_pb2.AGGREGATION_TEMPORALITY_CUMULATIVE
    (point,) = histogram.data_points
    assert (point.count, point.sum) == (3, 7.25)
    assert list(point.explicit_bounds) == [0.1, 1.0]
    assert list(point.bucket_counts) == [1, 0, 2]
    assert not point.HasField("min")
    assert not point.HasField("max")
    assert point.start_time_unix_nano < point.time_unix_nano


def test_an_exemplar_is_pushed_once() -> None:
    exemplars = {
        0: Exemplar(0.05, b"\x01" * 16, b"\x02" * 8, NOW - 20),
        2: Exemplar(3.5, b"\x03" * 16, b"\x04" * 8, NOW - 1.25),
    }
    sample = TIMES.distribution(HistogramValue((1, 0, 2), 7.25, exemplars))
    assert len(sent(sample)[TIMES.name].histogram.data_points[0].exemplars) == 2
    (exemplar,) = sent(sample, since=NOW - 15)[TIMES.name].histogram.data_points[0].exemplars
    assert (exemplar.trace_id, exemplar.span_id, exemplar.as_double) == (b"\x03" * 16, b"\x04" * 8, 3.5)
    assert exemplar.time_unix_nano == round((NOW - 1.25) * 1e9)


def test_what_a_scrape_leaves_out_is_left_out_here_too() -> None:
    found = sent(
        DROPS.sample(3, "a"),
        DROPS.sample(4, "a"),
        Sample(DROPS, ("a", "b"), 5),
        Sample(TIMES, (), 1.0),
        HistogramSample(TIMES, (), HistogramValue((1, 2), 3.0)),
        HistogramSample(SIZE, ("a",), HistogramValue((1, 2), 3.0)),
        BUILD.sample(1, "0.1"),
    )
    assert [point.as_double for point in found[DROPS.name].sum.data_points] == [3.0]
    assert set(found) == {DROPS.name, BUILD.name}


def test_odd_labels_and_values_do_not_stop_a_push() -> None:
    point = sent(SIZE.sample(math.nan, "eth\udcff"))[SIZE.name].gauge.data_points[0]
    assert math.isnan(point.as_double)
    assert attributes(point.attributes) == {"device": "eth?"}
    values = [sent(SIZE.sample(value, "a"))[SIZE.name].gauge.data_points[0].as_double for value in (True, math.inf)]
    assert values == [1.0, math.inf]


def test_nothing_makes_an_empty_push() -> None:
    assert series_of(encode_metrics(metrics_data(Round(NOW, 0.0, ()), Resource({}), starts(0.0)))) == {}
