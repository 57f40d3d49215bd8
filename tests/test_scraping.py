"""What scrapes natobs is what Prometheus and its operator take, and gives targets the labels that rules count on."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from natobs.catalogue.alerts import ALL
from natobs.config.fleet import Fleet
from natobs.generate.rules.files import files as rule_files
from natobs.generate.scraping.files import EVERY, operator, prometheus
from natobs.generate.settings import Plan, plan
from tests.owned import program

DEFAULT = plan(Fleet())
REGIONS = plan(Fleet(group_labels=("region",)))
KINDS = ("PrometheusRule", "ServiceMonitor", "PodMonitor", "ScrapeConfig")


def resources(made: Plan) -> dict[str, dict[str, Any]]:
    """The resources of the operator by their kinds."""
    documents = [one for text in operator(made).values() for one in yaml.safe_load_all(text)]
    assert len(documents) == len(KINDS)
    return {one["kind"]: one for one in documents}


def accepted(resource: dict[str, Any]) -> bool:
    """Whether the operator's schema has every field, and every value is of its type and in its bounds."""
    from cloudcoil.models.prometheus_operator import v1, v1alpha1  # noqa: PLC0415  it takes two seconds
    from pydantic import BaseModel, ValidationError  # noqa: PLC0415  the same

    models: tuple[type[BaseModel], ...] = (v1.PrometheusRule, v1.ServiceMonitor, v1.PodMonitor, v1alpha1.ScrapeConfig)
    model = next(one for one in models if one.__name__ == resource["kind"])
    try:
        read = model.model_validate(resource)
    except ValidationError:
        return False
    # The models pass over fields that they do not know.
    return bool(read.model_dump(mode="json", by_alias=True, exclude_unset=True) == resource)


@pytest.mark.parametrize("kind", KINDS)
def test_the_operator_takes_each_resource(kind: str) -> None:
    assert accepted(resources(DEFAULT)[kind])
    assert accepted(resources(REGIONS)[kind])


def test_a_resource_that_the_operator_would_refuse_is_found() -> None:
    rule, monitor = resources(DEFAULT)["PrometheusRule"], resources(DEFAULT)["ServiceMonitor"]
    rule["spec"]["groups"][0]["rules"][0]["fro"] = "5m"
    monitor["spec"]["endpoints"][0]["interval"] = "15 s"
    assert not accepted(rule)
    assert not accepted(monitor)


def test_the_operator_gets_the_rules_of_the_rule_files() -> None:
    plain = [group for part in ("recording", "alerts") for group in _groups(rule_files(DEFAULT), part)]
    assert resources(DEFAULT)["PrometheusRule"]["spec"]["groups"] == plain


def _groups(made: Mapping[str, str], part: str) -> list[dict[str, Any]]:
    groups: list[dict[str, Any]] = yaml.safe_load(made[f"alerts/natobs-{part}.yml"])["groups"]
    return groups


def relabelled(resource: dict[str, Any], endpoints: str) -> set[str]:
    (endpoint,) = resource["spec"][endpoints]
    return {rule["targetLabel"] for rule in endpoint["relabelings"]}


def test_targets_get_the_labels_that_rules_count_on() -> None:
    for made, more in ((DEFAULT, set()), (REGIONS, {"region"})):
        found = resources(made)
        agent, prober = {"nat_cluster", "nat", *more}, {"nat_cluster", "nat", "subnet", *more}
        assert relabelled(found["PodMonitor"], "podMetricsEndpoints") == agent | {"instance"}
        assert relabelled(found["ServiceMonitor"], "endpoints") == prober
        machines = [set(one["labels"]) for one in found["ScrapeConfig"]["spec"]["staticConfigs"]]
        assert machines == [agent, prober]
        jobs = {job["job_name"]: job["static_configs"] for job in config(made)["scrape_configs"]}
        assert {job: [set(one.get("labels", ())) for one in targets] for job, targets in jobs.items()} == {
            "natobs-agent": [agent],
            "natobs-probe": [prober],
            "prometheus": [set()],
        }


def test_two_scrapes_fit_into_the_shortest_window_of_an_alert() -> None:
    """Whoever takes over the jobs takes over how often they scrape: the usual minute is too long for some rules."""
    jobs = {job["job_name"]: job.get("scrape_interval") for job in config(DEFAULT)["scrape_configs"]}
    assert jobs == {"natobs-agent": "15s", "natobs-probe": "15s", "prometheus": None}
    windows = [int(found) for alert in ALL for found in re.findall(r"\[«(\d+)»\]", alert.value.template)]
    assert 2 * EVERY <= min(windows) < 60


def config(made: Plan) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(prometheus(made)["alerts/prometheus.yml"])
    return read


def checked(folder: Path, made: Plan) -> tuple[int, str]:
    """What promtool says of Prometheus' configuration, with the rule files beside it."""
    for path, text in {**rule_files(made), **prometheus(made)}.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    command = [program("promtool"), "check", "config", "--lint=all", "--lint-fatal"]
    done = subprocess.run(
        [*command, str(folder / "alerts" / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_promtool_has_nothing_to_say_of_the_configuration_and_its_rules(tmp_path: Path) -> None:
    status, said = checked(tmp_path, REGIONS)
    assert status == 0, said
    assert "2 rule files found" in said
    assert said.count("rules found") == 2
    assert checked(tmp_path, plan(Fleet(), 30))[0] == 0


def test_promtool_finds_a_rule_file_that_is_missing(tmp_path: Path) -> None:
    checked(tmp_path, DEFAULT)
    (tmp_path / "alerts" / "natobs-alerts.yml").unlink()
    command = [program("promtool"), "check", "config", str(tmp_path / "alerts" / "prometheus.yml")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
