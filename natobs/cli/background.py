"""The agent in the background: what ``natobs up`` starts and ``natobs down`` ends. No command of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from natobs import rundir
from natobs.errors import SetupError

_READY_SECONDS = 15.0
_END_SECONDS = 10.0
_LOG_TAIL = 2000


class Running(msgspec.Struct, frozen=True):
    """What is written down about the agent in the background."""

    process: rundir.Process
    addresses: tuple[str, ...]
    log: str


def find() -> Running | None:
    """The agent that runs in the background, if one does."""
    path = _pidfile(rundir.directory())
    try:
        running = msgspec.json.decode(path.read_bytes(), type=Running)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None
    return running if running.process.alive() else None


def start(arguments: Sequence[str]) -> tuple[Running, bool]:
    """Start the agent, unless it runs already.

    Args:
        arguments: for ``natobs agent``.

    Returns:
        What runs, and whether it was started just now.

    Raises:
        SetupError: it did not become ready; the message ends with what it said.
    """
    with rundir.locked() as where:
        running = find()
        if running is not None:
            return running, False
        log = where / "agent.log"
        reading, writing = os.pipe()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "natobs", "agent", "--ready-fd", str(writing), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[writing],
            )
        os.close(writing)
        addresses = _await_ready(reading)
        known = rundir.Process.of(process.pid)
        if not addresses or known is None:
            process.kill()
            process.wait()
            raise SetupError(f"the agent did not start; {log} says:\n{_tail(log)}")
        running = Running(known, addresses, str(log))
        rundir.write_atomically(_pidfile(where), msgspec.json.encode(running))
        return running, True


def stop() -> Running | None:
    """End the agent in the background; what was ended, None when nothing ran.

    Raises:
        SetupError: it does not end.
    """
    with rundir.locked() as where:
        running = find()
        if running is not None:
            process = running.process
            if not process.end(signal.SIGTERM, _END_SECONDS) and not process.end(signal.SIGKILL, _END_SECONDS):
                raise SetupError(f"the agent (process {process.pid}) does not end; {running.log} may say why")
        _pidfile(where).unlink(missing_ok=True)
        return running


def _pidfile(where: Path) -> Path:
    return where / "agent.json"


def _await_ready(descriptor: int) -> tuple[str, ...]:
    """The addresses that the agent writes when it is ready; none when it ends or hangs before."""
    os.set_blocking(descriptor, False)
    deadline = time.monotonic() + _READY_SECONDS
    text = b""
    with os.fdopen(descriptor, "rb", buffering=0) as reading:
        while time.monotonic() < deadline:
            chunk = reading.read(4096)
            if chunk == b"":
                return tuple(text.decode().split())
            text += chunk or b""
            time.sleep(0.02)
    return ()


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL:].rstrip()
