"""Resident memory of programs: now, and the most since one asked.

Source: proc(5), VmRSS and VmHWM of /proc/PID/status; 5 written to
/proc/PID/clear_refs makes the latter begin anew.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from natobs.errors import LabError

MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Resident:
    """Resident memory of one program, in bytes.

    Args:
        before: when the fault began.
        peak: the most meanwhile.
        after: when all had been well again for some scrapes.
    """

    before: int
    peak: int
    after: int


def resident(pid: int) -> tuple[int, int]:
    """Give what a process holds now, and the most since :func:`forget_peak`, in bytes.

    Raises:
        LabError: it has ended.
    """
    try:
        text = Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError as error:
        raise LabError(f"process {pid}: {error.strerror}") from error
    found = {name: int(size) * 1024 for name, size in re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", text, re.MULTILINE)}
    if len(found) != 2:  # noqa: PLR2004 - the two names above
        raise LabError(f"process {pid} has ended")
    return found["VmRSS"], found["VmHWM"]


def forget_peak(pid: int) -> None:
    """Have the peak of a process begin anew with what it holds now; raises LabError when it has ended."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5", "ascii")
    except OSError as error:
        raise LabError(f"process {pid}: {error.strerror}") from error


class Watch:
    """The memory of some programs over a time in which they may be started anew.

    Args:
        pids: the process of each, by name.
    """

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._before: dict[str, int] = {}
        self._peaks: dict[str, int] = {}
        for name, pid in pids.items():
            forget_peak(pid)
            self._before[name], self._peaks[name] = resident(pid)

    def note(self, name: str, pid: int) -> None:
        """Take the peak of a process that is about to be ended."""
        if name in self._peaks:
            self._peaks[name] = max(self._peaks[name], resident(pid)[1])

    def end(self, pids: Mapping[str, int]) -> dict[str, Resident]:
        """Give what became of each, by name."""
        found = {}
        for name, before in self._before.items():
            self.note(name, pids[name])
            found[name] = Resident(before, self._peaks[name], resident(pids[name])[0])
        return found
