"""The generated dashboards: what the linter, the schema and the catalogue ask of them, and that each check can fail."""

import copy
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from natobs.catalogue import naming, slis
from natobs.config.fleet import Fleet
from natobs.config.toml import decode
from natobs.generate.dashboards import files, watched
from natobs.generate.settings import Plan, plan
from tests import dashboard_lint as lint
from tests.dashboard_files import FOLDER, OF_PLUGIN, PATHS, ROOT, dashboards, first, load, on_call, plain, say, variable

Json = dict[str, Any]


@pytest.fixture
def dashboard() -> Json:
    return on_call()


def fleet(text: str) -> Plan:
    return plan(decode(text, "fleet.toml", Fleet))


def lost(ours: object, theirs: object, where: str = "") -> list[str]:
    """What of ours is not in theirs."""
    if isinstance(ours, dict):
        if not isinstance(theirs, dict):
            return [where]
        return [one for key in ours for one in lost(ours[key], theirs.get(key), f"{where}.{key}")]
    if isinstance(ours, list):
        if not isinstance(theirs, list) or len(ours) != len(theirs):
            return [where]
        return [
            one
            for n, (mine, other) in enumerate(zip(ours, theirs, strict=True))
            for one in lost(mine, other, f"{where}[{n}]")
        ]
    return [] if ours == theirs else [f"{where}: {ours!r} became {theirs!r}"]


def through_grafana(dashboard: Json) -> list[str]:
    """What Grafana's own types lose of a dashboard."""
    register_default_plugins()
    described = copy.deepcopy(dashboard)
    for annotation in described["annotations"]["list"]:
        for key in OF_PLUGIN & annotation.keys():
            del annotation[key]
    return lost(described, json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(described))))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_grafanas_own_types_lose_nothing(path: Path) -> None:
    assert through_grafana(load(path)) == []


SCHEMA_FAULTS: dict[str, Callable[[Json], object]] = {
    "a key of Grafana 6": lambda d: d.update(sharedCrosshair=True),
    "time ranges under their old name": lambda d: d["timepicker"].update(time_options=["5m"]),
    "the shape of a gauge in Grafana 6": lambda d: first(d, "gauge")["options"].update(
        fieldOptions={"calcs": ["mean"]}
    ),
    "a key of a query that Prometheus lacks": lambda d: plain(d).update(metric="x"),
    "a panel's key of old": lambda d: first(d).update(span=6),
    "operators in thresholds": lambda d: first(d)["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(op="gt"),
}


@pytest.mark.parametrize("fault", SCHEMA_FAULTS)
def test_grafanas_own_types_lose_what_they_do_not_know(fault: str, dashboard: Json) -> None:
    SCHEMA_FAULTS[fault](dashboard)
    assert through_grafana(dashboard)


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_the_conventions_hold(path: Path) -> None:
    made = load(path)
    assert path.stem == made["uid"]
    assert len(made["uid"]) <= 40
    assert made["id"] is None
    assert made["schemaVersion"] >= 39
    assert made["graphTooltip"] == 1
    assert made["tags"] == ["natobs"]
    assert not {"version", "__inputs", "__requires"} & made.keys()
    assert {link["url"] for link in made["links"]} == {f"/d/{other.stem}" for other in PATHS if other != path}
    assert all(link["keepTime"] and link["includeVars"] for link in made["links"])
    assert [one["from"] for one in made["timepicker"]["quick_ranges"]] == ["now-5m", "now-1h", "now-24h"]
    assert {one["name"] for one in made["annotations"]["list"]} == {
        *("Maintenance", "Scaling events", "Restarts", "Route changes")
    }
    for panel in lint.shown(made):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        values = [step["value"] for step in steps]
        assert values[0] is None
        assert values[1:] == sorted(values[1:])
        names = [target["refId"] for target in panel["targets"]]
        assert all(names)
        assert len(set(names)) == len(names)
        assert panel.get("maxDataPoints") is None
        if "reduceOptions" in panel["options"]:
            assert panel["options"]["reduceOptions"]["calcs"] == ["lastNotNull"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_nothing_is_null_but_the_number_and_first_thresholds(path: Path) -> None:
    def nulls(value: object, where: str) -> list[str]:
        if isinstance(value, dict):
            return [one for key, item in value.items() for one in nulls(item, f"{where}.{key}")]
        if isinstance(value, list):
            return [one for n, item in enumerate(value) for one in nulls(item, f"{where}[{n}]")]
        return [where] if value is None or value == "null" else []

    found = [one for one in nulls(load(path), "") if not re.search(r"steps\[0\]\.value$", one)]
    assert found == [".id"]


def test_no_two_panels_of_a_dashboard_have_the_same_title() -> None:
    for dashboard in dashboards():
        titles = Counter(panel["title"] for panel in lint.shown(dashboard))
        assert [title for title, number in titles.items() if number > 1] == []


def test_titles_are_of_alerts_that_there_are() -> None:
    assert watched.TITLES.keys() <= {alert.name for alert in plan(Fleet()).alerts}
    assert [watched.title(name) for name in ("NatCpuUsage", "NatNicErrors")] == ["CPU usage", "NIC errors"]


def test_variables_in_texts_and_queries_exist() -> None:
    for dashboard in dashboards():
        known = {one["name"] for one in dashboard["templating"]["list"]}
        used = lint.variables_of(json.dumps(dashboard))
        assert {name for name in used if not name.startswith("__")} <= known


def test_every_indicator_and_every_alert_has_a_panel_on_the_dashboard_that_shows_it() -> None:
    settings = plan(Fleet())
    shown = {
        board.uid: {name for row in board.rows for tile in row.tiles for name in tile.shows}
        for board in files.boards(settings)
    }
    assert {sli.id for sli in slis.ALL} <= set().union(*shown.values())
    for alert in settings.alerts:
        assert alert.name in shown[naming.dashboard(alert.sli)], alert.name
    for objective in settings.objectives:
        assert objective.alert in shown[naming.dashboard(objective.sli)], objective.alert


def test_links_of_alerts_lead_to_dashboards_with_these_variables() -> None:
    rules = yaml.safe_load((ROOT / "alerts/natobs-alerts.yml").read_text("utf-8"))
    urls = {rule["annotations"]["dashboard_url"] for group in rules["groups"] for rule in group["rules"]}
    assert urls
    for url in urls:
        uid, _, query = url.rpartition("/d/")[2].partition("?")
        known = {f"var-{one['name']}" for one in load(FOLDER / f"{uid}.json")["templating"]["list"]}
        assert {part.split("=")[0] for part in query.split("&")} <= known


def test_the_flavour_for_upload_asks_for_a_data_source() -> None:
    for path in PATHS:
        made, uploaded = load(path), load(FOLDER / "grafana-com" / path.name)
        assert [one["name"] for one in uploaded["__inputs"]] == ["DS_PROMETHEUS"]
        assert {one["id"] for one in uploaded["__requires"] if one["type"] == "panel"} == {
            panel["type"] for panel in lint.shown(made)
        }
        assert variable(uploaded, "datasource")["current"]["value"] == "${DS_PROMETHEUS}"
        assert uploaded["panels"] == made["panels"]


def test_what_a_fleet_sets_is_shown() -> None:
    settings = fleet(
        """
        group_labels = ["region"]
        [alerts.NatCpuUsage]
        warning = 0.37
        critical = 0.73
        [alerts.NatResets]
        enabled = false
        [prices]
        currency = "XTS"
        tiers = [{ up_to_gb = 11, per_gb = 0.13 }, { per_gb = 0.17 }]
        """
    )
    made = {path: json.loads(text) for path, text in files.files(settings).items() if path.endswith(".json")}
    on_call = made["dashboards/natobs-on-call.json"]
    for title in ("CPU usage", "CPU"):
        panel = next(one for one in lint.shown(on_call) if one["title"] == title)
        assert [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]] == [None, 0.37, 0.73]
    assert not any(one["title"] == watched.TITLES["NatResets"] for one in lint.shown(on_call))
    executive = made["dashboards/natobs-executive.json"]
    cost = next(one for one in lint.shown(executive) if one["title"] == "Cost of a month like this week")
    assert cost["fieldConfig"]["defaults"]["unit"] == "currency:XTS"
    assert re.search(
        r"clamp\(.*, 0, 11\) \* 0\.13\) \+ \(clamp_min\(.* - 11, 0\) \* 0\.17\)", cost["targets"][0]["expr"]
    )
    assert "by (region, nat_cluster, nat)" in json.dumps(on_call)
    assert variable(on_call, "region")["query"] == "label_values(natobs_build_info, region)"
    assert 'region=~"$region"' in variable(on_call, "nat_cluster")["query"]
    for dashboard in made.values():
        for _, target in lint.targets(dashboard):
            assert all("region" in str(one) for one in selectors(target["expr"])), target["expr"]
    assert "var-region=${__data.fields.region}" in json.dumps(made["dashboards/natobs-fleet.json"])


@pytest.mark.parametrize(("store", "key"), [("loki", "expr"), ("elasticsearch", "query")])
def test_logs_have_panels_where_the_fleet_keeps_them(store: str, key: str) -> None:
    settings = fleet(f'[logs]\nstore = "{store}"\nselect = "CHOSEN"')
    made = files.files(settings)
    for name in ("on-call", "debug"):
        dashboard = json.loads(made[f"dashboards/natobs-{name}.json"])
        tails = [panel for panel in lint.shown(dashboard) if panel["type"] == "logs"]
        assert len(tails) == 2
        assert all("CHOSEN" in target[key] for panel in tails for target in panel["targets"])
        assert through_grafana(dashboard) == []
        assert list(lint.layout(dashboard)) == []
        allowed = yaml.safe_load(made["dashboards/.lint"])["exclusions"]
        assert lint.without(lint.lint(dashboard), allowed)[0] == []
    assert not any(panel["type"] == "logs" for one in dashboards() for panel in lint.shown(one))


def test_every_expression_is_promql() -> None:
    texts = {target["expr"] for one in dashboards() for _, target in lint.targets(one)}
    texts |= {one["expr"] for dashboard in dashboards() for one in dashboard["annotations"]["list"]}
    for text in texts:
        promql_parser.parse(lint.substituted(text))
    say(f"{len(texts)} different expressions")
    assert len(texts) > 100


def selectors(expression: str) -> list[object]:
    """What an expression selects of NATs; constants are nobody's."""
    nodes = [node for node, _ in lint.walk(promql_parser.parse(lint.substituted(expression)))]
    chosen = [node for node in nodes if type(node).__name__ == "VectorSelector"]
    constants = {one.name for one in (naming.OBJECTIVE, naming.ERROR_BUDGET, naming.SLO_INFO, naming.OLDEST_SAMPLE)}
    return [node for node in chosen if node.name not in constants]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_dashboards_can_be_made_whatever_a_fleet_switches_off(step: int) -> None:
    names = [alert.name for alert in plan(Fleet()).alerts][::step]
    made = files.files(fleet("\n".join(f"[alerts.{name}]\nenabled = false" for name in names)))
    for path, text in made.items():
        if path.endswith(".json"):
            assert list(lint.layout(json.loads(text))) == [], path


def test_a_fleet_without_objectives_has_no_panels_of_their_burn_rates() -> None:
    names = "\n".join(f"[objectives.{one.id}]\nenabled = false" for one in plan(Fleet()).objectives)
    made = files.files(fleet(names))
    assert "Burn rate over" not in "".join(made.values())


def test_a_lab_shortens_the_windows_of_alerts_and_not_those_of_grafana() -> None:
    made = files.files(plan(Fleet(), scale=60))
    text = made["dashboards/natobs-on-call.json"]
    assert "[5s]" in text
    assert "[5m]" not in text
    assert "[$__rate_interval]" in text


def test_the_readme_names_files_that_exist() -> None:
    text = (FOLDER / "README.md").read_text("utf-8")
    named = set(re.findall(r"\]\((?!https?:)([^)#]+)\)", text)) | set(re.findall(r"(?<=cp )[\w./*-]+(?= )", text))
    assert len(named) > 6
    for name in named:
        assert list(FOLDER.glob(name)) if "*" in name else (FOLDER / name).exists(), name


def test_provisioning_files_name_the_folder_of_the_readme() -> None:
    provider = yaml.safe_load((FOLDER / "provisioning/dashboards/natobs.yml").read_text("utf-8"))["providers"][0]
    assert provider["options"]["path"] in (FOLDER / "README.md").read_text("utf-8")
    source = yaml.safe_load((FOLDER / "provisioning/datasources/natobs.yml").read_text("utf-8"))["datasources"][0]
    assert source["type"] == "prometheus"
