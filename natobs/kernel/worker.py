"""A program that works beside the agent, and whose output is fetched when it has ended.

Order and output are files without a name (memfd_create), so that neither side
ever waits for the other. The program inherits the reading end of a pipe, its
lifeline, whose other end closes with this process however it dies.
(PR_SET_PDEATHSIG would act when the *thread* ends that started the program.)
Knows processes; refuses to know what the program does.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from natobs.errors import UnavailableError
from natobs.kernel.machine import unavailable

MOST_BYTES = 16 << 20
"""Of output; a hundred times what a census with 500 rows of each kind is."""
_TAIL_BYTES = 300
_END_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left behind.

    Args:
        output: what it wrote.
        trouble: why the output is worth nothing; empty where it is good.
        cpu_seconds: of the program and the kernel on its behalf.
    """

    output: bytes
    trouble: str
    cpu_seconds: float


class Worker:
    """Runs one program at a time; to be used by one thread.

    Args:
        argv: the program; the number of the descriptor of its lifeline is appended.
        environment: in addition to that of this process.
        clock: monotonic, in seconds.
    """

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._argv = list(argv)
        self._environment = dict(environment)
        self._clock = clock
        self._run: _Run | None = None

    @property
    def pid(self) -> int | None:
        """Of the program that runs."""
        return self._run.process.pid if self._run else None

    def start(self, order: bytes, seconds: float) -> None:
        """Start the program.

        Args:
            order: what it reads from its standard input.
            seconds: after which it is killed.

        Raises:
            UnavailableError: it cannot be started.
        """
        assert self._run is None
        with contextlib.ExitStack() as stack:
            try:
                reading, writing = os.pipe2(os.O_CLOEXEC)
                lifeline = stack.enter_context(os.fdopen(writing, "wb", buffering=0))
                stack.callback(os.close, reading)
                files = [os.memfd_create(f"natobs-{name}", os.MFD_CLOEXEC) for name in ("order", "output", "said")]
                for file in files:
                    stack.callback(os.close, file)
                os.pwrite(files[0], order, 0)
                process = subprocess.Popen(
                    [*self._argv, str(reading)],
                    stdin=files[0],
                    stdout=files[1],
                    stderr=files[2],
                    pass_fds=[reading],
                    env={**os.environ, **self._environment},
                )
            except OSError as error:
                raise unavailable(f"process {self._argv[0]}", error.errno or 0) from error
            kept = [os.dup(file) for file in files[1:]]
            self._run = _Run(process, os.dup(lifeline.fileno()), kept, self._clock() + seconds)

    def poll(self) -> Ended | None:
        """What the program left, once it has ended; None while it runs. Never waits; kills it when its time is up."""
        run = self._run
        assert run is not None
        if self._clock() >= run.deadline:
            run.kill()
        ended = run.reap(0.0)
        if ended is None:
            return None
        self._run = None
        status, cpu = ended
        try:
            return run.outcome(status, cpu, late=self._clock() >= run.deadline)
        finally:
            run.close()

    def stop(self) -> None:
        """Kill the program if one runs, and wait for its end."""
        if self._run is not None:
            self._run.kill()
            self._run.reap(_END_SECONDS)
            self._run.close()
            self._run = None


@dataclass(slots=True)
class _Run:
    """One run: process, writing end of the lifeline, output and standard error, and when it is too late."""

    process: "subprocess.Popen[bytes]"
    lifeline: int
    files: list[int]
    deadline: float

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGKILL)

    def reap(self, seconds: float) -> tuple[int, float] | None:
        """Exit status and CPU time; None when it has not ended within so many seconds."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has reaped it, for example SIGCHLD that is ignored
                self.process.returncode = 0
                return 0, 0.0
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                return self.process.returncode, usage.ru_utime + usage.ru_stime
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.005)

    def outcome(self, status: int, cpu: float, *, late: bool) -> Ended:
        if late and status == -signal.SIGKILL:
            return Ended(b"", "took too long and was killed", cpu)
        if status != 0:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            said = self._tail()
            return Ended(b"", f"{how}: {said}" if said else how, cpu)
        size = os.fstat(self.files[0]).st_size
        if size > MOST_BYTES:
            return Ended(b"", f"wrote {size} bytes", cpu)
        return Ended(os.pread(self.files[0], size, 0), "", cpu)

    def _tail(self) -> str:
        """The last line that it wrote to its standard error, as one line of printable characters."""
        size = os.fstat(self.files[1]).st_size
        tail = os.pread(self.files[1], _TAIL_BYTES, max(0, size - _TAIL_BYTES)).decode("utf-8", "replace")
        last = tail.strip().rpartition("\n")[2]
        return "".join(letter if letter.isprintable() else " " for letter in last).strip()

    def close(self) -> None:
        for descriptor in (self.lifeline, *self.files):
            os.close(descriptor)


def failed(what: str, ended: Ended) -> UnavailableError:
    """The error for a program that left nothing of worth."""
    return UnavailableError("error", f"{what} {ended.trouble}")
