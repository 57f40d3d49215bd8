"""The rules of dashboard-linter and of the grid hold, and each of them finds its fault."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grafanalib import core

from natobs.errors import CatalogueError
from natobs.generate.dashboards.layout import Row, Tile, placed
from tests import dashboard_lint as lint
from tests.dashboard_files import PATHS, dashboards, exclusions, first, load, on_call, plain, plain_panel, say, variable

Json = dict[str, Any]


@pytest.fixture
def dashboard() -> Json:
    return on_call()


def test_the_rules_of_the_linter_hold_but_for_documented_exclusions() -> None:
    found = [one for dashboard in dashboards() for one in lint.lint(dashboard)]
    left, unused = lint.without(found, exclusions())
    assert left == []
    assert unused == []
    assert all(one["reason"] for one in exclusions().values())
    checked = sum(len(lint.shown(one)) for one in dashboards())
    say(f"{len(PATHS)} dashboards, {checked} panels; allowed: {dict(Counter(one.rule for one in found))}")
    assert len(PATHS) == 4
    assert checked > 100


def change(target: Json, old: str, new: str) -> None:
    assert old in target["expr"]
    target["expr"] = target["expr"].replace(old, new)


FAULTS: dict[str, tuple[str, Callable[[Json], object]]] = {
    "two data sources": (
        "template-datasource-rule",
        lambda d: d["templating"]["list"].append(variable(d, "datasource") | {"name": "another"}),
    ),
    "another label": ("template-datasource-rule", lambda d: variable(d, "datasource").update(label="Source")),
    "no job": ("template-job-rule", lambda d: d["templating"]["list"].remove(variable(d, "job"))),
    "one job": ("template-job-rule", lambda d: variable(d, "job").update(multi=False)),
    "any instance": ("template-instance-rule", lambda d: variable(d, "instance").update(allValue=".*")),
    "fixed source of instances": (
        "template-instance-rule",
        lambda d: variable(d, "instance").update(datasource={"type": "prometheus", "uid": "abc"}),
    ),
    "no PromQL in a variable": (
        "template-label-promql-rule",
        lambda d: variable(d, "nat").update(query="label_values(natobs_build_info{, nat)"),
    ),
    "an unknown function in a variable": (
        "template-label-promql-rule",
        lambda d: variable(d, "nat").update(query="label_value(natobs_build_info, nat)"),
    ),
    "looked up once": ("template-on-time-change-reload-rule", lambda d: variable(d, "subnet").update(refresh=1)),
    "fixed source of a panel": ("panel-datasource-rule", lambda d: first(d)["datasource"].update(uid="abc")),
    "fixed source of a query": ("panel-datasource-rule", lambda d: plain(d)["datasource"].update(uid="abc")),
    "no title": ("panel-title-description-rule", lambda d: plain_panel(d).update(title="")),
    "no description": ("panel-title-description-rule", lambda d: first(d, "gauge").pop("description")),
    "an unknown unit": ("panel-units-rule", lambda d: first(d)["fieldConfig"]["defaults"].update(unit="parsec")),
    "no unit": ("panel-units-rule", lambda d: first(d, "stat")["fieldConfig"]["defaults"].pop("unit")),
    "no query": ("panel-no-targets-rule", lambda d: first(d).update(targets=[])),
    "no PromQL": ("target-promql-rule", lambda d: plain(d).update(expr="sum(rate(x[$__rate_interval])")),
    "fixed window": ("target-rate-interval-rule", lambda d: change(plain(d), "$__rate_interval", "5m")),
    "all jobs": ("target-job-rule", lambda d: change(plain(d), 'job=~"$job", ', "")),
    "exact instance": ("target-instance-rule", lambda d: change(plain(d), 'instance=~"$', 'instance="$')),
    "a counter as it is": (
        "target-counter-agg-rule",
        lambda d: plain(d).update(expr='x_total{job=~"$job", instance=~"$instance"}'),
    ),
    "the mean of a counter": (
        "target-counter-agg-rule",
        lambda d: plain(d).update(expr='avg_over_time(x_total{job=~"$job", instance=~"$instance"}[$__rate_interval])'),
    ),
    "editable": ("uneditable-dashboard-rule", lambda d: d.update(editable=True)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_rule_of_the_linter_finds_its_fault(fault: str, dashboard: Json) -> None:
    rule, plant = FAULTS[fault]
    plant(dashboard)
    left, _ = lint.without(lint.lint(dashboard), exclusions())
    assert {one.rule for one in left} == {rule}


def test_all_fifteen_rules_are_planted() -> None:
    assert len({rule for rule, _ in FAULTS.values()}) == 15


def test_an_exclusion_that_allows_nothing_is_found(dashboard: Json) -> None:
    dead = {"target-job-rule": {"reason": "", "entries": [{"dashboard": dashboard["title"], "panel": "gone"}]}}
    assert lint.without([], dead)[1]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_panels_lie_side_by_side(path: Path) -> None:
    assert list(lint.layout(load(path))) == []
    assert list(lint.gaps(load(path))) == []


LAYOUT_FAULTS: dict[str, Callable[[list[Json]], object]] = {
    "overlap": lambda panels: panels[2]["gridPos"].update(panels[1]["gridPos"]),
    "have": lambda panels: panels[2].update(id=panels[1]["id"]),
    "outside": lambda panels: panels[2]["gridPos"].update(x=20, w=10),
}


@pytest.mark.parametrize("words", LAYOUT_FAULTS)
def test_panels_that_do_not_are_found(words: str, dashboard: Json) -> None:
    LAYOUT_FAULTS[words](dashboard["panels"])
    assert any(words in one for one in lint.layout(dashboard))


def test_panels_that_overlap_inside_of_a_row_are_found(dashboard: Json) -> None:
    row = next(panel for panel in dashboard["panels"] if len(panel.get("panels", [])) > 1)
    row["panels"][1]["gridPos"] = row["panels"][0]["gridPos"]
    assert any("overlap" in one for one in lint.layout(dashboard))


def test_lines_that_end_early_are_found(dashboard: Json) -> None:
    assert list(lint.gaps(dashboard)) == []
    next(panel for panel in lint.shown(dashboard) if panel["title"] == "Throughput")["gridPos"]["w"] = 7
    assert len(list(lint.gaps(dashboard))) == 1


def test_tiles_flow_into_lines_of_equal_height() -> None:
    sizes = ((12, 8), (12, 9), (12, 9), (6, 9))
    tiles = tuple(Tile(core.Stat(title=f"{place}"), *size) for place, size in enumerate(sizes))
    row, *panels = placed([Row("row", tiles)])
    assert (row.gridPos.y, row.gridPos.w) == (0, 24)
    assert [(one.gridPos.x, one.gridPos.y) for one in panels] == [(0, 1), (0, 9), (12, 9), (0, 18)]


def test_a_tile_wider_than_the_grid_is_refused() -> None:
    with pytest.raises(CatalogueError, match="wider"):
        placed([Row("row", (Tile(core.Stat(title="one"), 25, 8),))])
