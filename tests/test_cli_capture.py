"""``natobs capture`` and what replays it."""

import subprocess
import sys
from pathlib import Path

from natobs.catalogue.types import Sample
from natobs.collectors.observer import Observer, samples_of
from natobs.config import Config
from natobs.kernel.recorded import RecordedMachine


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "natobs", *arguments], capture_output=True, text=True, timeout=40, check=False
    )


def test_this_machine_is_written_down_and_replayed(tmp_path: Path) -> None:
    directory = tmp_path / "machine"
    done = run("capture", str(directory))
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_mode & 0o077 for path in (directory, *directory.rglob("*"))} == {0}
    answers = int(done.stdout.partition(": ")[2].split()[0])
    assert answers == sum(path.is_file() for path in directory.rglob("*")) - 1  # the manifest is no answer
    observer = Observer(RecordedMachine(directory), Config())
    observer.prime()
    samples = {s.metric.name: s.value for s in samples_of(observer.collect(30)) if isinstance(s, Sample)}
    observer.stop()
    assert samples["natobs_boot_time_seconds"] > 0
    assert samples["natobs_softnet_processed_total"] > 0


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    done = run("capture", str(tmp_path))
    assert done.returncode == 1
    assert "not empty" in done.stderr
