"""Enters a network namespace of a lab by its name and comes back, for the calling thread alone.

Works where the names are: below /run/netns of the lab's own mount namespace.
Sockets belong to the namespace that they were made in, for as long as they are.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, get_errno

from natobs.errors import LabError

_CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h


@contextmanager
def inside(name: str) -> Iterator[None]:
    """Run the calling thread, and the programs that it starts, in a network namespace.

    Raises:
        LabError: there is none of this name, or it may not be entered.
    """
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        os.close(home)
        raise LabError(f"no network namespace {name}: {error.strerror}") from error
    try:
        _setns(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)
        os.close(there)


def _setns(descriptor: int) -> None:
    # os.setns exists only from Python 3.12 on
    if CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise LabError(f"cannot enter a network namespace: {os.strerror(get_errno())}")
