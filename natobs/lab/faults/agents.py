"""The agent that runs on the NAT of a lab, whoever started it: found, killed, started again.

Knows the command line of ``natobs agent``; refuses to know what it does.
"""

import signal
from dataclasses import dataclass

import psutil

from natobs.errors import LabError
from natobs.lab import inventory
from natobs.lab.lab import Lab
from natobs.rundir import Process

_END_SECONDS = 10.0


@dataclass(frozen=True)
class Agent:
    """An agent that runs: its command line, and its process."""

    argv: tuple[str, ...]
    process: Process

    def kill(self) -> None:
        """End it by SIGKILL, as a machine that stops does; raises LabError when that takes too long."""
        if not self.process.end(signal.SIGKILL, _END_SECONDS):
            raise LabError(f"the agent on the NAT (process {self.process.pid}) does not end")


def running(lab: Lab) -> Agent | None:
    """Find the agent on a lab's NAT; None where none runs."""
    (nat,) = [host for host in inventory.inventory(lab) if host.name == "nat"]
    for found in nat.processes:
        try:
            argv = tuple(psutil.Process(found.pid).cmdline())
        except psutil.Error:  # it has ended meanwhile
            continue
        if "agent" in argv[1:4] and any(word.rpartition("/")[2] == "natobs" for word in argv[:3]):
            process = Process.of(found.pid)
            if process is not None:
                return Agent(argv, process)
    return None


def detached(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Give the command that starts a program and leaves it to the lab, which it ends with."""
    return ("sh", "-c", 'setsid -f "$0" "$@" </dev/null >/dev/null 2>&1', *argv)
