"""The committed dashboards, and what tests look for in them."""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

from tests import dashboard_lint as lint

Json = dict[str, Any]
ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "dashboards"
PATHS = sorted(FOLDER.glob("natobs-*.json"))
OF_PLUGIN = {"step", "tagKeys", "titleFormat", "useValueForTime"}
"""Keys of annotations that belong to the data source's plugin; Grafana's schema of dashboards does not name them."""


def load(path: Path) -> Json:
    made: Json = json.loads(path.read_text("utf-8"))
    return made


def on_call() -> Json:
    return load(FOLDER / "natobs-on-call.json")


def dashboards() -> list[Json]:
    return [load(path) for path in PATHS]


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def exclusions() -> dict[str, Json]:
    made: dict[str, Json] = yaml.safe_load((FOLDER / ".lint").read_text("utf-8"))["exclusions"]
    return made


def first(dashboard: Json, kind: str = "timeseries") -> Json:
    return next(panel for panel in lint.shown(dashboard) if panel["type"] == kind)


def variable(dashboard: Json, name: str) -> Json:
    return next(one for one in dashboard["templating"]["list"] if one["name"] == name)


def plain_panel(dashboard: Json) -> Json:
    """A panel that nothing is excluded for."""
    return next(panel for panel in lint.shown(dashboard) if panel["title"] == "Throughput")


def plain(dashboard: Json) -> Json:
    """The first of its queries."""
    target: Json = plain_panel(dashboard)["targets"][0]
    return target
