"""The journal's file: what was acknowledged is in it, whoever else writes, dies or has damaged it."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from natobs.errors import OperationsError
from natobs.operations import file as subject
from natobs.operations.file import JournalFile
from natobs.operations.journal import Event, Journal, encode

WRITER = Path(__file__).parent / "record_events.py"


def one_more(reason: str = "load", note: str = "") -> Callable[[Journal], Journal]:
    return lambda journal: journal.recorded(Event("scale_out", reason, 5.0, note), 6.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "natobs" / "operations.json"


def test_without_a_file_the_journal_is_empty_and_nothing_is_made(path: Path) -> None:
    assert JournalFile(path).read() == Journal()
    assert not path.parent.exists()


def test_a_change_is_read_by_anybody(path: Path) -> None:
    written = JournalFile(path).change(one_more())
    assert JournalFile(path).read() == written
    assert [total.count for total in JournalFile(path).change(one_more()).totals] == [2]


def test_the_agent_may_be_another_user_whatever_the_umask(path: Path) -> None:
    before = os.umask(0o077)
    try:
        JournalFile(path).change(one_more())
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert path.parent.stat().st_mode & 0o777 == 0o755


def test_what_changes_nothing_writes_nothing(path: Path) -> None:
    JournalFile(path).change(one_more())
    before = path.stat()
    JournalFile(path).change(lambda journal: journal)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format": 1, "more": 1}', b"\xff\xfe", b"null", b'{"format": ' + b"[" * 100_000]
)
def test_a_damaged_file_is_named_by_readers_and_moved_aside_by_writers(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    said: list[str] = []
    for number in ("", "-2", "-3"):
        path.write_bytes(content)
        with pytest.raises(OperationsError, match=f"{path} is damaged: .*natobs event record"):
            JournalFile(path).read()
        assert path.read_bytes() == content
        JournalFile(path, said.append).change(one_more())
        moved = path.with_name(f"operations.json.damaged{number}")
        assert moved.read_bytes() == content
        assert str(path) in said[-1]
        assert str(moved) in said[-1]
        assert len(JournalFile(path).read().events) == 1


def test_a_file_of_a_newer_natobs_is_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'{"format": 2, "events": {}}')
    for attempt in (JournalFile(path).read, lambda: JournalFile(path).change(one_more())):
        with pytest.raises(OperationsError, match="written by a newer natobs"):
            attempt()
    assert path.read_bytes() == b'{"format": 2, "events": {}}'


def test_what_no_reader_would_take_is_not_written(path: Path) -> None:
    JournalFile(path).change(one_more())
    before = path.read_bytes()
    with pytest.raises(Exception, match="note"):
        JournalFile(path).change(one_more(note="x" * 201))
    assert path.read_bytes() == before


@pytest.mark.parametrize("when", ["the file", "the directory"])
def test_a_full_disk_loses_nothing_and_is_told(path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    JournalFile(path).change(one_more())
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        if (when == "the file") == (Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".new"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperationsError, match=f"{path} cannot be written: No space left on device"):
        JournalFile(path).change(one_more())
    if when == "the file":
        assert path.read_bytes() == before


def test_the_file_is_on_disk_before_it_has_its_name_and_the_name_before_it_is_acknowledged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    JournalFile(path).change(one_more())
    done: list[str] = []
    rename = Path.replace

    def sync(descriptor: int) -> None:
        done.append("sync " + Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def replace(draft: Path, target: Path) -> Path:
        done.append(f"rename {draft.name}")
        return rename(draft, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(Path, "replace", replace)
    JournalFile(path).change(one_more())
    assert done == ["sync operations.json.new", "rename operations.json.new", "sync natobs"]


def test_a_lock_that_is_not_given_up_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_LOCK_SECONDS", 0.05)

    def blocked(journal: Journal) -> Journal:
        with pytest.raises(OperationsError, match=r"operations\.json\.lock for 0\.05 s"):
            JournalFile(path).change(one_more())
        return journal

    JournalFile(path).change(blocked)
    assert not path.exists()


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OperationsError, match=r"file/x cannot be (read|written): "):
        JournalFile(tmp_path / "file" / "x").change(one_more())


def start(path: Path, name: str, count: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(WRITER), str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(WRITER.parents[1])})


def acknowledged(writer: "subprocess.Popen[bytes]") -> set[str]:
    """Whole lines: a name that a killed writer had not ended was none."""
    out, _none = writer.communicate(timeout=120)
    return {line.decode().strip() for line in out.splitlines(keepends=True) if line.endswith(b"\n")}


def lost(path: Path, notes: set[str]) -> set[str]:
    """What was acknowledged and is not there; the totals must agree with the events."""
    journal = JournalFile(path).read()
    assert sum(total.count for total in journal.totals) == len(journal.events)
    return notes - {event.note for event in journal.events}


def test_many_writers_at_once_lose_nothing(path: Path) -> None:
    writers = [start(path, f"w{number}", 25) for number in range(8)]
    notes = set().union(*map(acknowledged, writers))
    assert len(notes) == 200
    assert lost(path, notes) == set()


def test_without_the_lock_they_would(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "_take", lambda descriptor: True)

    def overtaken(journal: Journal) -> Journal:
        JournalFile(path).change(one_more(note="between reading and writing"))
        return one_more(note="last")(journal)

    JournalFile(path).change(overtaken)
    assert lost(path, {"between reading and writing", "last"}) == {"between reading and writing"}


def test_writers_that_are_killed_lose_nothing_that_they_acknowledged(path: Path) -> None:
    chance = random.Random(5)  # noqa: S311  a test's own
    killed = 0
    for turn in range(8):
        notes: set[str] = set()
        journal = path.with_name(f"{turn}.json")
        for again in range(2):
            writers = [start(journal, f"{again}w{number}", 200) for number in range(2)]
            begun = writers[0].stdout
            assert begun is not None
            notes.add(begun.readline().decode().strip())  # it works by now: kill it in the middle
            time.sleep(chance.uniform(0, 0.03))
            for writer in writers:
                writer.kill()
            notes |= set().union(*map(acknowledged, writers))
            killed += sum(writer.returncode == -signal.SIGKILL for writer in writers)
        assert lost(journal, notes) == set()
        assert encode(JournalFile(journal).read()) == journal.read_bytes()
    assert killed >= 8
