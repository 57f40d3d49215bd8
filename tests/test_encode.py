import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from natobs.catalogue.metrics import agent, conntrack, probes
from natobs.catalogue.types import (
    AnySample,
    Exemplar,
    HistogramSample,
    HistogramValue,
    Kind,
    Label,
    Metric,
    Sample,
    metrics_of,
)
from natobs.exposition.encode import encode

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

DEVICE = Label("device", "an interface", bound="the interfaces")
REASON = Label("reason", "why", bound="the reasons")
DROPS = Metric("natobs_test_drops_total", Kind.COUNTER, 'Drops \\ of "packets"', "test", labels=(DEVICE, REASON))
ENTRIES = Metric("natobs_test_entries", Kind.GAUGE, "Entries", "test")
SIZE = Metric("natobs_test_size_bytes", Kind.GAUGE, "Size", "test", unit="bytes", labels=(DEVICE,))
BUILD = Metric("natobs_test_build_info", Kind.INFO, "Build", "test", labels=(Label("version", "it", bound="one"),))
TIMES = Metric(
    "natobs_test_time_seconds",
    Kind.HISTOGRAM,
    "Times",
    "test",
    unit="seconds",
    labels=(DEVICE,),
    buckets=(0.000_02, 0.1, 1, 2.5),
)
ALL = (DROPS, ENTRIES, SIZE, BUILD)

label_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text('\\"\n{},= é', max_size=8)
whole_numbers = st.integers(-(2**53), 2**53)
gauges = st.floats() | whole_numbers
counters = st.floats(min_value=0, allow_nan=False) | st.integers(0, 2**53)


@st.composite
def sample_sets(draw: st.DrawFn) -> list[Sample]:
    samples: dict[tuple[Metric, tuple[str, ...]], Sample] = {}
    for metric in draw(st.lists(st.sampled_from(ALL), max_size=12)):
        labels = tuple(draw(label_texts) for _ in metric.labels)
        value = 1.0 if metric is BUILD else draw(counters if metric is DROPS else gauges)
        samples.setdefault((metric, labels), metric.sample(value, *labels))
    return list(samples.values())


def expected(samples: list[Sample]) -> set[tuple[str, frozenset[tuple[str, str]], str]]:
    # repr tells NaN from others and -0.0 is written as 0, which compares equal: normalise it.
    return {
        (s.metric.name, frozenset(zip(s.metric.label_names, s.labels, strict=True)), repr(float(s.value) + 0.0))
        for s in samples
    }


@given(sample_sets())
def test_text_format_gives_back_the_same_samples(samples: list[Sample]) -> None:
    encoded = encode(samples)
    families = list(text_string_to_metric_families(encoded.body.decode()))
    parsed = [s for family in families for s in family.samples]
    assert {(s.name, frozenset(s.labels.items()), repr(s.value + 0.0)) for s in parsed} == expected(samples)
    assert len(parsed) == len(samples)
    assert encoded.dropped == 0
    assert encoded.content_type == TEXT_TYPE


@given(sample_sets())
def test_openmetrics_gives_back_the_same_samples(samples: list[Sample]) -> None:
    encoded = encode(samples, OPENMETRICS)
    families = list(openmetrics_parser.text_string_to_metric_families(encoded.body.decode()))  # type: ignore[no-untyped-call] # it has no annotations
    parsed = [s for family in families for s in family.samples]
    assert {(s.name, frozenset(s.labels.items()), repr(float(s.value) + 0.0)) for s in parsed} == expected(samples)
    assert len(parsed) == len(samples)
    kinds = {family.name: (family.type, family.unit) for family in families}
    assert kinds.items() <= {
        ("natobs_test_drops", ("counter", "")),
        ("natobs_test_entries", ("gauge", "")),
        ("natobs_test_size_bytes", ("gauge", "bytes")),
        ("natobs_test_build", ("info", "")),
    }


@st.composite
def histogram_sets(draw: st.DrawFn) -> list[HistogramSample]:
    devices = draw(st.lists(label_texts, unique=True, max_size=4))
    counts = st.tuples(*[st.integers(0, 2**40)] * 5)
    totals = st.floats(0, 1e12)
    return [TIMES.distribution(HistogramValue(draw(counts), draw(totals)), device) for device in devices]


def expected_of_histograms(samples: list[HistogramSample]) -> set[tuple[str, frozenset[tuple[str, str]], float]]:
    wanted: set[tuple[str, frozenset[tuple[str, str]], float]] = set()
    for _metric, (device,), (counts, total, _exemplars) in samples:
        labels = {("device", device)}
        for number, bound in enumerate(("2e-05", "0.1", "1.0", "2.5", "+Inf"), 1):
            wanted.add(("natobs_test_time_seconds_bucket", frozenset(labels | {("le", bound)}), sum(counts[:number])))
        wanted.add(("natobs_test_time_seconds_count", frozenset(labels), sum(counts)))
        wanted.add(("natobs_test_time_seconds_sum", frozenset(labels), total))
    return wanted


@given(histogram_sets(), sample_sets())
def test_histograms_come_back_from_both_formats(histograms: list[HistogramSample], others: list[Sample]) -> None:
    samples: list[AnySample] = [*histograms, *others]
    text, openmetrics = encode(samples), encode(samples, OPENMETRICS)
    assert (text.dropped, openmetrics.dropped) == (0, 0)
    for families in (
        list(text_string_to_metric_families(text.body.decode())),
        # Besides the values it checks order, bounds and sums of buckets.
        list(openmetrics_parser.text_string_to_metric_families(openmetrics.body.decode())),  # type: ignore[no-untyped-call] # it has no annotations
    ):
        found = [family for family in families if family.name == "natobs_test_time_seconds"]
        assert [family.type for family in found] == ["histogram"] * bool(histograms)
        parsed = {(s.name, frozenset(s.labels.items()), s.value) for family in found for s in family.samples}
        assert parsed == expected_of_histograms(histograms)
        assert sum(len(family.samples) for family in families) == 7 * len(histograms) + len(others)


def test_a_histogram_is_written_in_ascending_order_with_its_sum_and_count() -> None:
    plain = Metric("natobs_test_rtt", Kind.HISTOGRAM, "Round trips", "test", buckets=(0.5, 1))
    body = encode([plain.distribution(HistogramValue((1, 0, 2), 7.25))]).body.decode()
    assert body.splitlines() == [
        "# HELP natobs_test_rtt Round trips",
        "# TYPE natobs_test_rtt histogram",
        'natobs_test_rtt_bucket{le="0.5"} 1',
        'natobs_test_rtt_bucket{le="1.0"} 1',
        'natobs_test_rtt_bucket{le="+Inf"} 3',
        "natobs_test_rtt_sum 7.25",
        "natobs_test_rtt_count 3",
    ]


@given(
    st.dictionaries(st.integers(0, 4), st.tuples(st.floats(0, 1e9), st.binary(min_size=24, max_size=24)), min_size=1)
)
def test_exemplars_come_back_from_openmetrics_and_are_not_in_the_text_format(
    given_exemplars: dict[int, tuple[float, bytes]],
) -> None:
    exemplars = {
        place: Exemplar(value, identity[:16], identity[16:], 1_700_000_000.25)
        for place, (value, identity) in given_exemplars.items()
    }
    sample = TIMES.distribution(HistogramValue((1, 2, 3, 4, 5), 6.5, exemplars), 'a "quoted" # name')
    body = encode([sample], OPENMETRICS).body.decode()
    (family,) = openmetrics_parser.text_string_to_metric_families(body)  # type: ignore[no-untyped-call] # it has no annotations
    found = [one.exemplar for one in family.samples if one.name.endswith("_bucket")]
    read = {place: (one.labels, one.value, float(one.timestamp)) for place, one in enumerate(found) if one}
    assert read == {
        place: (
            {"trace_id": exemplar.trace_id.hex(), "span_id": exemplar.span_id.hex()},
            exemplar.value,
            1_700_000_000.25,
        )
        for place, exemplar in exemplars.items()
    }
    assert not [one for one in family.samples if one.exemplar and not one.name.endswith("_bucket")]
    plain = HistogramValue((1, 2, 3, 4, 5), 6.5)
    assert encode([sample]).body == encode([TIMES.distribution(plain, 'a "quoted" # name')]).body


def test_a_histogram_that_is_none_is_dropped_and_does_not_break_the_others() -> None:
    wrong: list[AnySample] = [
        Sample(TIMES, ("a",), 1.0),
        HistogramSample(TIMES, ("b",), HistogramValue((1, 2), 3.0)),
        HistogramSample(SIZE, ("c",), HistogramValue((1, 2), 3.0)),
        ENTRIES.sample(3),
    ]
    encoded = encode(wrong)
    assert encoded.dropped == 3
    assert encoded.body.decode().splitlines()[-1] == "natobs_test_entries 3"
    assert len(encoded.body.decode().splitlines()) == 3


def test_families_are_sorted_and_contiguous_whatever_the_order_of_the_samples() -> None:
    samples = [SIZE.sample(2, "b"), ENTRIES.sample(7), SIZE.sample(1, "a"), DROPS.sample(3, "eth0", "full")]
    assert encode(samples).body.decode().splitlines() == [
        r'# HELP natobs_test_drops_total Drops \\ of "packets"',
        "# TYPE natobs_test_drops_total counter",
        'natobs_test_drops_total{device="eth0",reason="full"} 3',
        "# HELP natobs_test_entries Entries",
        "# TYPE natobs_test_entries gauge",
        "natobs_test_entries 7",
        "# HELP natobs_test_size_bytes Size",
        "# TYPE natobs_test_size_bytes gauge",
        'natobs_test_size_bytes{device="b"} 2',
        'natobs_test_size_bytes{device="a"} 1',
    ]


def test_info_is_a_gauge_in_text_and_an_info_in_openmetrics() -> None:
    samples = [BUILD.sample(1, "1.2")]
    assert "# TYPE natobs_test_build_info gauge" in encode(samples).body.decode()
    assert "# TYPE natobs_test_build info" in encode(samples, OPENMETRICS).body.decode()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
        (float("nan"), "NaN"),
        (2**53, "9007199254740992"),
        (1e16, "1e+16"),
        (-3.0, "-3"),
        (0.1, "0.1"),
    ],
)
def test_values_are_written_as_go_reads_them(value: float, text: str) -> None:
    assert f"natobs_test_entries {text}\n" in encode([ENTRIES.sample(value)]).body.decode()


def test_a_repeated_label_set_keeps_its_first_value_and_is_counted() -> None:
    encoded = encode([SIZE.sample(1, "a"), SIZE.sample(2, "a"), ENTRIES.sample(3), ENTRIES.sample(4)])
    assert encoded.dropped == 2
    assert 'natobs_test_size_bytes{device="a"} 1\n' in encoded.body.decode()
    assert "natobs_test_entries 3\n" in encoded.body.decode()


def test_a_sample_with_too_few_labels_is_dropped_and_does_not_break_the_others() -> None:
    encoded = encode([Sample(DROPS, ("eth0",), 1), ENTRIES.sample(3)])
    assert encoded.dropped == 1
    assert b"natobs_test_drops_total" not in encoded.body
    assert b"natobs_test_entries 3\n" in encoded.body


def test_an_undecodable_byte_of_the_kernel_does_not_break_a_scrape() -> None:
    name = b"eth\xff".decode(errors="surrogateescape")
    assert b'natobs_test_size_bytes{device="eth?"} 1\n' in encode([SIZE.sample(1, name)]).body


def test_nothing_to_say_is_still_valid() -> None:
    assert encode([]).body == b""
    assert encode([], OPENMETRICS).body == b"# EOF\n"


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT_TYPE),
        ("*/*", TEXT_TYPE),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", TEXT_TYPE),
        (PROMETHEUS_2, OPENMETRICS_TYPE),
        (PROMETHEUS_3, f"{OPENMETRICS_TYPE}; escaping=underscores"),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT_TYPE),
        ("application/openmetrics-text;q=0.3, text/plain;q=0.4", TEXT_TYPE),
        ("text/plain;q=0.3, Application/OpenMetrics-Text;q=0.4", OPENMETRICS_TYPE),
        ("text/*;q=0.1, application/*", OPENMETRICS_TYPE),
        ("application/openmetrics-text;q=0, */*;q=0.5", TEXT_TYPE),
        ("application/json", TEXT_TYPE),
        ("application/openmetrics-text;q=high", TEXT_TYPE),
        (",;=,q=;;,", TEXT_TYPE),
    ],
)
def test_negotiation(accept: str, content_type: str) -> None:
    assert encode([ENTRIES.sample(1)], accept).content_type == content_type


def test_promtool_finds_nothing_to_say() -> None:
    metrics = [*metrics_of(agent), *metrics_of(conntrack), *metrics_of(probes)]
    samples: list[AnySample] = []
    for metric in metrics:
        labels = tuple(label.domain[0] if label.domain else 'a "\\\n b' for label in metric.labels)
        counts = HistogramValue((2,) * (len(metric.buckets) + 1), 1.5)
        samples.append(metric.distribution(counts, *labels) if metric.buckets else metric.sample(1, *labels))
    assert len(samples) > 30
    encoded = encode(samples)
    check = subprocess.run(["promtool", "check", "metrics"], input=encoded.body, capture_output=True, check=False)
    assert (check.returncode, check.stdout, check.stderr) == (0, b"", b"")
