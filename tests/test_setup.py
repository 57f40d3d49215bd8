"""The set-up scripts on machines unlike this one: apt-get, sudo and id are stand-ins that write down their calls."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent / "scripts"

INSTALL = "apt-get install -y --no-install-recommends conntrack ethtool"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Stand-ins that come first on PATH: an ordinary user, sudo that wants a password, apt-get that works."""
    program(tmp_path, "id", "echo 1000")
    program(tmp_path, "sudo", "exit 1")
    program(tmp_path, "apt-get", 'echo "$@" >>"$0.calls"')
    return tmp_path


def program(machine: Path, name: str, line: str) -> None:
    path = machine / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def install(machine: Path) -> subprocess.CompletedProcess[str]:
    """Ask for two packages."""
    return subprocess.run(
        ["bash", "-euc", f". {SCRIPTS}/debian.sh; install_packages conntrack ethtool"],
        env={**os.environ, "PATH": f"{machine}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def calls(machine: Path) -> list[str]:
    """Give what apt-get was asked, less the reading of package lists that an empty machine begins with."""
    log = machine / "apt-get.calls"
    lines = log.read_text().splitlines() if log.exists() else []
    return lines[1:] if lines and lines[0].endswith("update") else lines


def test_an_ordinary_user_is_told_the_exact_command(machine: Path) -> None:
    done = install(machine)
    assert done.returncode == 1
    assert done.stderr.endswith(f"please run: sudo {INSTALL}\n")
    assert calls(machine) == []


@pytest.mark.parametrize("who", ["root", "sudo"])
def test_root_and_sudo_install_without_a_question(machine: Path, who: str) -> None:
    if who == "root":
        program(machine, "id", "echo 0")
    else:
        program(machine, "sudo", 'shift; exec "$@"')
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert [line.partition("install")[2] for line in calls(machine)] == [" --no-install-recommends conntrack ethtool"]
    assert "-y" in calls(machine)[0].split()


def test_old_package_lists_are_read_again_once(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(
        machine, "apt-get", 'echo "$@" >>"$0.calls"; case "$*" in *update) touch "$0.new";; *) test -e "$0.new";; esac'
    )
    done = install(machine)
    assert done.returncode == 0, done.stderr
    assert calls(machine)[-1].endswith("install --no-install-recommends conntrack ethtool")


def test_a_failed_installation_shows_why_and_names_the_command(machine: Path) -> None:
    program(machine, "id", "echo 0")
    program(machine, "apt-get", "echo E: no such package >&2; exit 100")
    done = install(machine)
    assert done.returncode == 1
    assert "E: no such package" in done.stderr
    assert done.stderr.endswith(f"this failed: {INSTALL}\n")


def test_a_package_without_the_file_is_a_failure(machine: Path, tmp_path: Path) -> None:
    """What ``download`` brings is a package that holds something else."""
    program(machine, "apt-get", 'case "$*" in *download*) : >empty.deb;; esac')
    program(machine, "dpkg-deb", "tar -c -C / --files-from /dev/null")
    done = subprocess.run(
        ["bash", "-uec", f"set -o pipefail; . {SCRIPTS}/debian.sh; fetch_file p usr/bin/p {tmp_path}/bin || exit 7"],
        env={**os.environ, "PATH": f"{machine}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 7, done.stderr
    assert list((tmp_path / "bin").iterdir()) == []


def test_every_shell_script_parses() -> None:
    scripts = [*SCRIPTS.glob("*.sh"), SCRIPTS.parent / ".ci" / "run"]
    assert len(scripts) > 3
    for script in scripts:
        done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), script
