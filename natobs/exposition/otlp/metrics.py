"""Samples to the metrics of OTLP.

Names stay as they are in Prometheus, with ``_total`` and the unit; the
OpenTelemetry specification ("Prometheus and OpenMetrics Compatibility") wants
that by default of whoever turns Prometheus' metrics into OTLP. A consumer that
adds suffixes finds them there, one that does not finds the names that rules and
dashboards use. Knows the two data models; refuses to know how they travel.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from opentelemetry.sdk.metrics import Exemplar as OtlpExemplar
from opentelemetry.sdk.metrics import export
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from natobs import __version__
from natobs.catalogue.types import AnySample, Exemplar, HistogramValue, Kind, Metric, Start
from natobs.exposition.otlp.delivery import Round

SCOPE = InstrumentationScope("natobs", __version__)
_NANOSECONDS = 1e9
_UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}
"""UCUM. Other units, and counts, have none: to a gauge with the unit 1 consumers add ``_ratio``, to one per second they
add ``_per_second`` even where the name ends with it."""
_UNKNOWN = cast("float", None)
"""The least and greatest value of a histogram, which is not kept; the encoder leaves it out."""


def metrics_data(taken: Round, resource: Resource, began: Mapping[Start, float]) -> export.MetricsData:
    """One round as OTLP has it. Of samples with the same name and labels the first is kept, as in a scrape.

    Args:
        taken: the round.
        resource: who reports.
        began: when counters were zero, in seconds since the epoch.
    """
    starts = {start: nanoseconds(min(moment, taken.time)) for start, moment in began.items()}
    times = _Times(starts, nanoseconds(taken.time), taken.since)
    metrics = [
        export.Metric(row.name, row.help, _UNITS.get(row.unit, ""), _data(row, points, times))
        for row, points in _group(taken.samples).items()
    ]
    scoped = export.ScopeMetrics(SCOPE, metrics, "")
    return export.MetricsData([export.ResourceMetrics(resource, [scoped], "")])


def nanoseconds(seconds: float) -> int:
    """Seconds since the epoch as OTLP has them."""
    return max(0, round(seconds * _NANOSECONDS))


def readable(text: str) -> str:
    """Text that protobuf takes: a lone surrogate (an undecodable byte of a kernel string) is replaced."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


_Points = dict[tuple[str, ...], float | HistogramValue]


class _Times(NamedTuple):
    starts: Mapping[Start, int]
    now: int
    since: float


def _group(samples: Iterable[AnySample]) -> dict[Metric, _Points]:
    found: dict[Metric, _Points] = {}
    for row, labels, value in samples:
        counts = len(value.counts) if isinstance(value, HistogramValue) else 1
        if len(labels) == len(row.labels) and counts == len(row.buckets) + 1:
            found.setdefault(row, {}).setdefault(labels, value)
    return found


def _data(row: Metric, points: _Points, times: _Times) -> export.DataT:
    cumulative = export.AggregationTemporality.CUMULATIVE
    if row.kind is Kind.HISTOGRAM:
        found = points.items()
        return export.Histogram(
            [_histogram(row, labels, value, times) for labels, value in found if isinstance(value, HistogramValue)],
            cumulative,
        )
    # Floats throughout, as in Prometheus: a counter of the kernel need not fit into OTLP's 63 bits.
    start = times.starts[row.start] if row.kind is Kind.COUNTER else 0  # 0: a gauge has none
    numbers = [
        export.NumberDataPoint(_attributes(row, labels), start, times.now, float(value))
        for labels, value in points.items()
        if not isinstance(value, HistogramValue)
    ]
    return export.Sum(numbers, cumulative, is_monotonic=True) if row.kind is Kind.COUNTER else export.Gauge(numbers)


def _histogram(row: Metric, labels: tuple[str, ...], value: HistogramValue, times: _Times) -> export.HistogramDataPoint:
    return export.HistogramDataPoint(
        attributes=_attributes(row, labels),
        start_time_unix_nano=times.starts[row.start],
        time_unix_nano=times.now,
        count=sum(value.counts),
        sum=float(value.sum),
        bucket_counts=value.counts,
        explicit_bounds=row.buckets,
        min=_UNKNOWN,
        max=_UNKNOWN,
        exemplars=[_exemplar(one) for one in value.exemplars.values() if one.time > times.since],
    )


def _attributes(row: Metric, labels: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(row.label_names, map(readable, labels), strict=True))


def _exemplar(exemplar: Exemplar) -> OtlpExemplar:
    trace, span = (int.from_bytes(identity, "big") for identity in (exemplar.trace_id, exemplar.span_id))
    return OtlpExemplar({}, exemplar.value, nanoseconds(exemplar.time), span, trace)
