"""A file that keeps what a collector has counted while the agent is restarted; never longer than a boot.

Kernel counters begin anew with each boot, and with each network namespace, and
so do series that follow them: what another one wrote is not read. Each value is on disk before it is shown, so
that no restart makes a series fall; a lost machine loses the file with the
counters.
"""

from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from natobs import rundir
from natobs.errors import UnavailableError

_NAMESPACE = Path("/proc/self/ns/net")

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
            where, value = msgspec.msgpack.decode(self._path.read_bytes(), type=tuple[str, msgspec.Raw])
            return msgspec.msgpack.decode(value, type=self._kind) if where == _place() else None
        except (OSError, msgspec.MsgspecError):
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
            rundir.write_atomically(self._path, content)
        except OSError as error:
            raise UnavailableError(
                "error", f"{self._path}: {error.strerror}; series begin anew with each start"
            ) from error
        self._written = content


def _place() -> str:
    """This boot and network namespace."""
    return f"{rundir.boot()} {_NAMESPACE.stat().st_ino}"
