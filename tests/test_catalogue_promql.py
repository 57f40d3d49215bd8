"""Expressions are made of metrics: what is misspelt, or makes no sense, is an error; what is written is PromQL."""

import promql_parser
import pytest

from natobs.catalogue.idioms import pooled, predicted
from natobs.catalogue.metrics import accounting, conntrack, probes, taps
from natobs.catalogue.promql import (
    NOW,
    Query,
    Recorded,
    Rendering,
    Scope,
    highest,
    increase,
    over,
    rate,
    seconds,
    series,
    total,
)
from natobs.errors import CatalogueError

PLAIN = Rendering()
DROPS = conntrack.NEW_FLOW_DROPS


def text(query: Query, rendering: Rendering = PLAIN) -> str:
    written = query.text(rendering)
    promql_parser.parse(written)
    return written


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"cause": "table_full"}, "no label cause; it has reason"),
        ({"reason": "table_fool"}, "reason is never table_fool"),
        ({"reason": "~table_full|table_fool"}, "reason is never table_fool"),
        ({"reason": "!table_fool"}, "reason is never table_fool"),
    ],
)
def test_a_label_or_a_value_that_does_not_exist_is_refused(labels: dict[str, str], message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        series(DROPS, **labels)  # type: ignore[arg-type]  # none of them is "offset"


def test_a_label_that_a_recorded_series_does_not_have_is_refused() -> None:
    with pytest.raises(CatalogueError, match="nat:x:y: no label cause"):
        series(Recorded("nat:x:y", ("reason",)), cause="z")


def test_a_histogram_is_selected_by_its_parts_and_nothing_else_is() -> None:
    assert text(series(taps.RESIDENCE, "_bucket")) == "natobs_nat_residence_seconds_bucket"
    with pytest.raises(CatalogueError, match="natobs_nat_residence_seconds"):
        series(taps.RESIDENCE)
    with pytest.raises(CatalogueError, match="natobs_conntrack_entries"):
        series(conntrack.ENTRIES, "_bucket")


def test_counters_are_differentiated_and_gauges_are_not() -> None:
    assert text(rate(series(DROPS), 300)) == "rate(natobs_new_flow_drops_total[5m])"
    with pytest.raises(CatalogueError, match=r"increase\(natobs_conntrack_entries\): not a counter"):
        increase(series(conntrack.ENTRIES), 300)
    with pytest.raises(CatalogueError, match=r"max_over_time\(natobs_new_flow_drops_total\): of a counter"):
        over("max_over_time", series(DROPS), 300)
    assert "last_over_time" in text(over("last_over_time", series(DROPS), 300))


def test_matchers_are_written_as_they_are_meant() -> None:
    chosen = series(accounting.DESTINATION_ATTEMPTS, destination="!other", port="~80|443", proto="tcp")
    assert text(chosen) == 'natobs_destination_attempts_total{destination!="other", port=~"80|443", proto="tcp"}'
    assert text(series(probes.ATTEMPTS, target="!~a.+")) == 'natobs_probe_attempts_total{target!~"a.+"}'


def test_an_offset_stands_behind_the_window() -> None:
    assert text(increase(series(DROPS, offset=600), 3600)) == "increase(natobs_new_flow_drops_total[1h] offset 10m)"


@pytest.mark.parametrize(
    ("length", "scale", "written"),
    [(300, 1, "5m"), (90, 1, "90s"), (86_400, 1, "1d"), (300, 60, "5s"), (30, 60, "500ms"), (1, 1e6, "1ms")],
)
def test_durations_are_divided_by_the_scale(length: int, scale: float, written: str) -> None:
    assert Rendering(scale).duration(length) == written
    assert f"[{written}]" in text(rate(series(DROPS), length), Rendering(scale))


def test_numbers_that_are_times_are_divided_too_and_thresholds_are_not() -> None:
    since = (NOW - highest(Scope.NAT, series(conntrack.ENTRIES))) / seconds(600) > 7
    assert text(since, Rendering(60)).endswith("/ 10) > 7")
    forecast = predicted(series(conntrack.ENTRIES), 900, 3600)
    assert text(forecast, Rendering(60)) == "predict_linear(natobs_conntrack_entries[15s], 60)"


def test_the_labels_of_a_fleet_stand_in_every_scope() -> None:
    fleet = Rendering(group_labels=("region",))
    joined = total(Scope.SUBNET, increase(series(probes.ATTEMPTS), 300), "kind").both(series(DROPS), Scope.NAT)
    written = text(joined, fleet)
    assert "by (region, nat_cluster, nat, subnet, kind)" in written
    assert "on (region, nat_cluster, nat)" in written


def test_a_sum_of_parts_is_there_when_one_part_is() -> None:
    parts = pooled(Scope.NAT, "sum", one=increase(series(DROPS), 60), other=increase(series(accounting.RESETS), 60))
    written = text(parts)
    assert written.count('"part"') == 2
    assert " or " in written
    assert parts.metrics == {DROPS, accounting.RESETS}


def test_operands_that_are_operations_stand_in_parentheses() -> None:
    entries, limit = series(conntrack.ENTRIES), series(conntrack.LIMIT)
    assert text(entries / (limit > 0)) == "natobs_conntrack_entries / (natobs_conntrack_entries_limit > 0)"
    assert text((entries - limit) * 2) == "(natobs_conntrack_entries - natobs_conntrack_entries_limit) * 2"


def test_a_comparison_is_one_of_six() -> None:
    with pytest.raises(CatalogueError, match="'=~' is no comparison"):
        series(conntrack.ENTRIES).compare("=~", 1)
