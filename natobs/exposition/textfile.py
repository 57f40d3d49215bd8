"""Files for node_exporter's textfile collector, replaced whole or not at all.

Knows files. A reader sees the old file or the new one, never a part: the new one
is written beside the old under a name that the collector does not read, brought
to disk, and renamed. A writer that was killed leaves at most that other file;
the next one removes it. Knows nothing of samples.

Source: node_exporter, ``collector/textfile.go`` (reads ``*.prom``).
"""

import fcntl
import os
import secrets
from contextlib import ExitStack, suppress
from pathlib import Path

from natobs.errors import ExpositionError

_SUFFIX = ".prom"
_TEMPORARY = ".tmp"
_MODE = 0o644
"""node_exporter runs as a user of its own and must be able to read the file."""


def write_textfile(directory: Path, body: bytes, name: str = "natobs.prom") -> Path:
    """Write or replace a file, and return its path.

    Args:
        directory: what node_exporter was given as ``--collector.textfile.directory``.
        body: an exposition in the text format 0.0.4, without time stamps.
        name: ends in ``.prom``.

    Raises:
        ExpositionError: the name is none that node_exporter reads, or the directory cannot be written to.
    """
    if Path(name).name != name or not name.endswith(_SUFFIX):
        raise ExpositionError(f"textfile name {name!r} must be a plain file name that ends in {_SUFFIX}")
    path = directory / name
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _failure(path, error) from error
    with ExitStack() as unwind:
        unwind.callback(os.close, folder)
        try:
            _sweep(folder, name)
            _replace(folder, name, body)
        except OSError as error:
            raise _failure(path, error) from error
    return path


def _replace(folder: int, name: str, body: bytes) -> None:
    temporary, descriptor = _create(folder, name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fchmod(descriptor, _MODE)
            os.fsync(descriptor)
            os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    os.fsync(folder)


def _create(folder: int, name: str) -> tuple[str, int]:
    """Create a temporary file that bears its writer's lock, which the kernel takes back when the writer dies."""
    while True:
        temporary = f"{_prefix(name)}{secrets.token_hex(8)}{_TEMPORARY}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            os.close(descriptor)
            os.unlink(temporary, dir_fd=folder)
            raise
        if os.fstat(descriptor).st_nlink:
            return temporary, descriptor
        os.close(descriptor)  # another writer's sweep came between the creation and the lock


def _sweep(folder: int, name: str) -> None:
    """Remove the temporary files of writers that are gone: those whose lock can be had."""
    for entry in os.listdir(folder):
        if not (entry.startswith(_prefix(name)) and entry.endswith(_TEMPORARY)):
            continue
        with ExitStack() as unwind, suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(entry, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=folder)
            unwind.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(entry, dir_fd=folder)


def _prefix(name: str) -> str:
    return f".{name}."


def _failure(path: Path, error: OSError) -> ExpositionError:
    return ExpositionError(
        f"cannot write {path}: {error.strerror}; the directory must exist and be writable for natobs"
    )
