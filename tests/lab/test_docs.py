"""What docs/lab.md shows can be typed as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"


def test_the_example_in_python_runs() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    done = subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].count("203.0.113.10") == 3
    assert lines[1].startswith("80 ")
    assert "listening on 127.0.0.1:9650" in done.stdout
    loaded = re.search(r"^natobs_conntrack_entries (\d+)$", done.stdout, re.MULTILINE)
    assert loaded is not None, done.stdout
    assert int(loaded[1]) >= 20_000
