"""The machine below the network: time of its CPUs, memory, start, and what this process itself costs.

Asked through psutil, which reads /proc/stat, /proc/meminfo and /proc/self (see
Documentation/filesystems/proc.rst); the answers cross the seam as JSON. These
facts belong to the whole machine, not to a network namespace. psutil numbers
CPUs by their line in /proc/stat, where offline CPUs are missing, so their true
numbers are read from sysfs. Load averages are not read: they count tasks, and
forwarding is done by no task.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import psutil

from natobs.errors import FormatError, UnavailableError
from natobs.kernel.machine import Computed, File, Machine, unavailable

CPU_MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""Time of guests is left out: Linux counts it as user and nice too (account_guest_time in kernel/sched/cputime.c)."""

_MOST_CPUS = 8192
"""NR_CPUS of the largest distribution kernels."""


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds that one CPU has spent in each mode since the start; together they are all its time.

    ``iowait`` and ``idle`` are estimates that Linux corrects downwards (proc.rst
    says so): while a CPU sleeps, its present sleep is moved from one to the other.
    """

    user: float
    nice: float
    system: float
    idle: float
    iowait: float
    irq: float
    softirq: float
    steal: float


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory: all of it, and what programs can still get without swapping (MemAvailable)."""

    total: int
    available: int


@dataclass(frozen=True, slots=True)
class Process:
    """What this process has used: CPU seconds (user and system), resident bytes, open file descriptors."""

    cpu_seconds: float
    resident_bytes: int
    open_descriptors: int


_self = psutil.Process()


def _cpu() -> bytes:
    times = psutil.cpu_times(percpu=True)
    return msgspec.json.encode([{mode: getattr(one, mode) for mode in CPU_MODES} for one in times])


def _memory() -> bytes:
    memory = psutil.virtual_memory()
    return msgspec.json.encode({"total": memory.total, "available": memory.available})


def _boot() -> bytes:
    return msgspec.json.encode(psutil.boot_time())


def _process() -> bytes:
    answer = {
        # Not psutil's: the same sum at a thirtieth of the cost, and in nanoseconds rather than ticks.
        "cpu_seconds": time.process_time(),
        "resident_bytes": _self.memory_info().rss,
        "open_descriptors": _self.num_fds(),
    }
    return msgspec.json.encode(answer)


def _asking(what: str, answer: Callable[[], bytes]) -> Callable[[], bytes]:
    """Psutil lets every kind of exception through; whatever it is, there is no answer."""

    def ask() -> bytes:
        try:
            return answer()
        except OSError as error:
            raise unavailable(f"psutil: {what}", error.errno or 0) from error
        except (psutil.Error, ValueError, LookupError, RuntimeError) as error:
            raise UnavailableError("error", f"psutil: {what}: {type(error).__name__}: {error}") from error

    return ask


CPU = Computed("psutil/cpu", _asking("CPU times", _cpu))
MEMORY = Computed("psutil/memory", _asking("memory", _memory))
BOOT = Computed("psutil/boot", _asking("boot time", _boot))
PROCESS = Computed("psutil/process", _asking("this process", _process))
ONLINE_FILE = File("/sys/devices/system/cpu/online")


def read_cpus(machine: Machine) -> dict[int, CpuTimes]:
    """The times of every online CPU by its number.

    Where sysfs is missing, or disagrees on how many CPUs there are (a container
    may be shown fewer), they are numbered from 0.

    Raises:
        UnavailableError: psutil could not tell.
        FormatError: an answer is not what is documented here.
    """
    times = parse_cpus(machine.ask(CPU))
    try:
        online = parse_online(machine.ask(ONLINE_FILE))
    except UnavailableError:
        online = ()
    numbers = online if len(online) == len(times) else range(len(times))
    return dict(zip(numbers, times, strict=True))


def read_memory(machine: Machine) -> Memory:
    """How much memory there is; raises as :func:`read_cpus`."""
    return parse_memory(machine.ask(MEMORY))


def read_boot_time(machine: Machine) -> float:
    """When the machine started, in seconds since the epoch; raises as :func:`read_cpus`."""
    return parse_boot_time(machine.ask(BOOT))


def read_process(machine: Machine) -> Process:
    """What this process has used; raises as :func:`read_cpus`."""
    return parse_process(machine.ask(PROCESS))


def parse_cpus(data: bytes) -> list[CpuTimes]:
    """Decode the times of all CPUs, in the order of /proc/stat.

    Raises:
        FormatError: not such a list, or an empty one.
    """
    times = _decode(data, list[CpuTimes])
    if not times:
        raise FormatError("psutil: times of no CPU")
    return times


def parse_memory(data: bytes) -> Memory:
    """Decode a :class:`Memory`; raises FormatError."""
    return _decode(data, Memory)


def parse_boot_time(data: bytes) -> float:
    """Decode one number; raises FormatError."""
    return _decode(data, float)


def parse_process(data: bytes) -> Process:
    """Decode a :class:`Process`; raises FormatError."""
    return _decode(data, Process)


def parse_online(data: bytes) -> tuple[int, ...]:
    """Decode a list of CPU numbers such as ``0-3,6`` (Documentation/admin-guide/cputopology.rst).

    Raises:
        FormatError: it is no such list, or has more than 8192 CPUs.
    """
    numbers: list[int] = []
    try:
        for part in data.strip().split(b","):
            first, _dash, last = part.partition(b"-")
            span = range(int(first), int(last or first) + 1)
            if len(span) > _MOST_CPUS or not span or span[0] < 0:
                raise FormatError(f"{ONLINE_FILE.path}: {part[:40]!r} is no range of CPUs")
            numbers += span
            if len(numbers) > _MOST_CPUS:
                raise FormatError(f"{ONLINE_FILE.path}: more than {_MOST_CPUS} CPUs")
    except (ValueError, OverflowError) as error:
        raise FormatError(f"{ONLINE_FILE.path}: {data[:40]!r} is no list of CPUs") from error
    return tuple(numbers)


_T = TypeVar("_T")


def _decode(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(f"psutil: {error}") from error
