"""Alertmanager's configuration as its own tools see it: valid, without a warning, and each alert where it belongs."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from natobs.catalogue.naming import Action
from natobs.config.fleet import Fleet, Receivers, Service
from natobs.config.toml import decode
from natobs.errors import ConfigError
from natobs.generate.alertmanager.files import EXAMPLES, configuration, files
from natobs.generate.alertmanager.notices import notices
from natobs.generate.rules.files import files as rule_files
from natobs.generate.settings import plan
from tests.conftest import Figure
from tests.owned import program

PLAN = plan(Fleet(services=(Service(name="shop"),)))
TEXT = configuration(PLAN)
RECEIVER = {Action.PAGE: "page", Action.TICKET: "ticket", Action.FREEZE: "freeze", Action.NONE: "null"}
SAID = [("info", "empty-receiver", "receivers[null]")]
"""What amlint says: the receiver named null is empty on purpose."""


def said_by_amtool(config: Path) -> tuple[int, str]:
    done = subprocess.run([program("amtool"), "check-config", str(config)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def said_by_amlint(config: Path, rules: Path) -> list[tuple[str, str, str]]:
    command = [sys.executable, "-m", "amlint.cli", "check", "--format", "json", "--rules", str(rules), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return [(one["level"].lower(), one["code"], one["where"]) for one in json.loads(done.stdout)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "alertmanager.yml").write_text(TEXT, "utf-8")
    (tmp_path / "rules.yml").write_text(rule_files(PLAN)["alerts/natobs-alerts.yml"], "utf-8")
    return tmp_path


def test_amtool_and_amlint_have_nothing_to_say(folder: Path) -> None:
    status, said = said_by_amtool(folder / "alertmanager.yml")
    assert (status, "SUCCESS" in said) == (0, True), said
    assert said_by_amlint(folder / "alertmanager.yml", folder / "rules.yml") == SAID


def test_amlint_finds_an_alert_that_no_rule_makes(folder: Path) -> None:
    config = folder / "alertmanager.yml"
    config.write_text(TEXT.replace("NatTableFull", "NatTableFul"), "utf-8")
    assert ("warn", "inhibit-unknown-alertname") in {
        (level, code) for level, code, _where in said_by_amlint(config, folder / "rules.yml")
    }


def test_amtool_refuses_a_route_to_nobody(folder: Path) -> None:
    config = folder / "alertmanager.yml"
    config.write_text(TEXT.replace("receiver: freeze", "receiver: nobody"), "utf-8")
    status, said = said_by_amtool(config)
    assert status == 1
    assert "nobody" in said


def routed(config: Path, labels: dict[str, str], receiver: str) -> bool:
    """Whether alerts with these labels go to a receiver and to no other."""
    command = [program("amtool"), "config", "routes", "test", f"--config.file={config}"]
    words = [f"{label}={value}" for label, value in labels.items()]
    done = subprocess.run(
        [*command, f"--verify.receivers={receiver}", *words], capture_output=True, text=True, check=False
    )
    assert done.stdout.split("\n")[0], done.stderr
    return done.returncode == 0


def test_each_alert_goes_where_its_action_says(folder: Path, figure: Figure) -> None:
    config, table = folder / "alertmanager.yml", Counter[str]()
    for group in yaml.safe_load((folder / "rules.yml").read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            labels = {"alertname": rule["alert"], **rule["labels"], "nat_cluster": "egress-a", "nat": "nat-1"}
            expected = "watchdog" if rule["alert"] == "NatWatchdog" else RECEIVER[Action(labels["natobs_action"])]
            assert routed(config, labels, expected), labels
            table[expected] += 1
    figure(f"{table.total()} alerts routed: {dict(table)}")
    assert table.keys() == {"page", "ticket", "freeze", "watchdog", "null"}
    assert routed(config, {"alertname": "SomebodyElses"}, "ticket")
    assert not routed(config, {"alertname": "NatLinkDown", "natobs_action": "page"}, "ticket")


def test_notices_are_what_the_rules_say() -> None:
    """What routes and inhibition follow from has the labels of the alerts in the rule file, and no others."""
    document = yaml.safe_load(rule_files(PLAN)["alerts/natobs-alerts.yml"])
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    stated = {(rule["alert"], *sorted(rule["labels"].items())) for rule in rules}
    seen = {(one.name, *sorted(item for item in one.fixed.items() if item[0] != "alertname")) for one in notices(PLAN)}
    assert seen == stated


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_a_receiver_gets_through_a_fleets_file_into_the_configuration(folder: Path, name: str) -> None:
    text = files(PLAN)[f"alerts/receivers/{name}.yml"]
    (example,) = yaml.safe_load(text)["receivers"]
    receiver, _, below = text.partition("  - name: ")[2].partition("\n")
    fleet = decode(f"[receivers]\n{receiver} = '''\n{below}'''\n[[services]]\nname = 'shop'\n", "fleet.toml", Fleet)
    config = folder / "alertmanager.yml"
    config.write_text(configuration(plan(fleet)), "utf-8")
    made, usual = (yaml.safe_load(one)["receivers"] for one in (config.read_text("utf-8"), TEXT))
    assert made == [example if one["name"] == example["name"] else one for one in usual]
    status, said = said_by_amtool(config)
    assert (status, "SUCCESS" in said) == (0, True), said
    assert said_by_amlint(config, folder / "rules.yml") == SAID


def told(status: str, fault: str, number: int) -> dict[str, Any]:
    """A notification as templates see it."""
    labels = {"nat_cluster": "egress-a", "nat": "nat-1", "severity": "critical"}
    notes = {
        "summary": "Summary.",
        "description": "Description.",
        "runbook_url": "https://r/",
        "dashboard_url": "https://d/",
    }
    one = {"status": status, "labels": {**labels, "alertname": "NatX"}, "annotations": notes}
    return {
        "status": status,
        "alerts": [{**one, "startsAt": "2026-01-01T00:00:00Z"}] * number,
        "groupLabels": {"nat_cluster": "egress-a", **({"fault": fault} if fault else {})},
        "commonLabels": labels if number == 1 else {"nat_cluster": "egress-a"},
    }


def templates(value: object) -> list[str]:
    """All texts with a template in them."""
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [text for one in inner for text in templates(one)]
    return [value] if isinstance(value, str) and "{{" in value else []


def rendered(folder: Path, text: str, data: dict[str, Any]) -> str:
    (folder / "none.tmpl").write_text("")
    (folder / "data.json").write_text(json.dumps(data))
    words = [f"--template.glob={folder}/none.tmpl", f"--template.data={folder}/data.json", f"--template.text={text}"]
    done = subprocess.run(
        [program("amtool"), "template", "render", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("data", [told("firing", "F1", 1), told("firing", "", 5), told("resolved", "", 1)])
@pytest.mark.parametrize("name", ["pagerduty", "slack", "mail"])
def test_the_templates_of_an_example_can_be_filled_in(tmp_path: Path, name: str, data: dict[str, Any]) -> None:
    texts = templates(yaml.safe_load(files(PLAN)[f"alerts/receivers/{name}.yml"]))
    shown = " ".join(rendered(tmp_path, text, data) for text in texts)
    assert len(texts) > 1
    assert "egress-a" in shown
    assert "https://r/" in shown
    assert "no value" not in shown
    if data["status"] == "firing":
        assert "Description." in shown


def test_a_template_that_cannot_be_filled_in_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="out of range"):
        rendered(tmp_path, "{{ (index .Alerts 9).Labels.nat.x }}", told("firing", "", 1))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_field_of_an_example_is_explained(name: str) -> None:
    lines = files(PLAN)[f"alerts/receivers/{name}.yml"].splitlines()
    (start,) = (number for number, line in enumerate(lines) if line.startswith("      - "))
    fields = [number for number, line in enumerate(lines) if number >= start and line[8:9].isalpha()]
    assert len(fields) > 3
    assert [lines[number] for number in fields if not lines[number - 1].lstrip().startswith("#")] == []


def test_a_hurry_shortens_every_wait_and_a_fleet_groups_by_its_own_labels() -> None:
    usual: dict[str, Any] = yaml.safe_load(TEXT)["route"]
    made: dict[str, Any] = yaml.safe_load(configuration(plan(Fleet(group_labels=("region",)), 30)))["route"]
    assert (usual["group_wait"], usual["group_interval"], usual["repeat_interval"]) == ("30s", "5m", "12h")
    assert (made["group_wait"], made["group_interval"], made["repeat_interval"]) == ("1s", "10s", "24m")
    assert (usual["group_by"], made["group_by"]) == (["nat_cluster", "fault"], ["region", "nat_cluster", "fault"])
    waits = [{key: value for key, value in route.items() if "_" in key} for route in made["routes"]]
    assert {"repeat_interval": "2m"} in waits


@pytest.mark.parametrize("given", ["pager: me", "- webhook_configs", "webhook_configs: me", "webhook_configs: [", "1"])
def test_what_is_no_receiver_is_refused(given: str) -> None:
    with pytest.raises(ConfigError, match=r"^receivers\.page: (expected what stands below|no YAML)"):
        configuration(plan(Fleet(receivers=Receivers(page=given))))


@pytest.mark.parametrize("receivers", [Receivers(), Receivers(page="webhook_configs: [{url: 'http://invalid/'}]")])
def test_receivers_can_be_led_elsewhere(receivers: Receivers) -> None:
    led = configuration(plan(Fleet(receivers=receivers)), "http://127.0.0.1:9094/{receiver}")
    assert "invalid" not in led.partition("\nreceivers:\n")[2]
    assert led.count("http://127.0.0.1:9094/") == 4
