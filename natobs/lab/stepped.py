"""Runs a module of natobs with a wall clock that can be set: ``python -m natobs.lab.stepped FILE MODULE ARGS...``.

Setting the machine's clock would touch the machine, and a time namespace has no
wall clock of its own. So this is the thinnest seam that there is: ``time.time``,
``time.time_ns`` and ``time.clock_gettime(CLOCK_REALTIME)`` of this one process,
through which natobs reads every wall clock that it reads itself. FILE holds the
seconds to add, and is looked at each time. What the kernel stamps or says (packets,
the boot's time, files) is not stepped, nor are the program's own children.
"""

import os
import runpy
import sys
import time
from collections.abc import Callable

_BYTES = 32
_BILLION = 1_000_000_000


def step(offset: Callable[[], float]) -> None:
    """Have this process see another wall clock from now on.

    Args:
        offset: seconds to add, asked each time.
    """
    real, real_ns, real_gettime = time.time, time.time_ns, time.clock_gettime

    def gettime(clock: int) -> float:
        return real_gettime(clock) + (offset() if clock == time.CLOCK_REALTIME else 0.0)

    time.time = lambda: real() + offset()
    time.time_ns = lambda: real_ns() + int(offset() * _BILLION)
    time.clock_gettime = gettime


def reader(path: str) -> Callable[[], float]:
    """Give what reads the number that a file holds; what is no number is 0, as while it is being written."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def offset() -> float:
        try:
            return float(os.pread(descriptor, _BYTES, 0))
        except ValueError:
            return 0.0

    return offset


def main() -> None:
    """Step the clock, then run the module as if it had been called."""
    path, module, *arguments = sys.argv[1:]
    step(reader(path))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
