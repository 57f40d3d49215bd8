"""What runs in the background and who it is: the directory for small state files, and processes told apart for good.

A process is its id, the moment it started and the boot it belongs to, so that a
recycled id is never signalled. Knows nothing of what the processes do.
"""

import fcntl
import os
import select
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from natobs.errors import SetupError

_LOCK_SECONDS = 90.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Process(msgspec.Struct, frozen=True):
    """A process that cannot be mistaken for another.

    Args:
        pid: its id.
        started: clock ticks after boot, field 22 of /proc/PID/stat.
        boot: the boot that it was started in.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """The living process of an id; None when there is none."""
        started = start_ticks(pid)
        return None if started is None else cls(pid, started, boot())

    def alive(self) -> bool:
        """Whether this very process still runs."""
        return self.boot == boot() and start_ticks(self.pid) == self.started

    def end(self, number: signal.Signals, seconds: float) -> bool:
        """Send a signal and wait for the end; whether it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            # Checked after opening: from here on the descriptor can mean no other process.
            if not self.alive():
                return True
            signal.pidfd_send_signal(descriptor, number)
            return bool(select.select([descriptor], [], [], seconds)[0])
        finally:
            os.close(descriptor)


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks after boot; None when there is no such living process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the command's name, in parentheses, may hold anything
    return None if fields[0] in "ZX" else int(fields[19])


def boot() -> str:
    """The random id that the kernel gives each boot."""
    return _BOOT_ID.read_text(encoding="ascii").strip()


def directory() -> Path:
    """The directory for state files, made if need be: only this user may enter it.

    The first of ``$XDG_RUNTIME_DIR/natobs``, ``/run/natobs`` for root,
    ``~/.cache/natobs``, and a directory of this user's in the temporary one
    that can be made.

    Raises:
        SetupError: none can be made, or it belongs to somebody else.
    """
    choices = []
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        choices.append(Path(runtime) / "natobs")
    if os.geteuid() == 0:
        choices.append(Path("/run/natobs"))
    with suppress(RuntimeError):  # without a home directory
        choices.append(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "natobs")
    choices.append(Path(tempfile.gettempdir()) / f"natobs-{os.geteuid()}")
    for choice in choices:
        with suppress(OSError):
            choice.mkdir(mode=0o700, parents=True, exist_ok=True)
            if choice.stat().st_uid != os.geteuid() or choice.is_symlink():
                raise SetupError(f"{choice} belongs to somebody else; remove it or set XDG_RUNTIME_DIR")
            return choice
    raise SetupError(f"none of {', '.join(map(str, choices))} can be made; set XDG_RUNTIME_DIR to a directory of yours")


@contextmanager
def locked() -> Iterator[Path]:
    """Hold the lock over everything that this user runs in the background; gives the directory.

    Raises:
        SetupError: another command held it for too long.
    """
    where = directory()
    deadline = time.monotonic() + _LOCK_SECONDS
    with (where / "lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise SetupError(f"another natobs command holds {file.name}; try again") from None
                time.sleep(0.1)
            else:
                yield where
                return


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a state file by a whole new one; where that fails, nothing of it is left."""
    draft = path.with_suffix(".new")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
