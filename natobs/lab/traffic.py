"""Traffic on demand: servers in the internet, and exact numbers of flows from a client host.

The helpers that tests call; what a crowd of users does is :mod:`natobs.lab.users`.
Knows the programs of :mod:`natobs.lab.servers` and :mod:`natobs.lab.clients`;
refuses to know what the NAT makes of the flows.
"""

import json
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from natobs.errors import LabError
from natobs.lab.lab import Host, HostProcess, Lab

_READY_SECONDS = 20.0
_FLOWS_SECONDS = 180.0


def start_servers(lab: Lab) -> HostProcess:
    """Start the servers on every address of the internet, and wait until they listen.

    Raises:
        LabError: they did not listen in time.
    """
    internet = lab.host("internet")
    addresses = [address for family in lab.topology.families for address in lab.topology.server_addresses(family)]
    process = internet.popen(internet.python("natobs.lab.servers", *addresses), stdout=subprocess.PIPE)
    answer = first_line(process, _READY_SECONDS)
    if answer != "ready":
        raise LabError(f"the servers of lab {lab.topology.name} did not start: {answer!r}")
    return process


def who_asked(client: Host, address: str) -> dict[str, str | None]:
    """Ask a server who it saw: addresses by ``tcp``, ``udp`` and ``icmp``; None where no answer came."""
    answer: dict[str, str | None] = _answer(client, "ask", address)
    return answer


def fetch(host: Host, url: str, timeout: float = 10.0) -> str:
    """Read an HTTP URL from inside a host and give its body.

    Example: ``fetch(lab.host("nat"), "http://127.0.0.1:9650/metrics")``.

    Raises:
        LabError: nobody answered in time, or not with a 2xx status.
    """
    return host.run(host.python("natobs.lab.clients", "get", url), timeout=timeout).stdout


def udp_flows(client: Host, address: str, port: int, count: int, first_port: int = 0) -> int:
    """Send one datagram from each of ``count`` source ports of a client to one destination.

    Args:
        client: the host that sends.
        address: destination address.
        port: destination port; 9 is never answered, 7 is.
        count: how many datagrams, each from a port of its own.
        first_port: first source port, the others follow it; 0 lets the kernel choose.

    Returns:
        How many were sent.
    """
    return int(_answer(client, "udp", address, str(port), str(first_port), str(count))["sent"] or 0)


@contextmanager
def tcp_flows(client: Host, address: str, port: int, count: int, first_port: int = 0) -> Iterator[int]:
    """Hold ``count`` TCP connections open while the block runs; gives how many were established.

    Arguments as for :func:`udp_flows`; port 7 of a server keeps a connection for ever.
    """
    arguments = ("tcp", address, str(port), str(first_port), str(count))
    process = client.popen(
        client.python("natobs.lab.clients", *arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        answer = first_line(process, _FLOWS_SECONDS)
        if not answer:
            raise LabError(f"{client.name}: no connections to {address} port {port} within {_FLOWS_SECONDS:.0f} s")
        yield int(json.loads(answer)["open"])
    finally:
        process.close()


def first_line(process: HostProcess, seconds: float) -> str:
    """Read the first line that a program prints, stripped; empty when it ended or took too long."""
    assert process.stdout is not None
    deadline = time.monotonic() + seconds
    readable, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
    return process.stdout.readline().strip() if readable else ""


def _answer(client: Host, *arguments: str) -> dict[str, str | None]:
    done = client.run(client.python("natobs.lab.clients", *arguments), timeout=_FLOWS_SECONDS)
    answer: dict[str, str | None] = json.loads(done.stdout)
    return answer
