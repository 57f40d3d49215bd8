"""``natobs capture`` and what replays it."""

import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from natobs.catalogue.types import Sample
from natobs.cli import capture
from natobs.collectors.observer import Observer, samples_of
from natobs.config import Config, parse
from natobs.errors import CaptureError
from natobs.kernel.machine import Machine
from natobs.kernel.recorded import FORMAT, MANIFEST, Manifest, RecordedMachine
from tests.accounted import AccountedKernel

PATIENT = "[agent]\ncollector_limit_seconds = 60\n"
"""A collector that was kept from the CPU is none that hangs."""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "natobs", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_this_machine_is_written_down_and_replayed(tmp_path: Path) -> None:
    directory = tmp_path / "machine"
    done = run("capture", str(directory))
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_mode & 0o077 for path in (directory, *directory.rglob("*"))} == {0}
    answers = int(done.stdout.partition(": ")[2].split()[0])
    assert answers == sum(path.is_file() for path in directory.rglob("*")) - 1  # the manifest is no answer
    observer = Observer(RecordedMachine(directory), parse(PATIENT, "test"))
    observer.prime()
    samples: defaultdict[str, float] = defaultdict(float)  # of all CPUs: one of them may have had nothing to do
    for sample in samples_of(observer.collect(60)):
        if isinstance(sample, Sample):
            samples[sample.metric.name] += sample.value
    observer.stop()
    assert samples["natobs_boot_time_seconds"] > 0
    assert samples["natobs_softnet_processed_total"] > 0


def test_a_replay_leaves_alone_what_this_machine_has_counted(tmp_path: Path) -> None:
    kernel = AccountedKernel()
    kernel.flow("10.0.0.1", "198.51.100.1", 443)
    for key, answer in {**kernel.machine.answers, MANIFEST: msgspec.json.encode(Manifest(FORMAT, "", ""))}.items():
        path = tmp_path / "machine" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        assert isinstance(answer, bytes)
        path.write_bytes(answer)
    (tmp_path / "natobs.toml").write_text(f'{PATIENT}[accounting]\nstate_file = "{tmp_path}/state"\n', "utf-8")
    (tmp_path / "shown").mkdir()
    where = ("--config", str(tmp_path / "natobs.toml"), "--textfile", str(tmp_path / "shown"), "--once")
    done = run("agent", "--recorded", str(tmp_path / "machine"), *where)
    assert done.returncode == 0, done.stderr
    (shown,) = (tmp_path / "shown").iterdir()
    assert 'natobs_outbound_attempts_total{proto="tcp"} 1' in shown.read_text("utf-8")
    assert not (tmp_path / "state").exists()


def test_a_capture_leaves_alone_what_the_agent_has_saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[Config] = []

    def observer(machine: Machine, config: Config) -> Observer:
        given.append(config)
        raise CaptureError("enough")

    monkeypatch.setattr(os, "umask", lambda mask: mask)
    monkeypatch.setattr(capture, "Observer", observer)
    CliRunner().invoke(capture.command, [str(tmp_path / "machine")])
    assert [config.accounting.state_file for config in given] == [""]


def test_a_directory_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    done = run("capture", str(tmp_path))
    assert done.returncode == 1
    assert "not empty" in done.stderr
