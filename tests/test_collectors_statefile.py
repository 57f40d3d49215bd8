import errno
import os
from pathlib import Path

import msgspec
import pytest

from natobs import rundir
from natobs.collectors import statefile
from natobs.collectors.statefile import StateFile
from natobs.errors import UnavailableError

Counts = dict[str, int]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "counts.state"


def kept(path: Path) -> StateFile[Counts]:
    return StateFile(path, Counts)


def full(path: Path, content: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_was_saved_is_loaded_whatever_its_last_bytes_are(path: Path) -> None:
    assert kept(path).load() is None
    for value in (0, 1, 0xC1, 0xC100, 0x00C1, 1 << 40):
        kept(path).save({"a": value})
        assert kept(path).load() == {"a": value}


def test_a_file_of_an_older_version_is_read(path: Path) -> None:
    path.parent.mkdir()
    for value in (0, 1, 0xC1):
        path.write_bytes(msgspec.msgpack.encode((statefile._place(), {"a": value})))
        assert kept(path).load() == {"a": value}


def test_another_boot_or_namespace_is_not_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(path).save({"a": 1})
    monkeypatch.setattr(statefile, "_place", lambda: "elsewhere")
    assert kept(path).load() is None


def test_a_full_disk_keeps_the_latest_value_in_the_place_of_the_old_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = kept(path)
    subject.save({"a": 1})
    size = path.stat().st_size
    monkeypatch.setattr(rundir, "write_atomically", full)
    for value in (2, 1 << 40):
        subject.save({"a": value})
        assert kept(path).load() == {"a": value}
    assert path.stat().st_size == size  # no block more than it had
    subject.save({"a": 3})
    assert kept(path).load() == {"a": 3}


def test_a_full_disk_without_an_old_file_is_said(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rundir, "write_atomically", full)
    with pytest.raises(UnavailableError, match="series begin anew with each start"):
        kept(path).save({"a": 1})


def test_an_old_file_that_cannot_be_written_over_as_a_whole_is_no_value_any_more(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = kept(path)
    subject.save({"a": 1})
    monkeypatch.setattr(rundir, "write_atomically", full)
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, content, place: real(file, content[:60], place))
    with pytest.raises(UnavailableError):
        subject.save({"a": 1 << 40, "b": 2})
    assert kept(path).load() is None


def test_another_trouble_than_a_full_disk_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    subject = kept(path)
    subject.save({"a": 1})

    def broken(path: Path, content: bytes) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(rundir, "write_atomically", broken)
    with pytest.raises(UnavailableError, match="Input/output error"):
        subject.save({"a": 2})
    assert kept(path).load() == {"a": 1}
