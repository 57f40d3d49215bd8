"""The process that takes the agent's censuses: order on standard input, answer on standard output. No command."""

import os
import resource
import sys
import threading
from contextlib import suppress
from pathlib import Path

from natobs.kernel.flow_worker import respond
from natobs.kernel.live import LiveMachine
from natobs.kernel.worker import MOST_BYTES

_NICENESS = 10
"""Anything else that wants the CPU has nine times as much of it (sched_prio_to_weight); I/O priority follows."""
_MOST_CPU_SECONDS = 900
_SACRIFICE = "500"
"""Should memory run out, this process goes before the agent (proc(5), oom_score_adj)."""


def work(lifeline: int) -> None:
    """Carry out one order.

    Args:
        lifeline: descriptor that ends when whoever gave the order is gone; then this process is too.
    """
    threading.Thread(target=_die_with, args=(lifeline,), daemon=True).start()
    os.nice(_NICENESS)
    for limit, value in ((resource.RLIMIT_CPU, _MOST_CPU_SECONDS), (resource.RLIMIT_FSIZE, MOST_BYTES)):
        with suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_SACRIFICE, "ascii")
    machine = LiveMachine()
    sys.stdout.buffer.write(respond(sys.stdin.buffer.read(), machine))
    sys.stdout.buffer.flush()


def _die_with(lifeline: int) -> None:
    with suppress(OSError):
        while os.read(lifeline, 1):
            pass
    os._exit(1)
