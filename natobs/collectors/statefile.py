"""A file that keeps what a collector has counted while the agent is restarted; never longer than a boot.

Kernel counters begin anew with each boot, and with each network namespace, and
so do series that follow them: what another one wrote is not read. Each value is on disk before it is shown, so
that no restart makes a series fall; a lost machine loses the file with the
counters. Where a disk is full there is no room for a new file beside the old
one, and the old one is written over, with what it has room for to grow.
"""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from natobs import rundir
from natobs.errors import UnavailableError

_NAMESPACE = Path("/proc/self/ns/net")
_END = b"\xc1"  # the one byte that MessagePack never begins a value with
_BLOCK, _SPARE = 4096, 1.25
"""Files end with zeros, so that the next value, which is a little longer, needs no block that is not there."""

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})

State = TypeVar("State")


class StateFile(Generic[State]):
    """One file with one value.

    Args:
        path: where; its directory is made.
        kind: of the value; what does not fit is as good as no file.
    """

    def __init__(self, path: Path, kind: type[State]) -> None:
        self._path = path
        self._kind = kind
        self._written = b""

    def load(self) -> State | None:
        """What this boot wrote last; None without a file, or where it is damaged."""
        try:
            content = self._path.read_bytes()
        except OSError:
            return None
        for found in (content.rpartition(_END)[0], content):  # the whole, as older versions wrote it
            with suppress(msgspec.MsgspecError):
                where, value = msgspec.msgpack.decode(found, type=tuple[str, msgspec.Raw])
                return msgspec.msgpack.decode(value, type=self._kind) if where == _place() else None
        return None

    def save(self, state: State) -> None:
        """Replace the file, unless it says the same already.

        Raises:
            UnavailableError: it cannot be written.
        """
        content = msgspec.msgpack.encode((_place(), state))
        if content == self._written:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._write(_padded(content))
        except OSError as error:
            raise UnavailableError(
                "error", f"{self._path}: {error.strerror}; series begin anew with each start"
            ) from error
        self._written = content

    def _write(self, content: bytes) -> None:
        try:
            rundir.write_atomically(self._path, content)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            with self._path.open("r+b", buffering=0) as file:
                if not _over(file.fileno(), content):
                    raise


def _padded(content: bytes) -> bytes:
    """With zeros up to the end of a block, and with some to spare."""
    blocks = -(-int(len(content) * _SPARE + 1) // _BLOCK)
    return (content + _END).ljust(blocks * _BLOCK, b"\0")


def _over(descriptor: int, content: bytes) -> bool:
    """Write over a file; where not all of it can be, nothing is left: series would fall to an old value."""
    try:
        whole = os.pwrite(descriptor, content, 0) == len(content)
    except OSError:
        whole = False
    os.ftruncate(descriptor, len(content) if whole else 0)
    return whole


def _place() -> str:
    """This boot and network namespace."""
    return f"{rundir.boot()} {_NAMESPACE.stat().st_ino}"
