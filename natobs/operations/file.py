"""The journal's file: changed by one writer at a time, replaced whole and on disk before anybody is told so.

A writer that is killed takes its lock with it and leaves the old file or the new
one. Readers need no lock. A damaged file is never overwritten: a change moves it
aside. Knows files; what stands in them is :mod:`natobs.operations.journal`'s.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from natobs.errors import FormatError, OperationsError
from natobs.operations.journal import Journal, NewerError, decode, encode

_LOCK_SECONDS = 30.0
_LOOK_SECONDS = 0.01
_MODE, _DIRECTORY_MODE = 0o644, 0o755
"""Whatever the umask says: the agent may be another user than the one who records."""


class JournalFile:
    """One file.

    Args:
        path: where; its directory is made by the first change.
        warn: told in a sentence that a damaged file was moved aside.
    """

    def __init__(self, path: Path, warn: Callable[[str], None] = lambda said: None) -> None:
        self._path = path
        self._warn = warn

    def read(self) -> Journal:
        """What the file holds; without a file, an empty journal.

        Raises:
            OperationsError: it cannot be read, or is damaged.
        """
        try:
            return self._load()
        except FormatError as error:
            raise OperationsError(
                f"{self._path} is damaged: {error}; the next `natobs event record` or `natobs maintenance start` moves "
                "it aside and begins a new one"
            ) from error

    def change(self, how: Callable[[Journal], Journal]) -> Journal:
        """Replace the journal by another one, which is on disk when this returns.

        Args:
            how: makes the new one of the present one; it may give back the same.

        Raises:
            OperationsError: nothing was changed.
        """
        with self._locked():
            try:
                present = self._load()
            except FormatError as error:
                self._move_aside(error)
                present = Journal()
            wanted = how(present)
            if wanted != present:
                content = encode(wanted)
                decode(content)  # what no reader would take is never written
                with self._explained("written"):
                    self._replace(content)
            return wanted

    def _load(self) -> Journal:
        try:
            return decode(self._path.read_bytes())
        except FileNotFoundError:
            return Journal()
        except OSError as error:
            raise self._failure("read", error) from error
        except NewerError as error:
            raise OperationsError(f"{self._path}: {error}") from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock, which the kernel takes back when its holder dies."""
        lock = self._path.with_name(f"{self._path.name}.lock")
        with self._explained("written"):
            self._make_directory()
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + _LOCK_SECONDS
            while not _take(descriptor):
                if time.monotonic() > deadline:
                    raise OperationsError(f"another natobs command has held {lock} for {_LOCK_SECONDS:g} s; try again")
                time.sleep(_LOOK_SECONDS)
            yield
        finally:
            os.close(descriptor)

    def _make_directory(self) -> None:
        directory = self._path.parent
        if not directory.is_dir():
            directory.mkdir(parents=True, exist_ok=True)
            directory.chmod(_DIRECTORY_MODE)
            _to_disk(directory.parent)

    def _move_aside(self, error: FormatError) -> None:
        """Keep a damaged file under a name that nothing has yet."""
        moved, number = self._path.with_name(f"{self._path.name}.damaged"), 1
        while moved.exists():
            number += 1
            moved = self._path.with_name(f"{self._path.name}.damaged-{number}")
        with self._explained("moved aside"):
            self._path.rename(moved)
        self._warn(
            f"{self._path} was damaged ({error}) and is now {moved}; a new one was begun, and its counters with it"
        )

    def _replace(self, content: bytes) -> None:
        # The lock makes one name do for all writers: what a killed one left is overwritten.
        draft = self._path.with_name(f"{self._path.name}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(descriptor, _MODE)
            os.fsync(descriptor)
        draft.replace(self._path)
        _to_disk(self._path.parent)

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._failure(what, error) from error

    def _failure(self, what: str, error: OSError) -> OperationsError:
        hint = "; run this as root, or name another file with --state" if isinstance(error, PermissionError) else ""
        return OperationsError(f"{self._path} cannot be {what}: {error.strerror}{hint}")


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _to_disk(directory: Path) -> None:
    """Have the names in a directory survive a loss of power."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
