"""The lab as a context manager: ``with Lab(two_armed()) as lab: lab.host("nat").run(["conntrack", "-S"])``.

Knows how to run things in the hosts of a lab that stands, and to take the lab
down in bounded time whatever happened. Refuses to know how namespaces are made
(:mod:`natobs.lab.launch`) and what is in them (:mod:`natobs.lab.plan`).

When the process that owns a lab dies, even by SIGKILL, the pipe to the holder
closes, the holder exits, and the kernel removes all the rest.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import msgspec
import psutil

from natobs.errors import LabError
from natobs.lab import launch
from natobs.lab.plan import namespace, plan, programs
from natobs.lab.topology import Topology
from natobs.rundir import start_ticks

_FORK_SECONDS = 20.0  # it takes milliseconds; a busy machine may need longer
_KILL_SECONDS = 10.0  # likewise


class HostProcess:
    """A program that runs in a host of the lab.

    ``popen`` is the ``nsenter`` outside, whose exit status is the program's own;
    signals go to the program itself. Its standard streams are those of ``popen``.
    """

    def __init__(self, popen: "subprocess.Popen[str]") -> None:
        self.popen = popen
        self._pid: int | None = None

    @property
    def pid(self) -> int:
        """Process id of the program as seen from outside the lab (not of ``nsenter``).

        Raises:
            LabError: the program has ended already, or never began.
        """
        deadline = time.monotonic() + _FORK_SECONDS
        while self._pid is None:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(self.popen.pid).children():
                    # until it has left the host's pid namespace it is not yet the program
                    self._pid = child.pid
            if self._pid is None and (self.popen.poll() is not None or time.monotonic() > deadline):
                raise LabError(f"the program has ended: {self.popen.args!r}")
            if self._pid is None:
                time.sleep(0.005)
        return self._pid

    @property
    def stdin(self) -> IO[str] | None:
        """Standard input, when it was asked to be a pipe."""
        return self.popen.stdin

    @property
    def stdout(self) -> IO[str] | None:
        """Standard output, when it was asked to be a pipe."""
        return self.popen.stdout

    @property
    def stderr(self) -> IO[str] | None:
        """Standard error, when it was asked to be a pipe."""
        return self.popen.stderr

    def poll(self) -> int | None:
        """Give the exit status, or None while it runs; negative means killed by that signal."""
        return self.popen.poll()

    def wait(self, timeout: float = 10.0) -> int:
        """Wait for the end; raises ``subprocess.TimeoutExpired`` after ``timeout`` seconds."""
        return self.popen.wait(timeout)

    def send_signal(self, number: int) -> None:
        """Send a signal to the program, not to its way in; nothing happens when it has ended.

        Only what lets it go on is for both: nsenter stops when its program is stopped.
        """
        if self.popen.poll() is None:
            with suppress(ProcessLookupError, LabError):
                os.kill(self.pid, number)
            if number == signal.SIGCONT:
                self.popen.send_signal(number)

    def release(self) -> None:
        """Let the program run on as long as its lab stands, after this process has ended."""
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                stream.close()
        self.popen.returncode = 0  # not ours any more: no warning about a child that still runs

    def close(self, timeout: float = 3.0) -> None:
        """End the program: SIGTERM, after ``timeout`` seconds SIGKILL; close its streams.

        It has then really ended, with its sockets: its way in outlives it, and is ended itself only if it does not end.
        """
        for number, seconds in (signal.SIGTERM, timeout), (signal.SIGKILL, _KILL_SECONDS):
            self.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self.popen.wait(seconds)
                break
        else:
            self.popen.kill()
            self.popen.wait(_KILL_SECONDS)
        for stream in (self.popen.stdin, self.popen.stdout, self.popen.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


@dataclass(frozen=True)
class Host:
    """A host of a lab that stands; get it from :meth:`Lab.host`."""

    lab: "Lab"
    name: str

    def command(self, argv: list[str]) -> list[str]:
        """Give the command line that runs ``argv`` in this host from outside."""
        return launch.entering(self.lab.holder, namespace(self.lab.topology.name, self.name), argv)

    def run(
        self, argv: list[str], *, check: bool = True, timeout: float = 30.0, stdin: str = ""
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program in this host and wait for it.

        Args:
            argv: program and arguments.
            check: raise when its exit status is not 0.
            timeout: seconds after which it is killed.
            stdin: text for its standard input.

        Returns:
            The finished process with ``stdout`` and ``stderr`` as text.

        Raises:
            LabError: there is no such program, it failed (with ``check``), or took too long.
        """
        try:
            done = subprocess.run(
                self.command(argv),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
                env=launch.environment(),
                start_new_session=True,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name}: {' '.join(argv)} did not finish within {timeout:g} s") from error
        if done.returncode == launch.MISSING or (check and done.returncode != 0):
            said = done.stderr.strip() or done.stdout.strip()
            raise LabError(f"{self.name}: {' '.join(argv)} ended with status {done.returncode}: {said}")
        return done

    def popen(
        self,
        argv: list[str],
        *,
        stdin: int | IO[str] | None = subprocess.DEVNULL,
        stdout: int | IO[str] | None = subprocess.DEVNULL,
        stderr: int | IO[str] | None = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> HostProcess:
        """Start a program in this host; it dies with the lab at the latest.

        Streams as for ``subprocess.Popen`` (text), by default the null device.
        """
        process = HostProcess(
            subprocess.Popen(
                self.command(argv),
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                text=True,
                env=launch.environment(),
                start_new_session=True,
                pass_fds=pass_fds,
            )
        )
        self.lab.adopt(process)
        return process

    def python(self, module: str, *args: str) -> list[str]:
        """Give the ``argv`` that runs a module of natobs with this very interpreter."""
        return [sys.executable, "-m", module, *args]


class Lab:
    """A lab that stands between ``__enter__`` and ``__exit__``.

    Args:
        topology: what to build.
        beside: worlds of their own that live and die with it; each is a lab too, see ``worlds``.
        user_namespace: build in a user namespace; the default is to do so unless this is root.

    Raises:
        LabError: two of the topologies have the same name.
    """

    def __init__(self, topology: Topology, *beside: Topology, user_namespace: bool | None = None) -> None:
        if len({topology.name, *(other.name for other in beside)}) <= len(beside):
            raise LabError(f"two labs of one holder are called alike: {topology.name} and those beside it")
        self.topology = topology
        self.user_namespace = os.geteuid() != 0 if user_namespace is None else user_namespace
        self._holder: launch.Holder | None = None
        self._way_in: subprocess.Popen[bytes] | None = None
        self._stack = ExitStack()
        others = (Lab(other, user_namespace=self.user_namespace) for other in beside)
        self.worlds: tuple[Lab, ...] = (self, *others)

    @classmethod
    def attached(cls, holder: launch.Holder, topology: Topology, *beside: Topology) -> "Lab":
        """Give access to a lab that another process started; ending this object does not end that lab."""
        lab = cls(topology, *beside, user_namespace=holder.user_namespace)
        lab._attach(holder)
        return lab

    def start(self, *, background: bool = False) -> launch.Holder:
        """Build the lab, as ``__enter__`` does; one for the background is to be kept with :meth:`keep`.

        Raises:
            LabError: a program is missing, namespaces are not permitted, or a step of the plan failed.
        """
        if self._holder is not None:
            raise LabError(f"lab {self.topology.name} stands already")
        topologies = [lab.topology for lab in self.worlds]
        launch.require(*launch.ALWAYS, *(program for topology in topologies for program in programs(topology)))
        order = msgspec.json.encode([plan(topology) for topology in topologies])
        owner = "background" if background else f"{os.getpid()}:{start_ticks(os.getpid())}"
        holder, self._way_in = launch.start(self.topology.name, order, user_namespace=self.user_namespace, owner=owner)
        self._stack.callback(launch.stop, self._way_in)
        self._attach(holder)
        return holder

    def _attach(self, holder: launch.Holder) -> None:
        self._holder = holder
        for lab in self.worlds[1:]:
            lab._attach(holder)  # noqa: SLF001  of this very class
            self._stack.callback(lab.close)

    def keep(self) -> None:
        """Let the lab, and what runs in it, outlive this object and this process; its holder ends it."""
        assert self._way_in is not None
        launch.keep(self._way_in)
        self._stack.pop_all()

    def close(self) -> None:
        """End what this object started, the latest first; safe to call twice."""
        try:
            self._stack.close()
        finally:
            self._holder = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def holder(self) -> launch.Holder:
        """The process that the lab lives in.

        Raises:
            LabError: the lab does not stand.
        """
        if self._holder is None:
            raise LabError(f"lab {self.topology.name} does not stand")
        return self._holder

    @property
    def scratch(self) -> Path:
        """The lab's own /run, in memory, as seen from outside; it vanishes with the lab.

        Raises:
            LabError: the lab does not stand.
        """
        return Path(f"/proc/{self.holder.pid}/root/run")

    def host(self, name: str) -> Host:
        """Give a host by its name.

        Raises:
            LabError: the topology has no such host; the message names those it has.
        """
        if name not in (*self.topology.hosts, "switch"):
            raise LabError(f"no host {name!r} in this lab; there are {', '.join(self.topology.hosts)}")
        return Host(self, name)

    def adopt(self, process: HostProcess) -> None:
        """Make sure that a process ends with the lab, in order and not only by force."""
        self._stack.callback(process.close)
