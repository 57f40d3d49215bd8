"""The directory for state files, and processes that cannot be mistaken."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from natobs import rundir
from natobs.errors import SetupError


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_the_directory_is_made_for_this_user_alone(runtime: Path) -> None:
    assert rundir.directory() == runtime / "natobs"
    assert rundir.directory().stat().st_mode & 0o777 == 0o700


def test_a_link_that_somebody_laid_is_refused(runtime: Path) -> None:
    (runtime / "elsewhere").mkdir()
    (runtime / "natobs").symlink_to("elsewhere")
    with pytest.raises(SetupError, match=r"natobs belongs to somebody else; remove it or set XDG_RUNTIME_DIR"):
        rundir.directory()


def test_a_second_command_waits_for_the_first() -> None:
    order: list[str] = []

    def second() -> None:
        with rundir.locked():
            order.append("second")

    with rundir.locked():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(20)
    assert order == ["first", "second"]


def test_a_lock_that_is_held_for_too_long_is_named(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "_LOCK_SECONDS", 0.2)
    message = f"another natobs command holds {runtime}/natobs/lock"
    with rundir.locked(), pytest.raises(SetupError, match=message), rundir.locked():
        pytest.fail("two commands held the lock")


def test_a_process_ends_once_and_its_id_is_never_taken_for_another() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = rundir.Process.of(child.pid)
        assert process is not None
        assert process.alive()
        recycled = rundir.Process(process.pid, process.started + 1, process.boot)
        other_boot = rundir.Process(process.pid, process.started, "another")
        for wrong in (recycled, other_boot):
            assert not wrong.alive()
            assert wrong.end(signal.SIGKILL, 0)
        assert process.alive()
        assert process.end(signal.SIGTERM, 20)
        assert not process.alive()
    assert process.end(signal.SIGTERM, 0)


def test_one_that_ignores_a_signal_is_told_apart() -> None:
    program = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        process = rundir.Process.of(child.pid)
        assert process is not None
        assert not process.end(signal.SIGTERM, 0.2)
        assert process.end(signal.SIGKILL, 20)
    assert rundir.start_ticks(os.getpid()) is not None
