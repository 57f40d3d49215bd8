import pytest

from natobs.catalogue.types import HistogramValue, Kind, Label, Metric
from natobs.errors import CatalogueError

REASON = Label("reason", "why", domain=("full", "clash"))


def metric(name: str = "natobs_thing_total", kind: Kind = Kind.COUNTER, **fields: object) -> Metric:
    row: dict[str, object] = {"help": "Things", "source": "somewhere"} | fields
    return Metric(name, kind, **row)  # type: ignore[arg-type]  # the point is to break the rules of rows


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        ({"name": "thing_total"}, "start with 'natobs_'"),
        ({"name": "natobs_Thing_total"}, "snake_case"),
        ({"name": "natobs_thing"}, "a counter ends in _total"),
        ({"name": "natobs_thing_total", "kind": Kind.GAUGE}, "a counter ends in _total"),
        ({"name": "natobs_thing_info", "kind": Kind.GAUGE}, "an info metric ends in _info"),
        ({"name": "natobs_thing", "kind": Kind.INFO}, "an info metric ends in _info"),
        ({"unit": "bytes"}, "its unit 'bytes' must be the last word"),
        ({"help": ""}, "needs a help text"),
        ({"help": "Things."}, "without a final full stop"),
        ({"source": ""}, "needs the source"),
        ({"labels": (REASON, REASON)}, "names a label twice"),
        ({"buckets": (1.0,)}, "a histogram has buckets, and nothing else does"),
        ({"name": "natobs_thing", "kind": Kind.HISTOGRAM}, "a histogram has buckets"),
        ({"name": "natobs_thing", "kind": Kind.HISTOGRAM, "buckets": (1.0, 1.0)}, "finite and ascending"),
        ({"name": "natobs_thing", "kind": Kind.HISTOGRAM, "buckets": (2.0, 1.0)}, "finite and ascending"),
        ({"name": "natobs_thing", "kind": Kind.HISTOGRAM, "buckets": (1.0, float("inf"))}, "finite and ascending"),
        ({"name": "natobs_thing", "kind": Kind.HISTOGRAM, "buckets": (float("nan"),)}, "finite and ascending"),
        ({"name": "natobs_thing_total", "kind": Kind.HISTOGRAM, "buckets": (1.0,)}, "a counter ends in _total"),
        ({"name": "natobs_thing_count", "kind": Kind.GAUGE}, "must not end in a suffix of a histogram"),
    ],
)
def test_a_row_that_breaks_a_rule_is_refused(broken: dict[str, object], rule: str) -> None:
    with pytest.raises(CatalogueError, match=rule):
        metric(**broken)  # type: ignore[arg-type]  # see metric()


def test_a_unit_stands_before_the_suffix() -> None:
    assert metric("natobs_sent_bytes_total", unit="bytes").family == "natobs_sent_bytes"


@pytest.mark.parametrize(
    ("label", "rule"),
    [
        ({"name": "Reason", "domain": ("a",)}, "snake_case"),
        ({"name": "instance", "domain": ("a",)}, "none of"),
        ({"name": "reason", "domain": ("a", "a")}, "twice"),
        ({"name": "reason"}, "what bounds it"),
    ],
)
def test_a_label_that_breaks_a_rule_is_refused(label: dict[str, object], rule: str) -> None:
    with pytest.raises(CatalogueError, match=rule):
        Label(help="why", **label)  # type: ignore[arg-type]  # the point is to break the rules of labels


def test_a_sample_has_a_value_of_the_domain_for_each_label() -> None:
    drops = metric(labels=(REASON,))
    assert drops.sample(3, "full") == (drops, ("full",), 3)
    with pytest.raises(CatalogueError, match="1 label values for 0 labels"):
        metric().sample(3, "full")
    with pytest.raises(CatalogueError, match="reason='odd' is not one of full, clash"):
        drops.sample(3, "odd")


def test_a_histogram_has_distributions_and_no_plain_values() -> None:
    times = metric("natobs_time", Kind.HISTOGRAM, labels=(REASON,), buckets=(1.0, 2.0))
    counted = HistogramValue((1, 0, 3), 9.0)
    assert times.distribution(counted, "full") == (times, ("full",), counted)
    with pytest.raises(CatalogueError, match="a histogram has no plain value"):
        times.sample(3, "full")
    with pytest.raises(CatalogueError, match="2 counts for 2 buckets and one"):
        times.distribution(HistogramValue((1, 0), 1.0), "full")
    with pytest.raises(CatalogueError, match="reason='odd' is not one of full, clash"):
        times.distribution(counted, "odd")
    with pytest.raises(CatalogueError, match="3 counts for 0 buckets"):
        metric().distribution(counted)
