"""Run beside a Prometheus on loopback: waits until all that README.md promises is there, and says so as JSON."""

import json
import sys
import time
from pathlib import Path

import yaml

from natobs.errors import LabError
from natobs.lab.stack.api import Prometheus

_SECONDS = 90.0
# Each has a value as soon as it is so.
_WAITED_FOR = {
    "both targets": 'count(up{job=~"natobs-.+"} == 1) == 2',
    "rounds of probes": 'sum(natobs_probe_attempts_total{subnet!=""}) > 0',
    "recorded values": "count(nat:cpu_busy:ratio)",
    "the watchdog": 'count(ALERTS{alertname="NatWatchdog", alertstate="firing"})',
}


def main() -> None:
    prometheus = Prometheus("http://127.0.0.1:9090/")
    deadline = time.monotonic() + _SECONDS
    found: dict[str, float] = {}
    while len(found) < len(_WAITED_FOR) and time.monotonic() < deadline:
        time.sleep(0.5)
        found |= {what: value for what in _WAITED_FOR.keys() - found if (value := ask(prometheus, what)) is not None}
    rules = [rule for group in prometheus.rules() for rule in group["rules"]]
    wrong = [rule["name"] for rule in rules if rule["health"] == "err"]
    said = {"found": found, "rules": len(rules), "wrong": wrong, "dashboards": dashboards()}
    sys.stdout.write(json.dumps(said) + "\n")


def ask(prometheus: Prometheus, what: str) -> float | None:
    try:
        return prometheus.value(_WAITED_FOR[what])
    except LabError:
        return None


def dashboards() -> list[str]:
    """What Grafana would show: the dashboards in the folders of its providers."""
    shown = []
    for file in Path("/etc/grafana/provisioning/dashboards").glob("*.yml"):
        for provider in yaml.safe_load(file.read_text("utf-8"))["providers"]:
            folder = Path(provider["options"]["path"])
            shown += [json.loads(path.read_text("utf-8"))["uid"] for path in folder.glob("*.json")]
    return sorted(shown)


if __name__ == "__main__":
    main()
