"""The checker itself: one violation of each kind is planted in a copy of the project, and must be named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
CHECK = PROJECT / "scripts" / "check.py"

PLANTED = "natobs/planted.py"
HEAD = '"""A module that was planted."""\n\n'

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what the checks look at, without the tests."""
    for name in ("natobs", "docs", "dashboards", "alerts", "probes", "deploy"):
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy2(PROJECT / name, tmp_path / name)
    return tmp_path


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run ``scripts/check.py`` on a tree; mypy remembers the standard library from one test to the next."""
    environment = {**os.environ, "MYPY_CACHE_DIR": str(tmp_path_factory.mktemp("mypy"))}

    def run(root: Path, name: str, *paths: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, CHECK, "--root", root, "--only", name, *paths],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=120,
        )

    return run


@pytest.mark.parametrize(
    ("name", "paths", "says"),
    [
        ("ruff", ["natobs/errors.py", "natobs/__init__.py"], "2 files linted"),
        ("format", ["natobs/errors.py", "natobs/__init__.py"], "2 files formatted"),
        ("types", ["natobs/errors.py", "natobs/__init__.py"], "2 modules typed"),
        ("length", ["natobs/errors.py", "natobs/__init__.py"], "2 modules measured"),
        ("layers", [], "contracts kept by"),
        ("generated", [], "generated files compared"),
    ],
)
def test_the_project_as_it_is_passes_and_the_count_is_printed(
    check: Run, tree: Path, name: str, paths: list[str], says: str
) -> None:
    done = check(tree, name, *paths)
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout
    assert " 0 " not in done.stdout


@dataclass(frozen=True)
class Violation:
    """A file, the check that must fail for it, and what that check must say."""

    check: str
    file: str
    source: str
    says: str


VIOLATIONS = {
    "lint": Violation("ruff", PLANTED, HEAD + "import os\n", "F401"),
    "format": Violation("format", PLANTED, HEAD + "ROW = [ 1,2 ]\n", "would be reformatted"),
    "types": Violation("types", PLANTED, HEAD + 'PORT: int = "http"\n', "Incompatible types in assignment"),
    "strict": Violation("types", PLANTED, HEAD + "def f(a):\n    return a\n", "missing a type annotation"),
    "length": Violation("length", PLANTED, HEAD + "#\n" * 349, f"{PLANTED}: 351 lines"),
    "a module that nobody placed": Violation("layers", PLANTED, HEAD, "not listed as layers:\n\n- natobs.planted\n"),
    "an import from above": Violation(
        "layers",
        "natobs/catalogue/planted.py",
        HEAD + "from natobs.kernel import machine\n",
        "natobs.catalogue is not allowed to import natobs.kernel",
    ),
    "the kernel layer and a metric": Violation(
        "layers",
        "natobs/kernel/planted.py",
        HEAD + "from natobs.catalogue import types\n",
        "natobs.kernel is not allowed to import natobs.catalogue",
    ),
    "siblings": Violation(
        "layers",
        "natobs/kernel/planted.py",
        HEAD + "from natobs import config\n",
        "natobs.kernel is not allowed to import natobs.config",
    ),
    "one collector and another": Violation(
        "layers",
        "natobs/collectors/planted.py",
        HEAD + "from natobs.collectors import conntrack\n",
        "natobs.collectors.planted is not allowed to import natobs.collectors.conntrack",
    ),
    "the catalogue and the machine": Violation(
        "layers",
        "natobs/catalogue/planted.py",
        HEAD + "import socket\n",
        "natobs.catalogue is not allowed to import socket",
    ),
    "the generator and the machine": Violation(
        "layers",
        "natobs/generate/planted.py",
        HEAD + "import subprocess\n",
        "natobs.generate is not allowed to import subprocess",
    ),
    "the generator and the kernel layer": Violation(
        "layers",
        "natobs/generate/planted.py",
        HEAD + "from natobs.kernel import machine\n",
        "natobs.generate is not allowed to import natobs.kernel",
    ),
    "probes and the kernel layer": Violation(
        "layers",
        "natobs/probes/planted.py",
        HEAD + "from natobs.kernel import machine\n",
        "natobs.probes is not allowed to import natobs.kernel",
    ),
}


@pytest.mark.parametrize("violation", VIOLATIONS.values(), ids=VIOLATIONS)
def test_a_planted_violation_fails_and_is_named(check: Run, tree: Path, violation: Violation) -> None:
    planted = tree / violation.file
    planted.parent.mkdir(exist_ok=True)
    (planted.parent / "__init__.py").touch()
    planted.write_text(violation.source)
    name = violation.check
    done = check(tree, name, *([] if name == "layers" else [violation.file]))
    assert done.returncode == 1, done.stdout
    assert violation.says in done.stdout
    assert done.stdout.endswith(f"{name:<10} FAILED\ncheck: failed: {name}\n")


def test_a_stale_generated_file_fails_and_is_named(check: Run, tree: Path) -> None:
    with (tree / "docs" / "metrics.md").open("a") as page:
        page.write("A line by hand.\n")
    done = check(tree, "generated")
    assert done.returncode == 1
    assert "docs/metrics.md" in done.stdout


def test_a_missing_generated_file_fails_and_is_named(check: Run, tree: Path) -> None:
    (tree / "docs" / "metrics.md").unlink()
    done = check(tree, "generated")
    assert done.returncode == 1
    assert "docs/metrics.md" in done.stdout


@pytest.mark.parametrize("name", ["ruff", "format", "types", "length"])
def test_a_check_that_looks_at_nothing_fails(check: Run, tree: Path, name: str) -> None:
    (tree / "empty").mkdir()
    done = check(tree, name, "empty")
    assert done.returncode == 1, done.stdout
    assert f"check: failed: {name}" in done.stdout


def test_layers_without_contracts_fail(check: Run, tree: Path) -> None:
    settings = tree / "pyproject.toml"
    settings.write_text(settings.read_text().partition("[[tool.importlinter.contracts]]")[0])
    done = check(tree, "layers")
    assert done.returncode == 1, done.stdout
    assert "No contracts found" in done.stdout
    assert done.stdout.endswith("check: failed: layers\n")


def test_a_directory_that_is_not_the_project_is_refused(check: Run, tmp_path: Path) -> None:
    done = check(tmp_path, "layers")
    assert done.returncode == 2
    assert f"{tmp_path}: no natobs here" in done.stderr
