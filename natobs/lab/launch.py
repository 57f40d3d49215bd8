"""How a lab is started and entered: util-linux ``unshare`` and ``nsenter``, as root or in a user namespace.

Knows processes, programs and privileges; refuses to know topologies. The host
itself is left as it was: what a lab mounts, creates or runs is inside
namespaces that end with the holder.
"""

import os
import select
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from natobs.errors import LabError
from natobs.rundir import Process

PACKAGES = {
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "mount": "mount",
    "env": "coreutils",
    "ip": "iproute2",
    "nft": "nftables",
    "conntrack": "conntrack",
    "curl": "curl",
    "prometheus": "prometheus",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "prometheus-node-exporter": "prometheus-node-exporter",
    "tc": "iproute2",
}
"""Debian package of each program; everything else that the lab runs belongs to ``iptables``."""

ALWAYS = ("unshare", "nsenter", "setpriv", "mount", "env", "ip")
"""Programs that every lab needs."""

MISSING = 127
"""Exit status of ``env``, and of a shell, when there is no such program (env(1))."""

_START_SECONDS = 60.0  # a lab takes 1 to 2 s; a busy machine may need longer
_STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Holder:
    """The process that a lab lives and dies with.

    Args:
        process: as seen by whoever asks, not inside the lab.
        user_namespace: whether the lab has a user namespace of its own.
    """

    process: Process
    user_namespace: bool

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def alive(self) -> bool:
        """Tell whether this very process still runs."""
        return self.process.alive()


def environment() -> dict[str, str]:
    """Give the environment for programs of the lab: sbin on PATH, and this very natobs importable.

    In a checkout PATH also has what ``make programs`` fetched.
    """
    package_root = Path(__file__).resolve().parents[2]
    paths = [str(package_root), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {
        **os.environ,
        "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin:{package_root}/.tools/bin",
        "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
    }


def require(*programs: str) -> None:
    """Check that programs are installed.

    Raises:
        LabError: names every missing program and the Debian packages that have them.
    """
    path = environment()["PATH"]
    missing = [program for program in programs if shutil.which(program, path=path) is None]
    if missing:
        packages = sorted({PACKAGES.get(program, "iptables") for program in missing})
        raise LabError(f"the lab needs {', '.join(missing)}; install with: apt-get install {' '.join(packages)}")


def start(name: str, order: bytes, *, user_namespace: bool, owner: str) -> tuple[Holder, "subprocess.Popen[bytes]"]:
    """Start a holder, hand it its order, and wait until the lab stands.

    Args:
        name: the lab's name; visible in the process list.
        order: the plan as one line of JSON.
        user_namespace: make a user namespace first; needs no privilege.
        owner: who the lab belongs to, as ``PID:TICKS`` or ``background``; visible in the process list.

    Returns:
        The holder, and the ``unshare`` process that is its parent; closing that
        one's standard input ends the lab, unless it is to be kept.

    Raises:
        LabError: namespaces are not permitted, or the plan failed.
    """
    options = ["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if user_namespace:
        options = ["--user", "--map-root-user", *options]
    command = ["unshare", *options, sys.executable, "-m", "natobs.lab.holder", name, owner]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd="/",
        start_new_session=True,  # Ctrl-C is for the owner, who then ends the lab in order
    )
    try:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it failed already; its words are read below
            process.stdin.write(order + b"\n")
            process.stdin.flush()
        _await_ready(process, user_namespace=user_namespace)
        holder = _holder(process, user_namespace=user_namespace)
    except BaseException:
        stop(process)
        raise
    return holder, process


def _holder(process: "subprocess.Popen[bytes]", *, user_namespace: bool) -> Holder:
    for child in psutil.Process(process.pid).children():
        holder = Process.of(child.pid)
        if holder is not None:
            return Holder(holder, user_namespace)
    raise LabError("the lab ended as soon as it was ready")


def keep(process: "subprocess.Popen[bytes]") -> None:
    """Let a lab outlive this process; it ends when its holder is killed."""
    assert process.stdin is not None
    process.stdin.write(b"keep\n")
    process.stdin.flush()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.returncode = 0  # not ours any more: no warning about a child that still runs


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a holder through its ``unshare`` parent and wait until the kernel has removed its processes.

    Raises:
        LabError: it did not end in time, which only a process stuck in the kernel can cause.
    """
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    try:
        process.wait(_STOP_SECONDS / 2)
    except subprocess.TimeoutExpired:
        process.kill()  # --kill-child takes the holder along
        try:
            process.wait(_STOP_SECONDS / 2)
        except subprocess.TimeoutExpired as error:
            raise LabError(f"the lab's process {process.pid} does not end within {_STOP_SECONDS:.0f} s") from error


def entering(holder: Holder, namespace: str, argv: list[str]) -> list[str]:
    """Give the command line that runs ``argv`` in one host of a lab, from outside.

    The program runs in the present directory, in the lab's mount and pid namespaces, with a /sys that
    shows the host's own interfaces, and is killed when ``nsenter`` is. The exit status is ``MISSING``
    when there is no such program.
    """
    return [
        *_into(holder),
        *("ip", "netns", "exec", namespace),
        # Entering a mount namespace leads to its root. And ip says 1 where there is no program, as many programs do.
        *("env", f"--chdir={_directory()}", *argv),
    ]


def within(holder: Holder, argv: list[str]) -> None:
    """Run a program in a lab, and in none of its hosts; what it mounts is there for all that is started from then on.

    Raises:
        LabError: it failed, or took too long.
    """
    try:
        done = subprocess.run(
            [*_into(holder), *argv],
            capture_output=True,
            text=True,
            timeout=_STOP_SECONDS,
            check=False,
            env=environment(),
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(argv)} did not finish within {_STOP_SECONDS:.0f} s") from error
    if done.returncode:
        raise LabError(f"{' '.join(argv)} ended with status {done.returncode}: {done.stderr.strip()}")


def _into(holder: Holder) -> list[str]:
    user = ["--user", "--preserve-credentials"] if holder.user_namespace else []
    way = ("nsenter", "--target", str(holder.pid), *user, "--mount", "--pid", "--")
    return [*way, "setpriv", "--pdeathsig", "KILL", "--"]


def _directory() -> str:
    """Give the present directory, or / where that does not exist in a lab."""
    try:
        here = str(Path.cwd())
    except FileNotFoundError:  # removed under our feet
        return "/"
    return "/" if f"{here}/".startswith("/run/") else here


def _await_ready(process: "subprocess.Popen[bytes]", *, user_namespace: bool) -> None:
    assert process.stdout is not None
    deadline = time.monotonic() + _START_SECONDS
    answer = b""
    while not answer.endswith(b"\n"):
        readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise LabError(f"the lab was not ready within {_START_SECONDS:.0f} s")
        chunk = os.read(process.stdout.fileno(), 4096)
        if not chunk:
            break
        answer += chunk
    text = answer.decode(errors="replace").strip()
    if text == "ready":
        return
    if text.startswith("error: "):
        raise LabError(f"the lab cannot be built: {text.removeprefix('error: ')}")
    assert process.stderr is not None
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    os.set_blocking(process.stderr.fileno(), False)
    said = " ".join((process.stderr.read() or b"").decode(errors="replace").split())
    raise LabError(
        f"the lab's namespaces cannot be made: {said or text or 'no reason given'}. {_advice(user_namespace)}"
    )


def _advice(user_namespace: bool) -> str:  # noqa: FBT001  a private helper with a single fact as its argument
    if not user_namespace:
        return "Root needs CAP_SYS_ADMIN for this; a container may lack it."
    return (
        "An ordinary user needs user namespaces: look at the sysctls user.max_user_namespaces, "
        "kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns, or run it as root."
    )
