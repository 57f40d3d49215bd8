"""Labs that run in the background: a small file for each, and a lock so that two commands do not cross.

A file is believed only as long as the very process that it names still runs, of
this boot, with the same start time. So a lab that was killed is forgotten by
the next command, and a recycled process id is never signalled.
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

from natobs.errors import LabError
from natobs.lab.lab import Lab
from natobs.lab.launch import Holder
from natobs.lab.topology import Topology

_STOP_SECONDS = 10.0
_LOCK_SECONDS = 90.0
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Saved(msgspec.Struct, frozen=True):
    """What is written down about a lab in the background; ``since`` is in seconds after the epoch."""

    topology: Topology
    holder: Holder
    since: float
    boot: str

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.topology.name

    def lab(self) -> Lab:
        """Give access to the lab."""
        return Lab.attached(self.topology, self.holder)


def directory() -> Path:
    """Give the directory for these files, made if need be: only this user may enter it.

    The first of ``$XDG_RUNTIME_DIR/natobs``, ``/run/natobs`` for root,
    ``~/.cache/natobs``, and a directory of this user's in the temporary one
    that can be made.

    Raises:
        LabError: none can be made, or it belongs to somebody else.
    """
    choices = []
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        choices.append(Path(runtime) / "natobs")
    if os.geteuid() == 0:
        choices.append(Path("/run/natobs"))
    choices.append(Path(os.environ.get("XDG_CACHE_HOME") or Path(os.path.expanduser("~")) / ".cache") / "natobs")  # noqa: PTH111  Path.expanduser raises without a home directory
    choices.append(Path(tempfile.gettempdir()) / f"natobs-{os.geteuid()}")
    for choice in choices:
        with suppress(OSError):
            choice.mkdir(mode=0o700, parents=True, exist_ok=True)
            if choice.stat().st_uid != os.geteuid() or choice.is_symlink():
                raise LabError(f"{choice} belongs to somebody else; remove it or set XDG_RUNTIME_DIR")
            return choice
    raise LabError(f"none of {', '.join(map(str, choices))} can be made; set XDG_RUNTIME_DIR to a directory of yours")


@contextmanager
def locked() -> Iterator[Path]:
    """Hold the lock over all of this user's labs; gives the directory.

    Raises:
        LabError: another command held it for too long.
    """
    where = directory()
    deadline = time.monotonic() + _LOCK_SECONDS
    with (where / "lock").open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LabError(f"another natobs lab command holds {file.name}; try again") from None
                time.sleep(0.1)
            else:
                yield where
                return


def running() -> list[Saved]:
    """List the labs that run in the background, by name; forgets those that have died."""
    found = []
    for path in sorted(directory().glob("lab-*.json")):
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=Saved)
        except (OSError, msgspec.MsgspecError, LabError):
            saved = None  # removed meanwhile, or written by another version: either way nothing to hold on to
        if saved is not None and saved.boot == _boot() and saved.holder.alive():
            found.append(saved)
        else:
            path.unlink(missing_ok=True)
    return found


def find(name: str) -> Saved:
    """Find a lab by name.

    Raises:
        LabError: it is not up; the message says which are.
    """
    labs = running()
    for saved in labs:
        if saved.name == name:
            return saved
    others = f"; up: {', '.join(saved.name for saved in labs)}" if labs else ""
    raise LabError(f"no lab {name!r} is up{others}. Build one with: natobs lab up --name {name}")


def up(topology: Topology) -> tuple[Saved, bool]:
    """Build a lab in the background, unless it is up already.

    Returns:
        What is known of it, and whether it was built just now.

    Raises:
        LabError: it cannot be built, or one of this name but another shape is up.
    """
    with locked() as where:
        for saved in running():
            if saved.name == topology.name:
                if saved.topology != topology:
                    raise LabError(
                        f"lab {topology.name} is up in another shape; first run: natobs lab down --name {topology.name}"
                    )
                return saved, False
        lab = Lab(topology)
        try:
            saved = Saved(topology, lab.start(background=True), time.time(), _boot())
            path = where / f"lab-{topology.name}.json"
            draft = path.with_suffix(".new")
            draft.write_bytes(msgspec.json.encode(saved))
            draft.replace(path)
            lab.keep()  # last: a lab that nobody wrote down must not outlive this process
        finally:
            lab.close()
        return saved, True


def down(saved: Saved) -> None:
    """End a lab in the background and everything in it.

    Raises:
        LabError: it did not end in time.
    """
    with locked() as where:
        with suppress(ProcessLookupError):
            descriptor = os.pidfd_open(saved.holder.pid)
            try:
                # checked after opening: from here on the descriptor can mean no other process
                if saved.holder.alive():
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    if not select.select([descriptor], [], [], _STOP_SECONDS)[0]:
                        raise LabError(f"lab {saved.name} (process {saved.holder.pid}) does not end")
            finally:
                os.close(descriptor)
        (where / f"lab-{saved.name}.json").unlink(missing_ok=True)


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()
