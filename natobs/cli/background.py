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
    urls: tuple[str, ...]
    log: str
    probes: str = ""
    """What it probes, in a few words; empty for nothing."""
    arguments: tuple[str, ...] = ()
    """What it was started with."""


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
        # Ctrl-C waits until what was started can be ended. The agent inherits that; it is ended by SIGTERM.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "natobs", "agent", "--ready-fd", str(writing), *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[writing],
                )
        except BaseException:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            raise
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            os.close(writing)
            running = _await_ready(process.pid, reading, log, tuple(arguments))
            rundir.write_atomically(_pidfile(where), msgspec.json.encode(running))
        except BaseException:  # Ctrl-C too: an agent that nobody wrote down could not be ended
            process.kill()
            process.wait()
            raise
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


def _await_ready(pid: int, descriptor: int, log: Path, arguments: tuple[str, ...]) -> Running:
    """Wait for what the agent writes when it is ready: URLs, and what it probes.

    Raises:
        SetupError: it ended or hung before; the message ends with what it said.
    """
    os.set_blocking(descriptor, False)
    deadline = time.monotonic() + _READY_SECONDS
    text = b""
    with os.fdopen(descriptor, "rb", buffering=0) as reading:
        while time.monotonic() < deadline and (chunk := reading.read(4096)) != b"":
            text += chunk or b""
            time.sleep(0.02)
    process = rundir.Process.of(pid)
    if not text or process is None:
        raise SetupError(f"the agent did not start; {log} says:\n{_tail(log)}")
    urls, _gap, probes = text.decode("utf-8", "replace").partition("\n\n")
    return Running(process, tuple(urls.split()), str(log), probes, arguments)


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL:].rstrip()
