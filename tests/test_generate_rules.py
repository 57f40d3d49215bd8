"""Rule files: the same each time, clean to promtool, and divided by the scale of a laboratory."""

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from natobs.cli.main import natobs
from natobs.config.fleet import Fleet
from natobs.generate.files import everything
from natobs.generate.rules.files import files
from natobs.generate.settings import plan
from tests.promtool import ROOT, promtool

DEFAULT = files(plan(Fleet()))
DURATION = re.compile(r"(\d+)(ms|[smhd])")
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(text: str) -> int:
    return sum(int(number) * UNITS[unit] for number, unit in DURATION.findall(text))


def rules_of(text: str) -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def test_everything_twice_is_the_same() -> None:
    assert everything(plan(Fleet())) == everything(plan(Fleet()))


def test_promtool_has_nothing_to_say() -> None:
    paths = [ROOT / path for path in DEFAULT]
    assert len(paths) == 4
    status, output = promtool("check", "rules", "--lint=all", "--lint-fatal", *paths)
    assert status == 0, output
    found = sum(int(number) for number in re.findall(r"SUCCESS: (\d+) rules found", output))
    assert found == sum(len(rules_of(text)) for text in DEFAULT.values()) > 300


def test_promtool_finds_a_rule_that_is_there_twice(tmp_path: Path) -> None:
    document = yaml.safe_load(DEFAULT["alerts/natobs-recording.yml"])
    document["groups"][0]["rules"] *= 2
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(document))
    status, output = promtool("check", "rules", "--lint=all", "--lint-fatal", tmp_path / "rules.yml")
    assert status == 3, output


def test_a_change_of_any_file_fails_the_check(tmp_path: Path) -> None:
    runner = CliRunner()
    made = runner.invoke(natobs, ["generate", "rules", "--out", str(tmp_path)])
    assert made.exit_code == 0, made.output
    arguments = ["generate", "rules", "--check", "--out", str(tmp_path)]
    assert runner.invoke(natobs, arguments).exit_code == 0
    written = sorted(tmp_path.rglob("*.yml"))
    for path in written:
        before = path.read_text()
        path.write_text(before + "\n")
        done = runner.invoke(natobs, arguments)
        assert done.exit_code == 1
        assert str(path.relative_to(tmp_path)) in done.output
        path.write_text(before)
    written[0].unlink()
    assert runner.invoke(natobs, arguments).exit_code == 1


def test_where_nothing_can_be_written_the_path_and_the_reason_are_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = CliRunner().invoke(natobs, ["generate", "rules", "--out", str(tmp_path / "file" / "etc")])
    assert done.exit_code == 2
    assert "cannot be written: Not a directory" in " ".join(done.output.split())


def test_victoriametrics_gets_the_same_rules_without_what_it_refuses() -> None:
    for part in ("recording", "alerts"):
        plain = rules_of(DEFAULT[f"alerts/victoriametrics/natobs-{part}.yml"])
        usual = rules_of(DEFAULT[f"alerts/natobs-{part}.yml"])
        for rule in usual:
            rule.pop("keep_firing_for", None)
        assert plain == usual
    assert "keep_firing_for" in DEFAULT["alerts/natobs-alerts.yml"]


def test_a_laboratory_has_every_duration_divided_and_every_threshold_alike() -> None:
    fast = files(plan(Fleet(), scale=60))
    window = re.compile(r"\[(\w+)\]|offset (\w+)")
    compared = 0
    for path, text in DEFAULT.items():
        for usual, quick in zip(yaml.safe_load(text)["groups"], yaml.safe_load(fast[path])["groups"], strict=True):
            pairs = [(usual["interval"], quick["interval"])]
            for one, other in zip(usual["rules"], quick["rules"], strict=True):
                pairs += [(one[key], other[key]) for key in ("for", "keep_firing_for") if key in one]
                spans = (map("".join, window.findall(rule["expr"])) for rule in (one, other))
                pairs += zip(*spans, strict=True)
                assert one.get("labels") == other.get("labels")
            for slow, swift in pairs:
                assert milliseconds(slow) == pytest.approx(60 * milliseconds(swift), abs=30), (slow, swift)
                compared += 1
    assert compared > 600


def test_the_labels_of_a_fleet_are_wherever_the_cluster_is() -> None:
    made = files(plan(Fleet(group_labels=("region",))))
    by = re.compile(r"\b(?:by|on) \(([^)]*)\)")
    looked = 0
    for path in ("alerts/natobs-recording.yml", "alerts/natobs-alerts.yml"):
        for rule in rules_of(made[path]):
            for labels in by.findall(rule["expr"]):
                names = [name.strip() for name in labels.split(",")]
                looked += 1
                assert ("nat_cluster" in names) == ("region" in names), rule
    assert looked > 300


def test_failures_to_page_can_be_read_by_people_and_programs() -> None:
    runner = CliRunner()
    table = runner.invoke(natobs, ["generate", "rules", "--explain"])
    assert table.exit_code == 0
    assert "nat-outbound-success" in table.output
    rows = json.loads(runner.invoke(natobs, ["generate", "rules", "--explain", "--json"]).output)
    assert len(rows) == table.output.count("x over ")
    assert {"objective", "tier", "failures", "guard", "least_per_minute"} <= rows[0].keys()


def test_too_few_failures_are_a_wrong_configuration(tmp_path: Path) -> None:
    (tmp_path / "fleet.toml").write_text("[objectives.nat-critical-service]\nper_minute = 1.0\n")
    arguments = ["generate", "rules", "--config", str(tmp_path / "fleet.toml"), "--out", str(tmp_path)]
    done = CliRunner().invoke(natobs, arguments)
    assert done.exit_code != 0
    assert "objectives.nat-critical-service" in str(done.exception or done.output)
    assert not list(tmp_path.rglob("*.yml"))
