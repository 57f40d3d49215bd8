"""What is in a lab that stands: its hosts, their addresses, and the processes that run in each.

Reads /proc from outside; runs nothing inside the lab and changes nothing.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from natobs.errors import LabError
from natobs.lab.lab import Lab
from natobs.lab.plan import namespace
from natobs.lab.topology import Topology


@dataclass(frozen=True)
class Process:
    """A process of a lab: id as seen from outside, and command line."""

    pid: int
    command: str


@dataclass(frozen=True)
class HostReport:
    """A host of a lab: name, the addresses it was given, and what runs in it."""

    name: str
    addresses: tuple[str, ...]
    processes: tuple[Process, ...]


def inventory(lab: Lab) -> list[HostReport]:
    """Report on every host of a lab, in the topology's order.

    Raises:
        LabError: the lab ended meanwhile.
    """
    topology = lab.topology
    names = Path(f"/proc/{lab.holder.pid}/root/run/netns")
    try:
        hosts = {(names / namespace(topology.name, host)).stat().st_ino: host for host in topology.hosts}
    except OSError as error:
        raise LabError(f"lab {topology.name} has just ended: {error}") from error
    inside: dict[str, list[Process]] = {host: [] for host in topology.hosts}
    for process in psutil.process_iter():
        # processes end, and those of other users may not be looked at: neither is one of this lab's
        with suppress(OSError, psutil.Error):
            host = hosts.get(Path(f"/proc/{process.pid}/ns/net").stat().st_ino)
            if host is not None:
                inside[host].append(Process(process.pid, " ".join(process.cmdline())))
    return [HostReport(host, addresses(topology, host), tuple(inside[host])) for host in topology.hosts]


def addresses(topology: Topology, host: str) -> tuple[str, ...]:
    """Give the addresses that a host is known by: a client's own, the NAT's outer ones, the servers'."""
    found: list[str] = []
    for family in topology.families:
        if host == "nat":
            found += topology.snat_addresses(family)
        elif host == "internet":
            found += topology.server_addresses(family)
        elif host in topology.clients:
            found.append(topology.client_address(host, family))
    return tuple(found)
