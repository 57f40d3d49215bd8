"""The process that a lab lives in: first process of its own pid namespace, owner of its mounts and namespaces.

Run by :mod:`natobs.lab.launch` as ``unshare ... python -m natobs.lab.holder NAME OWNER``.
Reads one line from standard input, the plan; builds it; answers one line on
standard output, ``ready`` or ``error: ...``. Then it waits. When its standard
input ends (its owner closed it, or died), it exits, and the kernel removes
everything that was in its namespaces: processes, mounts, network namespaces.
A line ``keep`` on standard input lets it outlive its owner; then a signal ends it.

Knows how to carry out a plan; refuses to know why the plan looks as it does.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, get_errno
from pathlib import Path
from typing import IO

import msgspec

from natobs.errors import LabError
from natobs.lab.plan import HostPlan, Plan, namespace
from natobs.lab.rulesets import Ruleset

_STEP_SECONDS = 20.0  # one program of the plan; they take milliseconds
_CLONE_NEWNET = 0x40000000  # include/uapi/linux/sched.h


def main() -> None:
    """Build the lab that standard input describes and keep it until standard input ends."""
    source = sys.stdin.buffer
    plan = msgspec.json.decode(source.readline(), type=Plan)
    # A thread of its own: the owner may die while the lab is still being built.
    threading.Thread(target=_leave_with_owner, args=(source,), daemon=True).start()
    try:
        _private_run()
        build(plan)
    except (LabError, OSError) as error:
        sys.stdout.write(f"error: {' '.join(str(error).split())}\n")
        sys.stdout.flush()
        os._exit(1)
    # From here on orphans of the lab become this process's children; the kernel reaps them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    while True:
        signal.pause()


def build(plan: Plan) -> None:
    """Carry a plan out in the mount namespace of the calling process.

    Raises:
        LabError: a step failed; the message quotes the program's own words.
    """
    _ip([f"netns add {namespace(plan.lab, host.name)}" for host in plan.hosts])
    for host in plan.hosts:
        with _inside(namespace(plan.lab, host.name)):
            _set_sysctls(host)
    _ip(plan.links)
    for host in plan.hosts:
        name = namespace(plan.lab, host.name)
        for lines, family in ((host.ip, ()), (host.rules4, ("-4",)), (host.rules6, ("-6",))):
            if lines:
                _ip(lines, *family, "-n", name)
        with _inside(name):
            for ruleset in host.rulesets:
                _load(host.name, ruleset)


def _leave_with_owner(source: IO[bytes]) -> None:
    if source.readline() != b"keep\n":
        os._exit(0)


def _private_run() -> None:
    """Cover /run: ``ip netns`` keeps its names there, iptables its lock, and neither may touch the host's."""
    _step(["mount", "-t", "tmpfs", "-o", "mode=755,size=64m", "natobs-lab", "/run"])
    Path("/run/netns").mkdir()


def _set_sysctls(host: HostPlan) -> None:
    for key, value in host.sysctls:
        path = Path("/proc/sys") / key
        try:
            path.write_text(value)
        except OSError as error:
            raise LabError(f"{host.name}: cannot set {path} to {value!r}: {error.strerror}") from error


def _load(host: str, ruleset: Ruleset) -> None:
    try:
        _step(ruleset.command, ruleset.text)
    except LabError as error:
        hint = ""
        if "legacy" in ruleset.command[0]:
            hint = "; an ordinary user needs the modules ip_tables, iptable_nat and ip6table_nat loaded beforehand"
        raise LabError(f"{host}: {error}{hint}") from error


def _ip(lines: tuple[str, ...] | list[str], *options: str) -> None:
    _step(["ip", *options, "-batch", "-"], "\n".join(lines) + "\n")


def _step(command: list[str] | tuple[str, ...], text: str | None = None) -> None:
    try:
        done = subprocess.run(
            command, input=text or "", capture_output=True, text=True, timeout=_STEP_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise LabError(f"the program {command[0]} is missing") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"{' '.join(command)} did not finish within {_STEP_SECONDS:.0f} s") from error
    if done.returncode != 0:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise LabError(f"{' '.join(command)}: {said}")


@contextmanager
def _inside(name: str) -> Iterator[None]:
    """Run the calling thread, and the programs that it starts, in a network namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(f"/run/netns/{name}", os.O_RDONLY | os.O_CLOEXEC)
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


if __name__ == "__main__":
    main()
