#!/usr/bin/env python3
"""All that can be said about the project without running it: lint, format, types, layers, sizes, generated files.

Each check prints how much it looked at, and fails when that is nothing: a checker
that lost its way must not pass. Knows the tools and how they count; knows no rule
of its own but the length of a module. What is linted and typed, and which layers
there are, stands in pyproject.toml.

Example: ``.venv/bin/python scripts/check.py --only ruff --only types``.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

TREES = ("natobs", "tests", "benchmarks", "scripts")
"""Where Python of ours lives; one that is not there yet is passed over."""

LONGEST = 350
"""Lines a module may have: beyond, it holds two subjects."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found.

    Args:
        passed: whether the tool was content.
        counted: how much it looked at; zero fails.
        line: the same for a person.
        output: what the tool said, printed when the check fails.
    """

    passed: bool
    counted: int
    line: str
    output: str = ""


@dataclass(frozen=True, slots=True)
class Tree:
    """The project under check, and the parts of it that are looked at.

    Args:
        root: the directory that holds pyproject.toml.
        paths: files and directories, relative to ``root``.
    """

    root: Path
    paths: tuple[str, ...]

    def run(self, *words: str) -> tuple[bool, str]:
        """Run a Python tool in the project; gives whether it exited with 0, and all it said."""
        # A copy of the project imports its own natobs, not the one installed beside the tools.
        environment = {**os.environ, "PYTHONPATH": str(self.root), "NO_COLOR": "1", "COLUMNS": "120"}
        done = subprocess.run(
            [sys.executable, *words], cwd=self.root, env=environment, capture_output=True, text=True, check=False
        )
        return done.returncode == 0, done.stdout + done.stderr

    def modules(self) -> list[Path]:
        """Give every Python file, without caches."""
        found: set[Path] = set()
        for path in (self.root / name for name in self.paths):
            found.update([path] if path.is_file() else path.rglob("*.py"))
        return sorted(found)


def count(pattern: str, text: str) -> int:
    """Give the number that ``pattern``'s first group matches in ``text``; 0 when it says nothing of the kind."""
    match = re.search(pattern, text)
    return int(match[1]) if match else 0


def ruff(tree: Tree) -> Result:
    """Every rule of ruff, less those that pyproject.toml switches off with a reason."""
    _, shown = tree.run("-m", "ruff", "check", "--show-files", *tree.paths)
    files = sum(line.endswith(".py") for line in shown.splitlines())
    passed, output = tree.run("-m", "ruff", "check", *tree.paths)
    return Result(passed, files, f"{files} files linted", output)


def layout(tree: Tree) -> Result:
    """The formatter would change nothing."""
    passed, output = tree.run("-m", "ruff", "format", "--check", *tree.paths)
    files = count(r"(\d+) files? already formatted", output)
    return Result(passed, files, f"{files} files formatted", output)


def types(tree: Tree) -> Result:
    """Strict types, in the tests too."""
    passed, output = tree.run("-m", "mypy", *tree.paths)
    files = count(r"no issues found in (\d+) source file", output)
    return Result(passed, files, f"{files} modules typed", output)


def layers(tree: Tree) -> Result:
    """The contracts on what may import what."""
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    passed, output = tree.run("-c", code, "--no-logo")
    kept = count(r"(\d+) kept", output)
    files = count(r"Analyzed (\d+) files", output)
    imports = count(r"(\d+) dependencies", output)
    line = f"{kept} contracts kept by {files} modules and {imports} imports"
    return Result(passed, min(kept, files, imports), line, output)


def length(tree: Tree) -> Result:
    """No module outgrows one subject."""
    lines = {path.relative_to(tree.root): len(path.read_bytes().splitlines()) for path in tree.modules()}
    over = [
        f"{path}: {number} lines, and {LONGEST} is the limit: split it by subject"
        for path, number in lines.items()
        if number > LONGEST
    ]
    longest = max(lines.values(), default=0)
    return Result(
        not over, len(lines), f"{len(lines)} modules measured, the longest with {longest} lines", "\n".join(over)
    )


def generated(tree: Tree) -> Result:
    """What follows from the catalogue is what stands in the tree."""
    passed, output = tree.run("-m", "natobs", "generate", "all", "--check")
    files = count(r"(\d+) generated files compared", output)
    return Result(passed, files, f"{files} generated files compared", output)


CHECKS: dict[str, Callable[[Tree], Result]] = {
    "ruff": ruff,
    "format": layout,
    "length": length,
    "types": types,
    "layers": layers,
    "generated": generated,
}
"""By name, in the order in which they run: the quick ones first."""


def check(tree: Tree, names: Iterable[str]) -> list[str]:
    """Run these checks and print a line for each; gives the names of those that failed."""
    failed = []
    for name in names:
        result = CHECKS[name](tree)
        if result.passed and result.counted > 0:
            say(f"{name:<10} {result.line}")
            continue
        failed.append(name)
        say(result.output.rstrip())
        say(f"{name:<10} FAILED" if not result.passed else f"{name:<10} FAILED: it looked at nothing")
    return failed


def mend(tree: Tree) -> list[str]:
    """Let ruff change what it can change safely, and format; gives what is left to a person."""
    passed, output = tree.run("-m", "ruff", "check", "--fix", *tree.paths)
    _, formatted = tree.run("-m", "ruff", "format", *tree.paths)
    say(output + formatted.rstrip())
    return [] if passed else ["ruff"]


def say(line: str) -> None:
    """Print one line at once: the next tool may take a while."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Read the command line and run; gives the exit status, 1 when a check failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=CHECKS, help="one of the checks; may be repeated")
    parser.add_argument("--root", type=Path, default=Path(__file__).parent.parent, help="the project to check")
    parser.add_argument("--mend", action="store_true", help="change files instead: what ruff can mend, and the format")
    parser.add_argument("paths", nargs="*", metavar="PATH", help="lint, type and measure only these, relative to root")
    asked = parser.parse_args()
    root: Path = asked.root.resolve()
    if not (root / "natobs" / "__init__.py").is_file():
        parser.error(f"{root}: no natobs here")
    paths = tuple(asked.paths) or tuple(name for name in TREES if (root / name).is_dir())
    tree = Tree(root, paths)
    failed = mend(tree) if asked.mend else check(tree, asked.only or CHECKS)
    if failed:
        say(f"check: failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
