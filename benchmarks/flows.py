"""``python -m benchmarks.flows``: what a census of the connection tracking table costs, beside other ways to read it.

Fills tables with mixed flows of 250 hosts, then reads them in turns: the kernel's
own cost (receive and throw away), the census, ``conntrack -L``, the same
aggregation by ``conntrack -L -o extended`` and awk, and /proc. At last, scrapes of
an agent while a census is in progress and while none is (:mod:`benchmarks.flow_scrapes`).

A namespace holds at most ``nf_conntrack_max`` entries, which belongs to the host
and is left alone. More flows than that are spread over several namespaces of the
lab: the census then goes through all of them in one process and counts them
together. That is dearer than one table, because every dump passes the entries
of the other namespaces too (they share the kernel's hash table); all rows suffer alike.
"""

import argparse
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks import flow_scrapes
from natobs.kernel import netlink
from natobs.lab import topology
from natobs.lab.lab import Lab
from natobs.lab.plan import namespace

if TYPE_CHECKING:
    from natobs.kernel.flow_results import Figures

_SIZES = (10_000, 100_000, 1_000_000)
_HOSTS = 250
_DESTINATIONS = 2_000
_SPARE = 2_000
_GOAL_FLOOR, _GOAL_LIST, _GOAL_STEADY, _GOAL_COMMAND = 1.25, 0.5, 1.2, 1.5
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's linear algebra, which nobody here uses, otherwise starts a thread for each CPU: memory, and CPU at start."""
_CLONE_NEWNET = 0x40000000
_LIMIT = Path("/proc/sys/net/netfilter/nf_conntrack_max")
_STDERR = Console(stderr=True)

_AWK = r"""
{ state = $6 ~ /=/ ? "-" : $6; n = 0; una = /\[UNREPLIED\]/
  for (i = 5; i <= NF; i++) { at = index($i, "="); if (at) value[++n] = substr($i, at + 1) }
  states[$3, state]++; hosts[value[1]]++; if (una) silent[value[1]]++
  to[value[2], $3, value[4]]++
  if (value[6] != value[1]) { tuples[value[6], $3, value[5], value[7]]++; ports[value[6], $3, value[8]] = 1 } }
END { for (k in states) print k, states[k]; print length(hosts), length(to), length(tuples), length(ports) }
"""

METHODS = {
    "kernel floor (receive only)": "floor",
    "census": "census",
    "natobs census, its table printed": "command",
    "conntrack -L": "conntrack -L",
    "conntrack -L -o extended | awk": "conntrack -L -o extended | awk -f {awk}",
    "/proc/net/nf_conntrack": "cat /proc/net/nf_conntrack",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One reading of all tables.

    Args:
        seconds: from request to result; programs from start to end.
        cpu: seconds of CPU, the kernel's included.
        peak: bytes of resident memory at most, the largest process.
        flows: how many were read, where the method says.
    """

    seconds: float
    cpu: float
    peak: int
    flows: int


def entry_lines(count: int, first: int) -> Iterator[str]:
    """Lines for ``conntrack -R``: 5 of 8 TCP in various states, 3 UDP; one in eight IPv6, one in seven unanswered."""
    states = ("ESTABLISHED", "ESTABLISHED", "TIME_WAIT", "SYN_SENT", "FIN_WAIT")
    for number in range(first, first + count):
        kind, host, place = number % 8, number * 7 % _HOSTS, number * 31 % _DESTINATIONS
        port = 1024 + number // _DESTINATIONS % 64_000
        status = "UNSET" if number % 7 == 0 else "SEEN_REPLY,ASSURED"
        if number // 8 % 8 == 0:
            src, dst, out = f"fd00:a:1::{host + 1:x}", f"2001:db8:51::{place + 1:x}", "2001:db8:113::10"
        else:
            src, out = f"10.0.{host // 200}.{host % 200 + 1}", "203.0.113.10"
            dst = f"198.51.{place // 250}.{place % 250 + 1}"
        head = f"-A -t 3000 -u {status} -s {src} -d {dst} -r {dst} -n {out}"
        ports = f"--sport {port} --reply-port-dst {port}"
        if kind < len(states):
            yield f"{head} -p tcp {ports} --dport 443 --reply-port-src 443 --state {states[kind]}\n"
        else:
            yield f"{head} -p udp {ports} --dport 53 --reply-port-src 53\n"


def fill(lab: Lab, hosts: list[str], count: int) -> None:
    """Spread this many flows over the tables of these hosts."""
    share, done = -(-count // len(hosts)), 0
    for name in hosts:
        host = lab.host(name)
        host.run(["conntrack", "-F"])
        with tempfile.NamedTemporaryFile("w", prefix="natobs-flows-", dir="/tmp") as file:
            file.writelines(entry_lines(min(share, count - done), done))
            file.flush()
            host.run(["conntrack", "-R", file.name], timeout=120)
        done += share


@contextmanager
def sockets(names: list[str]) -> Iterator[list[socket.socket]]:
    """A netlink socket in each of these namespaces."""
    libc = ctypes.CDLL(None, use_errno=True)
    with ExitStack() as stack:
        found = []
        for name in names:
            with Path("/run/netns", name).open("rb") as file:
                if libc.setns(file.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), f"setns {name}")
            one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER)
            found.append(stack.enter_context(one))
            one.connect((0, 0))
        yield found


def floor(names: list[str]) -> int:
    """Receive and throw away; gives the bytes."""
    room, total = bytearray(1 << 16), 0
    with sockets(names) as opened:
        for one in opened:
            one.setblocking(False)
            one.send(netlink.request(0x101, netlink.NLM_F_DUMP, 1, bytes(4)))
            try:
                while True:
                    total += one.recv_into(room)
            except BlockingIOError:
                pass
    return total


def census(names: list[str]) -> int:
    """Receive, decode, count and sum up; gives the number of flows."""
    return count(names).totals.flows


def command(names: list[str]) -> None:
    """What ``natobs census`` does, which knows one table only: count, and print the tables for a person."""
    from natobs.cli.census_tables import show  # noqa: PLC0415 - numpy is for this part alone
    from natobs.kernel.flow_results import Census, Taking  # noqa: PLC0415 - the same
    from natobs.kernel.flow_worker import Answer  # noqa: PLC0415 - the same

    figures = count(names)
    flows = figures.totals.flows
    taking = Taking(True, "", 1, 1.0, 1.0, 1, flows, 0, flows, flows)
    show(Answer(Census(taking, figures)), {}, 10, None)


def count(names: list[str]) -> "Figures":
    """The figures of all these tables as of one."""
    from natobs.kernel.flow_aggregate import Aggregate, Scope  # noqa: PLC0415 - numpy is for this part alone
    from natobs.kernel.flow_decode import Decoder  # noqa: PLC0415 - the same
    from natobs.kernel.flow_dump import Dump  # noqa: PLC0415 - the same

    inside = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
    decoder, aggregate = Decoder(), Aggregate(Scope(tuple(ip_network(prefix) for prefix in inside)))
    with sockets(names) as opened:
        for one in opened:
            dump = Dump(one, time.monotonic() + 60)
            for frames in dump.blocks():
                aggregate.add(decoder.decode(frames))
            if dump.trouble or dump.malformed or decoder.malformed:
                sys.exit(f"bench: the dump was not whole: {dump.trouble or 'malformed'}")
    return aggregate.figures()


def itself(part: str, names: list[str]) -> None:
    """Be one of the methods that are ours, and say what it cost without the start of the interpreter."""
    work: Callable[[list[str]], int] = {"floor": floor, "census": census}[part]
    if part == "census":
        import natobs.kernel.flow_census  # noqa: F401, PLC0415 - what loading it costs is no part of it
    start, cpu = time.perf_counter(), time.process_time()
    flows = work(names)
    json.dump([time.perf_counter() - start, time.process_time() - cpu, flows if part == "census" else 0], sys.stdout)


def one_run(method: str, names: list[str], awk: str) -> Run:
    """Run a method in a process of its own."""
    if method in ("floor", "census", "command"):
        argv = [sys.executable, "-m", "benchmarks.flows", "--part", method, *names]
    else:
        program = method.format(awk=awk)
        argv = ["sh", "-c", "; ".join(f"ip netns exec {name} sh -c '{program}'" for name in names)]
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(argv, stdout=output, stderr=subprocess.DEVNULL, env={**os.environ, **_ONE_THREAD})
        _pid, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"bench: {argv} ended with status {process.returncode}")
        output.seek(0)
        if method in ("floor", "census"):
            inner, cpu, flows = json.load(output)
            return Run(inner, cpu, usage.ru_maxrss * 1024, flows)
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024, 0)


def measure(rounds: int, names: list[str]) -> None:
    """Be the process in the lab that runs all methods in turns; a line of JSON for each run."""
    with tempfile.NamedTemporaryFile("w", suffix=".awk", dir="/tmp") as file:
        file.write(_AWK)
        file.flush()
        methods = list(METHODS.items())
        for number in range(rounds):
            for name, method in methods[number % len(methods) :] + methods[: number % len(methods)]:
                run = one_run(method, names, file.name)
                sys.stdout.write(json.dumps([name, run.seconds, run.cpu, run.peak, run.flows]) + "\n")
                sys.stdout.flush()


def runs(lab: Lab, hosts: list[str], rounds: int) -> dict[str, list[Run]]:
    """All runs of all methods over the tables as they are, by method."""
    names = [namespace(lab.topology.name, name) for name in hosts]
    nat = lab.host("nat")
    process = nat.popen(
        nat.python("benchmarks.flows", "--part", "measure", "--rounds", str(rounds), *names),
        stdout=subprocess.PIPE,
        stderr=None,
    )
    assert process.stdout is not None
    found: dict[str, list[Run]] = {name: [] for name in METHODS}
    for _run in track(range(rounds * len(METHODS)), f"{len(names)} namespaces", console=_STDERR):
        line = process.stdout.readline()
        if not line:
            sys.exit("bench: the process in the lab has ended")
        name, *figures = json.loads(line)
        found[name].append(Run(*figures))
    process.close()
    return found


def pairs(ours: list[Run], theirs: list[Run]) -> float:
    """How many times as long: the median over rounds, so that a machine that is busy for a while does not decide."""
    return median(one.seconds / other.seconds for one, other in zip(ours, theirs, strict=True))


def report(size: int, spread: int, found: dict[str, list[Run]]) -> dict[str, float]:
    """One table; gives the figures that the goals are about."""
    count = found["census"][0].flows
    where = "one namespace" if spread == 1 else f"{spread} namespaces, passed in one process"
    table = Table(title=f"{size:,} flows in {where} ({count:,} counted); medians of {len(found['census'])} runs")
    for column in ("", "seconds", "CPU s", "µs a flow", "of the floor", "peak MB"):
        table.add_column(column, justify="left" if not column else "right")
    floors = found["kernel floor (receive only)"]
    base = median(run.seconds for run in floors)
    for name, all_runs in found.items():
        seconds = median(run.seconds for run in all_runs)
        table.add_row(
            name,
            f"{seconds:.3f}",
            f"{median(run.cpu for run in all_runs):.3f}",
            f"{1e6 * seconds / size:.2f}",
            f"{pairs(all_runs, floors):.2f}",
            f"{max(run.peak for run in all_runs) / 1e6:.0f}",
        )
    Console(width=120).print(table)
    own = median(run.seconds for run in found["census"])
    return {
        "flows": count,
        "floor": base,
        "census": own,
        "of_floor": pairs(found["census"], floors),
        "command_of_floor": pairs(found["natobs census, its table printed"], floors),
        "of_conntrack_list": pairs(found["census"], found["conntrack -L"]),
        "microseconds_a_flow": 1e6 * own / count,
        "own_microseconds_a_flow": 1e6 * (own - base) / count,
        "peak_bytes": max(run.peak for run in found["census"]),
    }


def main() -> None:
    """Build the lab, fill it, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.flows", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.part == "measure":
        measure(options.rounds, options.names)
        return
    if options.part == "command":
        command(options.names)
        return
    if options.part:
        itself(options.part, options.names)
        return
    most = int(_LIMIT.read_text("ascii")) - _SPARE
    results = []
    with Lab(topology.two_armed("bench-flows")) as lab:
        hosts = ["nat", *(name for name in lab.topology.hosts if name != "nat")]
        for wanted in options.sizes:
            spread = min(-(-wanted // most), len(hosts))
            size = min(wanted, spread * most)  # what this machine allows
            fill(lab, hosts[:spread], size)
            results.append(report(size, spread, runs(lab, hosts[:spread], options.rounds)))
        scrapes = flow_scrapes.compare(lab, most=min(most, max(options.sizes)), pairs=options.rounds)
    last, first = results[-1], results[0]
    ratio = first["microseconds_a_flow"] / last["microseconds_a_flow"]
    Console(width=120).print(
        f"census of {last['flows']:,.0f} flows: {last['of_floor']:.2f} of the kernel floor (goal {_GOAL_FLOOR}), "
        f"{last['of_conntrack_list']:.2f} of conntrack -L (goal {_GOAL_LIST}), "
        f"{last['peak_bytes'] / 1e6:.0f} MB in a process of its own; "
        f"natobs census, from its start to its last line: {last['command_of_floor']:.2f} (goal {_GOAL_COMMAND}); "
        f"a flow costs {ratio:.2f} times as much at {first['flows']:,.0f} "
        f"(goal {1 / _GOAL_STEADY:.2f} to {_GOAL_STEADY})"
    )
    Console(width=120).print(flow_scrapes.sentence(scrapes))
    sys.stdout.write(json.dumps([*results, scrapes]) + "\n")


if __name__ == "__main__":
    main()
