"""What a machine has that a lab must neither change nor leave behind, before and after a command.

Named network namespaces, interfaces, queues, nftables tables, sysctls below ``net``,
mounts, files of natobs, and every process that the command has started, also one
that nobody is the parent of any more: it bears a mark in its environment.
"""

import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import psutil

from tests.lab import people

MARK = "NATOBS_TEST_MARK"
_PLACES = ("/run", "/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - that is where to look
_OF_TESTS = "natobs-test-"
"""Directories of tests themselves, which other tests make and remove meanwhile."""
_VOLATILE = frozenset({"netfilter/nf_conntrack_count", "netfilter/nf_conntrack_buckets"})
"""What changes by itself."""
_SETTLE_SECONDS = 15.0


@dataclass(frozen=True)
class Snapshot:
    """A machine at a moment: of each kind of thing, what there is."""

    namespaces: frozenset[str]
    interfaces: frozenset[str]
    queues: frozenset[str]
    tables: frozenset[str]
    sysctls: frozenset[str]
    mounts: frozenset[str]
    files: frozenset[str]
    processes: frozenset[str]

    def changes(self, after: "Snapshot") -> dict[str, list[str]]:
        """What is there after and was not before; of sysctls, tables and queues also what is no longer as it was.

        That others have removed something of their own meanwhile is not told.
        """
        found = {}
        for field in fields(self):
            was, now = getattr(self, field.name), getattr(after, field.name)
            differing = was ^ now if field.name in {"sysctls", "tables", "queues"} else now - was
            if differing:
                found[field.name] = sorted(differing)
        return found


def snapshot(mark: str = "") -> Snapshot:
    """Look at the machine.

    Args:
        mark: of processes, the value of :data:`MARK` in their environment; the empty one is nobody's.
    """
    return Snapshot(
        namespaces=_names(Path("/run/netns")),
        interfaces=_names(Path("/sys/class/net")),
        queues=_lines("tc", "qdisc", "show"),
        tables=_lines("nft", "list", "tables"),
        sysctls=frozenset(_sysctls(Path("/proc/sys/net"))),
        mounts=frozenset(Path("/proc/self/mountinfo").read_text("utf-8").splitlines()),
        files=frozenset(_files()),
        processes=frozenset(f"{process.pid} {' '.join(_words(process))}" for process in marked(mark)),
    )


def marked(mark: str) -> list[psutil.Process]:
    """List the living processes that bear a mark."""
    wanted = f"{MARK}={mark}".encode() if mark else b"\0"
    return people.living([process for process in psutil.process_iter() if wanted in _environment(process.pid)])


@contextmanager
def nothing_left(person: people.Person) -> Iterator[str]:
    """Fail where something is left of what a person starts while the block runs; gives the person's mark."""
    mark = uuid.uuid4().hex
    person.environment[MARK] = mark
    before = snapshot(mark)
    assert not before.processes
    yield mark
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (left := before.changes(snapshot(mark))) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left == {}


def _names(directory: Path) -> frozenset[str]:
    return frozenset(path.name for path in directory.iterdir()) if directory.is_dir() else frozenset()


def _lines(*argv: str) -> frozenset[str]:
    """What a program says, of whatever it may say to this user."""
    path = "/usr/sbin:/usr/bin:/sbin:/bin"
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env={"PATH": path}, timeout=20)
    return frozenset((done.stdout + done.stderr).splitlines())


def _sysctls(directory: Path) -> Iterator[str]:
    for path in directory.rglob("*"):
        name = str(path.relative_to(directory))
        if path.is_file() and name not in _VOLATILE:
            try:
                yield f"{name} = {path.read_text('utf-8', 'replace').strip()}"
            except OSError:  # some can only be written, some only be read by root
                yield name


def _files() -> Iterator[str]:
    for place in map(Path, _PLACES):
        for path in place.glob("natobs*"):
            if not path.name.startswith(_OF_TESTS):
                yield str(path)


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is another user's
        return []


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
