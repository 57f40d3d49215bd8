"""The project as a whole: what no module can say of itself."""

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import natobs

PROJECT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((PROJECT / "pyproject.toml").read_text())
LOCKS = ("agent", "build", "dev")

TARGETS = {"up", "down", "test", "check", "lint", "bench", "lab", "generate", "clean"}

HEAVY = {"grafanalib", "hypothesis", "jinja2", "numpy", "opentelemetry", "pyroute2", "rich", "starlette", "uvicorn"}
HEAVY |= {"requests"}
"""What only some commands need; natobs imports it where it is used."""

LIGHT_COMMANDS = (
    *("main", "agent", "capture", "census", "down", "event", "gate", "generate", "lab", "maintenance", "probe"),
    *("reflector", "slo", "up"),
)
"""Modules of ``natobs.cli`` for what runs on a NAT VM, or often; extend it with each such command."""

TEXT = {".cfg", ".css", ".html", ".ini", ".js", ".json", ".md", ".py", ".rules", ".service", ".sh", ".toml", ".txt"}
TEXT |= {".yaml", ".yml"}
UNTRACKED = {"__pycache__", "dist", "run"}

RUNBOOK_TEXTS = Path("natobs/generate/runbooks/text")

MACHINE_PATH = re.compile(r"(?<![\w.}*])/(?:work|root|home/[a-z]+|opt/[a-z]+)/")
"""A directory of the machine that somebody happened to work on."""


def files() -> list[Path]:
    """Give every text file of the project, relative to its top."""
    return sorted(path.relative_to(PROJECT) for path in walk(PROJECT))


def walk(directory: Path) -> Iterator[Path]:
    for path in directory.iterdir():
        hidden = path.name.startswith(".") and path.name != ".ci"
        if path.is_dir() and not hidden and path.name not in UNTRACKED:
            yield from walk(path)
        elif path.is_file() and (path.suffix in TEXT or path.name in {"Makefile", "run"}):
            yield path


def pins(lock: str) -> dict[str, set[str]]:
    """Give the versions of each package that ``requirements/<lock>.txt`` names; a package may differ by Python."""
    text = (PROJECT / "requirements" / f"{lock}.txt").read_text()
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==(\S+)", text, re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def make(*words: str) -> str:
    """Run make as a person would, whatever make runs this test."""
    environment = {key: value for key, value in os.environ.items() if key not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
    return subprocess.run(
        ["make", *words], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True, timeout=60
    ).stdout


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    versions = re.findall(r"^## \[?(\d+\.\d+\.\d+)", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions[0] == natobs.__version__
    assert len(versions) == len(set(versions))


def test_the_licence_is_the_one_that_the_package_names() -> None:
    text = (PROJECT / "LICENSE").read_text()
    assert SETTINGS["project"]["license"] == "Apache-2.0"
    assert re.search(r"Apache License\s+Version 2\.0, January 2004", text)
    assert "END OF TERMS AND CONDITIONS" in text


def test_make_help_has_a_line_for_every_target() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    helped = dict(re.findall(r"^make (\S+) +(\S.*)$", make("help"), re.MULTILINE))
    assert set(helped) >= TARGETS
    assert set(helped) == set(phony[1].split()) - {"programs"}
    assert make() == make("help")


def test_every_lint_rule_that_is_off_says_why() -> None:
    text = (PROJECT / "pyproject.toml").read_text()
    lint = text.partition("[tool.ruff.lint]")[2].partition("[tool.ruff.lint.isort]")[0]
    rules = re.findall(r'^ +("[A-Z]+\d*",.*)$', lint, re.MULTILINE)
    assert len(rules) > 10
    assert [rule for rule in rules if not re.search(r"# .*\w", rule)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_versions_and_hashes_and_no_place(lock: str) -> None:
    text = (PROJECT / "requirements" / f"{lock}.txt").read_text()
    packages = re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:]
    assert len(packages) == sum(map(len, pins(lock).values())) > 3
    for package in packages:
        assert "--hash=sha256:" in package, package
    assert re.findall(r".*(?:://|@ |--index|--extra|--find|-e |\.\./|^/).*", text, re.MULTILINE) == []
    assert MACHINE_PATH.findall(text) == []


def test_the_locks_agree_with_one_another() -> None:
    dev = pins("dev")
    for lock in ("agent", "build"):
        differing = {name: (found, dev.get(name)) for name, found in pins(lock).items() if dev.get(name) != found}
        assert differing == {}, lock


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("agent", SETTINGS["project"]["dependencies"]),
        ("build", SETTINGS["dependency-groups"]["build"]),
        ("dev", SETTINGS["project"]["dependencies"]),
        ("dev", SETTINGS["project"]["optional-dependencies"]["lab"]),
        ("agent", SETTINGS["project"]["optional-dependencies"]["probes"]),
        ("dev", SETTINGS["project"]["optional-dependencies"]["otlp"]),
        ("dev", [entry for entry in SETTINGS["dependency-groups"]["dev"] if isinstance(entry, str)]),
        ("dev", SETTINGS["build-system"]["requires"]),
    ],
)
def test_a_lock_holds_what_pyproject_asks_for(lock: str, wanted: list[str]) -> None:
    locked = pins(lock)
    assert wanted
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        assert name in locked, f"{requirement}: not in requirements/{lock}.txt; run `make lock`"
        assert all(map(requirement.specifier.contains, locked[name])), (
            f"{requirement}: locked is {locked[name]}; run `make lock`"
        )


def test_a_nat_vm_installs_nothing_heavy() -> None:
    installed = set(pins("agent"))
    assert "click" in installed
    assert installed & HEAVY == {"numpy", "rich"}  # for the census, and for the tables of commands that a person reads


def test_no_file_names_a_directory_of_somebodys_machine() -> None:
    checked = files()
    assert len(checked) > 50
    found = [
        f"{path}: {line.strip()}"
        for path in checked
        for line in (PROJECT / path).read_text("utf-8", errors="replace").splitlines()
        if MACHINE_PATH.search(line)
    ]
    assert found == []


def home(page: Path) -> Path:
    """Where a page is read, which its links start from: parts of runbooks are read in the runbooks."""
    return Path("docs/runbooks") if page.parent == RUNBOOK_TEXTS else page.parent


def test_every_link_between_pages_leads_somewhere() -> None:
    links = [
        (page, target)
        for page in files()
        if page.suffix == ".md"
        for target in re.findall(r"\]\((?![a-z]+:|#)([^)#\s]+)", (PROJECT / page).read_text())
    ]
    assert links
    assert [(str(page), target) for page, target in links if not (PROJECT / home(page) / target).exists()] == []


def test_every_page_of_the_documentation_is_in_its_index_and_the_index_in_the_readme() -> None:
    docs = PROJECT / "docs"
    pages = {page.name for page in docs.glob("*.md")} | {
        f"{page.parent.name}/README.md" for page in docs.glob("*/README.md")
    }
    linked = set(re.findall(r"\]\(([^)#]+)\)", (docs / "README.md").read_text()))
    assert len(pages) > 15
    assert pages - linked == {"README.md"}
    assert "(docs/README.md)" in (PROJECT / "README.md").read_text()


def test_decision_records_are_numbered_without_gaps_and_say_what_was_decided() -> None:
    records = sorted((PROJECT / "docs" / "decisions").glob("[0-9]*.md"))
    assert [record.name[:5] for record in records] == [f"{number:04}-" for number in range(1, len(records) + 1)]
    assert records
    for record in records:
        headings = re.findall(r"^## (.+)$", record.read_text(), re.MULTILINE)
        assert headings[:3] == ["Context", "Decision", "Consequences"], record.name


@pytest.mark.parametrize("command", LIGHT_COMMANDS)
def test_a_light_command_loads_nothing_heavy(command: str) -> None:
    code = f"import json, sys, natobs.cli.{command}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "click" in loaded
    assert loaded & HEAVY == set()
