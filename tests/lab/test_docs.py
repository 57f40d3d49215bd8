"""What docs/lab.md shows can be typed as it stands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.lab

PAGE = Path(__file__).parents[2] / "docs" / "lab.md"


def example(number: int) -> "subprocess.CompletedProcess[str]":
    code = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[number]
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=90)


def test_the_example_of_a_stack_runs() -> None:
    done = example(0)
    assert done.returncode == 0, done.stderr
    up, rest = done.stdout.splitlines()
    assert up == "1.0"
    assert "'firing'" in rest


def test_the_example_of_a_fault_runs() -> None:
    done = example(1)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{'mtu': 1383, ")


def test_the_example_in_python_runs() -> None:
    done = example(2)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].count("203.0.113.10") == 3
    assert lines[1].startswith("80 ")
    assert "listening on 127.0.0.1:9650" in done.stdout
    loaded = re.search(r"^natobs_conntrack_entries (\d+)$", done.stdout, re.MULTILINE)
    assert loaded is not None, done.stdout
    assert int(loaded[1]) >= 20_000
