"""VictoriaMetrics' vmalert takes the rules that are written for it, and what alerts/README.md says about them is so."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from natobs.config.fleet import Fleet
from natobs.generate.rules.files import files
from natobs.generate.settings import plan
from tests.owned import program

PAGE = Path(__file__).parents[1] / "alerts" / "README.md"
MADE = files(plan(Fleet()))


def dry_run(folder: Path, prefix: str) -> tuple[int, str]:
    """What vmalert says of rule files."""
    for path, text in MADE.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
    command = [program("vmalert"), "-dryRun", f"-rule={folder}/alerts/{prefix}natobs-*.yml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_vmalert_takes_its_flavour(tmp_path: Path) -> None:
    status, said = dry_run(tmp_path, "victoriametrics/")
    assert status == 0, said


def test_vmalert_of_debian_refuses_the_other(tmp_path: Path) -> None:
    status, said = dry_run(tmp_path, "")
    assert status != 0
    assert "keep_firing_for" in said


def test_the_flavours_differ_in_nothing_else() -> None:
    for part in ("recording", "alerts"):
        groups = yaml.safe_load(MADE[f"alerts/natobs-{part}.yml"])["groups"]
        for group in groups:
            for rule in group["rules"]:
                rule.pop("keep_firing_for", None)
        assert groups == yaml.safe_load(MADE[f"alerts/victoriametrics/natobs-{part}.yml"])["groups"]


def test_the_page_says_how_large_groups_are_and_keeps_what_is_recorded() -> None:
    groups = [group for part in ("recording", "alerts") for group in _groups(part)]
    page = PAGE.read_text("utf-8")
    largest = max(len(group) for group in groups)
    assert f"the largest group here has {largest}" in page
    kept = re.search(r"regex: (\S+)\n", page)
    assert kept is not None
    recorded = {rule["record"] for group in groups for rule in group if "record" in rule}
    assert len(recorded) > 20
    assert [name for name in recorded if not re.fullmatch(kept[1], name)] == []


def _groups(part: str) -> list[list[dict[str, str]]]:
    return [group["rules"] for group in yaml.safe_load(MADE[f"alerts/natobs-{part}.yml"])["groups"]]


@pytest.mark.parametrize("path", sorted(set(re.findall(r"\]\(((?!http)[^)#]+)", PAGE.read_text("utf-8")))))
def test_what_the_page_links_to_is_there(path: str) -> None:
    assert (PAGE.parent / path).exists()
