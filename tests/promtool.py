"""promtool, run on generated files."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
_MEMORY_FOR_TIME = {"GOGC": "400"}
"""The garbage collector takes a quarter of promtool's time; more memory, less of that."""
PATH = f"{ROOT / '.tools' / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"


def program(name: str) -> str:
    """Where a program is; the error says how it comes there."""
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is missing: make programs"
    return found


def promtool(*words: str | Path) -> tuple[int, str]:
    """Run it; gives the exit status and all that it said."""
    done = subprocess.run(
        [program("promtool"), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        env={**os.environ, **_MEMORY_FOR_TIME},
    )
    return done.returncode, done.stdout + done.stderr
