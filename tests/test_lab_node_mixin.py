"""The alerts of node_exporter's mixin, as a game day loads them beside those of natobs."""

import shutil
import subprocess
from pathlib import Path

from natobs.catalogue.promql import Rendering
from natobs.generate.rules.model import document, to_yaml
from natobs.lab import node_mixin


def test_promtool_takes_them_and_durations_are_scaled(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; `make programs` fetches it"
    text = to_yaml(document([node_mixin.group()], Rendering(scale=15)), "natobs lab gameday")
    path = tmp_path / "rules.yml"
    path.write_text(text, "utf-8")
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "7 rules found" in done.stdout) == (0, True), done.stdout + done.stderr
    assert text.count("for: 4m\n") == 2  # an hour
    assert text.count("for: 1m\n") == 4  # a quarter
    assert text.count("[8s]") == 5  # two minutes
