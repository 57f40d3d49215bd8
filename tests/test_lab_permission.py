"""Where this user may make no namespaces, tests in the lab fail and say why; none is skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent

NOBODY_MAY = ("setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", "--")
"""Root without CAP_SYS_ADMIN, as in an ordinary container."""


@pytest.mark.parametrize("ci", ["true", ""])
def test_without_permission_they_fail_in_one_line(ci: str) -> None:
    root = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user")
    done = subprocess.run(
        [*root, *NOBODY_MAY, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/lab/test_lab.py"],
        cwd=PROJECT,
        env={**os.environ, "CI": ci},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    words = done.stdout.splitlines()[-1]
    assert "error" in words
    assert "passed" not in words
    assert "skipped" not in words
    assert "tests in the lab need root or user namespaces: " in done.stdout
    assert "Root needs CAP_SYS_ADMIN for this; a container may lack it." in done.stdout
    assert "Traceback" not in done.stdout
