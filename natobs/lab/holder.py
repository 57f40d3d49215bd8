"""The process that a lab lives in: first process of its own pid namespace, owner of its mounts and namespaces.

Run by :mod:`natobs.lab.launch` as ``unshare ... python -m natobs.lab.holder NAME OWNER``.
Reads one line from standard input, the plans; builds them; answers one line on
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
from pathlib import Path
from typing import IO

import msgspec

from natobs.errors import LabError
from natobs.lab.netns import inside
from natobs.lab.plan import HostPlan, Plan, namespace
from natobs.lab.rulesets import Ruleset

_STEP_SECONDS = 20.0  # one program of the plan; they take milliseconds


def main() -> None:
    """Build the lab that standard input describes and keep it until standard input ends."""
    source = sys.stdin.buffer
    plans = msgspec.json.decode(source.readline(), type=list[Plan])
    # A thread of its own: the owner may die while the lab is still being built.
    threading.Thread(target=_leave_with_owner, args=(source,), daemon=True).start()
    try:
        _private_run(sum(plan.run_megabytes for plan in plans))
        for plan in plans:
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
        with inside(namespace(plan.lab, host.name)):
            _set_sysctls(host)
    _ip(plan.links)
    for host in plan.hosts:
        name = namespace(plan.lab, host.name)
        for lines, family in ((host.ip, ()), (host.rules4, ("-4",)), (host.rules6, ("-6",))):
            if lines:
                _ip(lines, *family, "-n", name)
        with inside(name):
            for ruleset in host.rulesets:
                _load(host.name, ruleset)


def _leave_with_owner(source: IO[bytes]) -> None:
    if source.readline() != b"keep\n":
        os._exit(0)


def _private_run(megabytes: int) -> None:
    """Cover /run: ``ip netns`` keeps its names there, iptables its lock, and neither may touch the host's."""
    _step(["mount", "-t", "tmpfs", "-o", f"mode=755,size={megabytes}m", "natobs-lab", "/run"])
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


if __name__ == "__main__":
    main()
