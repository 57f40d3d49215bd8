"""The one pass over a dashboard as grafanalib writes it, after which it is what Grafana's own schema describes.

Knows what grafanalib 0.7.1 gets wrong: keys of Grafana 6, explicit nulls, the
word "null" for the first threshold, thresholds that are an empty text, queries
without ``refId``, an old schema version, time ranges under an old name. Knows no
panel and no query.
"""

import json
from collections.abc import Iterator
from typing import Any

from grafanalib import core
from grafanalib._gen import DashboardEncoder  # its documented way to JSON

Json = dict[str, Any]
SCHEMA_VERSION = 39
"""Of Grafana 10.4: what is newer migrates it, and what is older does not know it."""
QUICK_RANGES = (("5m", "Last 5 minutes"), ("1h", "Last hour"), ("24h", "Last 24 hours"))
"""Offered first by the time picker (Grafana 11.5 and later; older ones offer their own)."""
_BASE = [{"color": "green", "value": None}]
_KEYS = {
    "dashboard": {
        *("annotations", "description", "editable", "graphTooltip", "id", "links", "panels", "refresh"),
        *("schemaVersion", "tags", "templating", "time", "timepicker", "timezone", "title", "uid"),
    },
    "panel": {
        *("datasource", "description", "fieldConfig", "gridPos", "id", "interval", "links", "maxDataPoints"),
        *("options", "targets", "timeFrom", "title", "transformations", "transparent", "type"),
    },
    "row": {"collapsed", "gridPos", "id", "panels", "title", "type"},
    "prometheus": {"datasource", "expr", "format", "instant", "interval", "legendFormat", "range", "refId"},
    "variable": {
        *("allValue", "current", "datasource", "hide", "includeAll", "label", "multi", "name", "query"),
        *("refresh", "regex", "sort", "type"),
    },
}
"""What stays of each object."""


def finish(dashboard: core.Dashboard) -> Json:
    """A dashboard as plain JSON that Grafana takes without migrating it."""
    made: Json = json.loads(json.dumps(dashboard.to_json_data(), cls=DashboardEncoder))
    made = _only(made, "dashboard") | {"id": None, "schemaVersion": SCHEMA_VERSION}
    made["panels"] = [_panel(panel) for panel in made["panels"]]
    made["templating"] = {"list": [_variable(variable) for variable in made["templating"]["list"]]}
    made["timepicker"] = {
        "refresh_intervals": made["timepicker"]["refresh_intervals"],
        "quick_ranges": [{"display": text, "from": f"now-{start}", "to": "now"} for start, text in QUICK_RANGES],
    }
    return {key: _without_nulls(value) for key, value in made.items() if key == "id" or value is not None}


def panels(dashboard: Json) -> Iterator[Json]:
    """Every panel that is no row, those inside of collapsed rows too."""
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            yield from panel["panels"]
        else:
            yield panel


def to_text(value: Json) -> str:
    """JSON as it is committed: sorted, so that a change shows where it is."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _only(value: Json, kind: str) -> Json:
    return {key: one for key, one in value.items() if key in _KEYS[kind]}


def _panel(panel: Json) -> Json:
    if panel["type"] == "row":
        return _only(panel, "row") | {"panels": [_panel(inner) for inner in panel["panels"]]}
    made = _only(panel, "panel")
    if made.get("maxDataPoints") == core.Panel().maxDataPoints:
        del made["maxDataPoints"]  # 100 points, whatever the width of the panel
    for key in ("links", "transformations", "transparent"):
        if not made[key]:
            del made[key]
    made["targets"] = [_target(target, index) for index, target in enumerate(made["targets"])]
    fields = made["fieldConfig"].setdefault("defaults", {})
    fields["thresholds"] = {"mode": "absolute", "steps": _steps(fields.get("thresholds", {}).get("steps"))}
    made["fieldConfig"].setdefault("overrides", [])
    legend = made.get("options", {}).get("legend")
    if legend is not None:
        legend.setdefault("showLegend", legend["displayMode"] != "hidden")
    if not fields.get("custom", {}).get("stacking", True):
        del fields["custom"]["stacking"]
    return made


def _target(target: Json, index: int) -> Json:
    named = target | {"refId": chr(ord("A") + index)}
    if "expr" not in target or target["datasource"]["type"] != "prometheus":
        return named
    kept = {key: value for key, value in _only(named, "prometheus").items() if value != ""}
    return kept | {"range": not target["instant"]}


def _steps(steps: Any) -> list[Json]:  # noqa: ANN401 - a list, an empty text, or missing
    if not steps:
        return _BASE
    return [{"color": one["color"], "value": None if one["value"] == "null" else one["value"]} for one in steps]


def _variable(variable: Json) -> Json:
    made = _only(variable, "variable")
    if variable["includeAll"]:
        made["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    else:
        del made["current"]  # Grafana takes the first
    return made


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, list):
        return [_without_nulls(one) for one in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"color", "value"}:
        return value  # a step of thresholds: the first has no value
    return {key: _without_nulls(one) for key, one in value.items() if one is not None}
