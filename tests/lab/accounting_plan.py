"""A plan of flows, and what the accounting table must have counted after it."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address

from natobs.lab.lab import Host, HostProcess, Lab
from natobs.lab.traffic import first_line

Step = tuple[str, str, int, int, float]
"""Kind, address, port, how many flows, seconds; see :mod:`tests.lab.open_flows`."""
Found = dict[str, int]
"""What became of the flows of a step, and how many SYNs they sent again."""

ECHO, DISCARD, CLOSED_TCP, CLOSED_UDP = 7, 9, 4444, 12345
SHORT, PATIENT = 0.5, 20.0
"""Seconds that flows wait for an answer: where there is none, most often before the SYN is sent again, which follows
after 1 s (RFC 6298); and where there is one, however busy the machine."""
_NUMBERS = {"tcp": 6, "udp": 17}
_SETTLE_SECONDS = 20.0


@dataclass
class Counted:
    """What the kernel counted, or should have: packets by counter, and by key of each set; zero where nothing is named.

    ``offered`` and ``tracked`` are told by their difference ``untracked``: IPv6 looks for its neighbours all the time.
    """

    counters: dict[str, int] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)

    def since(self, before: "Counted") -> "Counted":
        return Counted(
            less(self.counters, before.counters),
            less(self.attempts, before.attempts),
            less(self.answers, before.answers),
            less(self.hosts, before.hosts),
        )

    def add(self, counter: str, more: int) -> None:
        self.counters[counter] = self.counters.get(counter, 0) + more


def less(now: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {key: value - before.get(key, 0) for key, value in now.items() if value != before.get(key, 0)}


def read(nat: Host) -> Counted:
    """What the table of a NAT has counted so far, but for what was forwarded."""
    found = json.loads(nat.run(nat.python("tests.lab.read_accounting")).stdout)
    counters = {name: packets for name, (packets, _bytes) in found["counters"].items()}
    for protocol in ("tcp", "udp", "icmp", "other"):
        counters[f"untracked_{protocol}"] = counters.pop(f"offered_{protocol}") - counters.pop(f"tracked_{protocol}")
    kept = {name: packets for name, packets in counters.items() if packets and not name.startswith("forwarded")}
    return Counted(kept, found["attempts"], found["answers"], found["hosts"])


def await_over(nat: Host) -> None:
    """Wait until every TCP connection through a NAT is over, or waits for nobody: none sends anything any more."""
    still = "ESTABLISHED|SYN_RECV|FIN_WAIT|CLOSE_WAIT|LAST_ACK"
    command = "conntrack -L -p tcp 2>/dev/null; conntrack -L -p tcp -f ipv6 2>/dev/null; true"
    deadline = time.monotonic() + _SETTLE_SECONDS
    while re.search(f" ({still}) ", nat.run(["sh", "-c", command]).stdout):
        assert time.monotonic() < deadline, "connections do not end"
        time.sleep(0.1)


def forwarded(nat: Host) -> dict[str, list[int]]:
    """Packets and bytes that were forwarded, by direction."""
    found = json.loads(nat.run(nat.python("tests.lab.read_accounting")).stdout)["counters"]
    return {direction: found[f"forwarded_{direction}"] for direction in ("out", "in")}


def counted(nat: Host, before: Counted, expected: Counted) -> Counted:
    """What was counted since, as soon as it is what is expected, or some seconds later."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while (found := read(nat).since(before)) != expected and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def steps(lab: Lab) -> list[Step]:
    """Flows of every kind, over every IP version of a lab, with different numbers."""
    found: list[Step] = []
    for extra, family in enumerate(lab.topology.families):
        (one, two), dead = lab.topology.server_addresses(family)[:2], lab.topology.dead_address(family)
        found += [
            ("tcp", one, ECHO, 20 + extra, PATIENT),
            ("tcp", two, ECHO, 7 + extra, PATIENT),
            ("tcp-abort", one, 443, 5 + extra, PATIENT),
            ("tcp", one, CLOSED_TCP, 4 + extra, PATIENT),
            ("tcp", dead, 80, 3 + extra, SHORT),
            ("tcp-again", dead, 81, 2 + extra, PATIENT),
            ("udp", one, ECHO, 30 + extra, PATIENT),
            ("udp", two, DISCARD, 11 + extra, 0.3),
            ("udp-again", one, DISCARD, 6 + extra, 1),
            ("udp", two, CLOSED_UDP, 8 + extra, PATIENT),
            ("icmp", one, 0, 9 + extra, PATIENT),
            ("icmp", dead, 0, 2 + extra, 0.3),
        ]
    return found


def expected(plan: Mapping[str, Iterable[tuple[Step, Found]]]) -> Counted:
    """What a plan must make the kernel count.

    Args:
        plan: address of a host to its steps, each with what the host found.
    """
    result = Counted()
    for host, taken in plan.items():
        for (kind, address, port, count, _seconds), found in taken:
            proto = kind.partition("-")[0]
            result.add(f"attempts_{proto}", count)
            result.hosts[host] = result.hosts.get(host, 0) + count
            outcome = _outcome(address, port)
            if outcome != "silent":
                result.add(f"{outcome}_{proto}", count)
            place = f"{address} {_NUMBERS.get(proto, 0)} {port}"
            if proto in _NUMBERS:
                result.attempts[place] = result.attempts.get(place, 0) + count
                if outcome == "answered":
                    result.answers[place] = result.answers.get(place, 0) + count
            repeated = count if kind == "udp-again" else found["again"]
            if repeated:
                result.add(f"repeated_{proto}", repeated)
            if kind == "tcp-abort":
                result.add("resets_out", count)
            if proto == "tcp" and outcome == "refused":
                result.add("resets_in", count)
    return result


def check_outcomes(taken: list[Step], found: list[Found]) -> None:
    """What a host found itself must be what the steps make it find."""
    nothing = {"answered": 0, "refused": 0, "silent": 0}
    for (kind, address, port, count, _seconds), one in zip(taken, found, strict=True):
        assert one == nothing | {_outcome(address, port): count, "again": one["again"]}, (kind, address, port)
        assert kind != "tcp-again" or one["again"] >= count


def begin(client: Host, taken: list[Step]) -> HostProcess:
    """Have a host begin to open the flows of some steps, all at once."""
    return client.popen(client.python("tests.lab.open_flows", json.dumps(taken)), stdout=subprocess.PIPE)


def finish(process: HostProcess) -> list[Found]:
    """What became of the flows that were begun."""
    found: list[Found] = json.loads(first_line(process, 60))
    process.close()
    return found


def flows(client: Host, taken: list[Step]) -> list[Found]:
    """Have a host open the flows of some steps, all at once; what became of them."""
    return finish(begin(client, taken))


@contextmanager
def talking(client: Host, address: str, count: int) -> Iterator[Callable[[], int]]:
    """Hold connections to an echo server open; what is given sends a line over each and says how many came back."""
    process = client.popen(
        client.python("natobs.lab.talk", address, str(count)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    assert first_line(process, 20) == f"{count} connections"

    def say() -> int:
        assert process.stdin is not None
        process.stdin.write("again\n")
        process.stdin.flush()
        return int(first_line(process, 20))

    try:
        yield say
    finally:
        process.close()


def _outcome(address: str, port: int) -> str:
    if ip_address(address).packed[-1] in {250, 0x50}:  # an address of the lab that is dead, see natobs.lab.topology
        return "silent"
    return {DISCARD: "silent", CLOSED_TCP: "refused", CLOSED_UDP: "refused"}.get(port, "answered")
