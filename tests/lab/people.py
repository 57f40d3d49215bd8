"""Who runs natobs in a test: this very user, or an ordinary one. Also, what that person's processes leave behind."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Person:
    """A user with an interpreter and a directory for run-time files."""

    prefix: tuple[str, ...]
    python: str
    environment: dict[str, str]
    children: list["subprocess.Popen[str]"] = field(default_factory=list)

    def argv(self, *args: str) -> list[str]:
        return [*self.prefix, self.python, *args]

    def run(self, *args: str, timeout: float = 120.0) -> "subprocess.CompletedProcess[str]":
        """Run the interpreter with arguments."""
        return subprocess.run(
            self.argv(*args),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
        )

    def popen(self, *args: str) -> "subprocess.Popen[str]":
        """Start the interpreter with arguments; its output, both streams, is a pipe."""
        child = subprocess.Popen(
            self.argv(*args),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
        )
        self.children.append(child)
        return child

    def end(self) -> None:
        """End what was started and is not yet ended; a test that failed leaves such processes."""
        for child in self.children:
            child.kill()
            child.communicate(timeout=10)


def this_user(runtime: Path) -> Person:
    """Give the user that runs the tests."""
    return Person((), sys.executable, _environment(runtime))


def ordinary_user(runtime: Path) -> Person:
    """Give a user without privileges: this one, or ``nobody`` when this one is root.

    Root's interpreter may be in a directory that nobody else may enter; then
    Debian's own interpreter of the same version runs the same packages.
    """
    if os.geteuid() != 0:
        return this_user(runtime)
    prefix = ("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--")
    runtime.chmod(0o777)
    minor = f"/usr/bin/python3.{sys.version_info.minor}"
    for python in (sys.executable, minor):
        # by way of a shell: setpriv itself still has root's rights when it looks for the program
        trial = [*prefix, "sh", "-c", 'exec "$0" -c ""', python]
        if subprocess.run(trial, capture_output=True, timeout=30, check=False, cwd="/").returncode == 0:
            return Person(prefix, python, _environment(runtime))
    raise AssertionError(f"user nobody can run neither {sys.executable} nor {minor} (package python3)")


@contextmanager
def as_user(make: Callable[[Path], Person]) -> Iterator[Person]:
    """Give a person for as long as the block runs; what it started and has not ended is killed then."""
    # not in pytest's own directories, which it keeps closed to everybody else
    with tempfile.TemporaryDirectory(prefix="natobs-test-") as runtime:
        person = make(Path(runtime))
        try:
            yield person
        finally:
            person.end()


def _environment(runtime: Path) -> dict[str, str]:
    packages = [path for path in sys.path if path.endswith("site-packages")]
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "XDG_RUNTIME_DIR": str(runtime),
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *packages]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONWARNINGS": "error",
    }


def family_of(pid: int) -> list[psutil.Process]:
    """List a process, its descendants, and everything in the pid namespaces that these have made."""
    top = psutil.Process(pid)
    tree = [top, *top.children(recursive=True)]
    own = _pid_namespace(os.getpid())
    namespaces = {space for process in tree if (space := _pid_namespace(process.pid)) not in {None, own}}
    return list({*tree, *(p for p in psutil.process_iter() if _pid_namespace(p.pid) in namespaces)})


def _pid_namespace(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}/ns/pid").stat().st_ino
    except OSError:
        return None


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    """List those that still run; a dead process that nobody has reaped does not."""
    return [process for process in processes if process.is_running() and _status(process) != psutil.STATUS_ZOMBIE]


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return str(psutil.STATUS_ZOMBIE)


def command(process: psutil.Process) -> str:
    """Give the command line of a process; empty for one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def mounts() -> str:
    """Give the host's mounts; a lab has its own."""
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8")


def links() -> list[str]:
    """List the host's network interfaces; a lab has its own."""
    return sorted(path.name for path in Path("/sys/class/net").iterdir())
