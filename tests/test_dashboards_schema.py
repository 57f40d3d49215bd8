"""The dashboards against Grafana's schema in TypeScript, where Node.js is present.

``make programs`` fetches the schema and a compiler. The options of each kind of
panel are held against its own schema, which that of dashboards leaves open. The
schema has nothing on queries of Prometheus: those of ``test_dashboards.py`` are
held against Grafana's types for Python.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import dashboard_lint as lint
from tests.dashboard_files import OF_PLUGIN, PATHS, first, load, on_call

Json = dict[str, Any]
HERE = Path(__file__).parent
MODULES = HERE.parent / ".tools/grafana_schema/node_modules"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(
    NODE is None and "CI" not in os.environ, reason="Node.js is not present, and nothing but the gate insists on it"
)


def typescript(dashboards: dict[str, Json]) -> str:
    """Constants of Grafana's types, which the compiler refuses where they do not fit."""
    lines = ["import type { Dashboard, Kinds } from './panels';"]
    for name, dashboard in dashboards.items():
        for annotation in dashboard["annotations"]["list"]:
            for key in (OF_PLUGIN | {"expr"}) & annotation.keys():
                del annotation[key]
        lines.append(f"export const {name}: Dashboard = {json.dumps(dashboard)};")
        for panel in lint.shown(dashboard):
            parts = {"options": panel["options"], "custom": panel["fieldConfig"]["defaults"].get("custom", {})}
            kind = json.dumps(panel["type"])
            lines.append(f"export const {name}_{panel['id']}: Kinds[{kind}] = {json.dumps(parts)};")
    return "\n".join(lines) + "\n"


def compiled(folder: Path, dashboards: dict[str, Json]) -> list[str]:
    """What the compiler has to say."""
    compiler = MODULES / "typescript/bin/tsc"
    assert compiler.exists(), "Grafana's schema is missing; `make programs` fetches it"
    (folder / "dashboards.ts").write_text(typescript(dashboards), "utf-8")
    shutil.copy(HERE / "grafana_schema/panels.ts", folder)
    options = {
        "strict": True,
        "noEmit": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "types": [],
        "skipLibCheck": True,
        "baseUrl": ".",
        "paths": {
            "@grafana/schema/*": [f"{MODULES}/@grafana/schema/*"],
            "@grafana/schema": [f"{MODULES}/@grafana/schema"],
        },
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["dashboards.ts"]}), "utf-8")
    assert NODE
    done = subprocess.run(
        [NODE, compiler, "--project", folder, "--pretty", "false"], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_grafanas_schema_takes_the_dashboards(tmp_path: Path) -> None:
    made = {path.stem.replace("-", "_"): load(path) for path in PATHS}
    assert compiled(tmp_path, made) == []


FAULTS: dict[str, Callable[[Json], object]] = {
    "unknown_key": lambda d: d.update(hideControls=False),
    "text_for_number": lambda d: d.update(schemaVersion="39"),
    "unknown_cursor": lambda d: d.update(graphTooltip=7),
    "null_text": lambda d: first(d)["fieldConfig"]["defaults"]["thresholds"]["steps"][0].update(value="null"),
    "empty_steps": lambda d: first(d)["fieldConfig"]["defaults"]["thresholds"].update(steps=""),
    "unknown_mode": lambda d: first(d)["fieldConfig"]["defaults"]["thresholds"].update(mode="relative"),
    "no_legend": lambda d: first(d)["options"].pop("legend"),
    "unknown_style": lambda d: first(d)["fieldConfig"]["defaults"]["custom"].update(drawStyle="curve"),
    "old_gauge": lambda d: first(d, "gauge")["options"].update(fieldOptions={"calcs": ["mean"]}),
    "old_table": lambda d: first(d, "table")["options"].update(fontSize="100%"),
    "old_times": lambda d: d["timepicker"].update(time_options=["5m"]),
    "null_description": lambda d: first(d).update(description=None),
}


def test_grafanas_schema_refuses_each_fault(tmp_path: Path) -> None:
    made = {}
    for name, plant in FAULTS.items():
        made[name] = on_call()
        plant(made[name])
    lines = typescript({name: on_call() for name in FAULTS}).splitlines()
    owners = [re.sub(r"_\d+$", "", line.split()[2].rstrip(":")) for line in lines[1:]]
    found = {
        int(match[1]) for line in compiled(tmp_path, made) if (match := re.search(r"dashboards\.ts\((\d+),", line))
    }
    assert {owners[number - 2] for number in found} == set(FAULTS)
