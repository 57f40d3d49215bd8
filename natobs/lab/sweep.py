"""Finds what a lab should not have left behind, and removes it.

A lab's namespaces cannot outlive its holder, nor the holder the ``unshare``
that is its parent. So that is all there is to look for: one whose owner is
gone. Its command line says who that was (``PID:TICKS`` or ``background``). Labs
of living owners, of other users and of other pid namespaces (containers, where
ids mean other processes) are never touched.
"""

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from natobs.lab.plan import PREFIX, SWITCH
from natobs.rundir import start_ticks

_MODULE = "natobs.lab.holder"
_OURS = re.compile(rf"{PREFIX}.+-(client\d+|nat|router|internet|monitor|{SWITCH})")
_GRACE_SECONDS = 3.0


@dataclass(frozen=True)
class Found:
    """The parent of a lab's holder: its id, the lab's name, and the owner as written on its command line."""

    pid: int
    lab: str
    owner: str


def holders() -> list[Found]:
    """List the parents of the holders of this user's labs, in this very pid namespace."""
    here = _pid_namespace(os.getpid())
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            words = process.cmdline()  # empty for one that is dead and not yet reaped
            if _MODULE in words[:-2] and process.uids().real == os.getuid() and _pid_namespace(process.pid) == here:
                name, owner = words[words.index(_MODULE) + 1 :][:2]
                found.append(Found(process.pid, name, owner))
    return found


def orphans(*, settle: float = _GRACE_SECONDS) -> list[Found]:
    """List holders whose owner is dead; waits up to ``settle`` seconds for them to end by themselves."""
    deadline = time.monotonic() + settle
    while True:
        left = [found for found in holders() if not _owned(found.owner)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def strays() -> list[str]:
    """List named network namespaces of labs on the host itself, where there must be none."""
    directory = Path("/run/netns")
    names = (path.name for path in directory.iterdir()) if directory.is_dir() else ()
    return sorted(name for name in names if _OURS.fullmatch(name))


def sweep() -> list[Found]:
    """Kill holders whose owner is dead; give what was killed, normally nothing."""
    left = orphans(settle=1.0)
    for found in left:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(found.pid, signal.SIGKILL)
    return left


def _pid_namespace(pid: int) -> int:
    return Path(f"/proc/{pid}/ns/pid").stat().st_ino


def _owned(owner: str) -> bool:
    if owner == "background":
        return True
    pid, _, ticks = owner.partition(":")
    return pid.isdigit() and str(start_ticks(int(pid))) == ticks
