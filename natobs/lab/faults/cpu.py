"""F2: both of the things that saturate the CPUs of a NAT: forwarding, and a neighbour that computes.

CPU counters are the machine's, so every agent of every lab on it sees the load,
and a machine that is busy already would show a fault that is not there.
"""

import os

import psutil

from natobs.errors import LabError
from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault

BUSY_PERCENT = 50.0
"""A machine above this is busy already; a lab with users and agents takes 5 to 20."""

_LOOK_SECONDS = 1.0
_DISCARD = 9


def refuse_busy(what: str) -> None:
    """Raise a LabError, which says what would prove nothing now, when this machine is busy."""
    busy = psutil.cpu_percent(_LOOK_SECONDS)
    if busy > BUSY_PERCENT:
        raise LabError(f"this machine is busy already ({busy:.0f} %): {what} would prove nothing; try later")


class _Saturation(Fault):
    mode = "F2"

    def check(self) -> None:
        """Refuse a machine that is busy already."""
        if not self.any_load:
            refuse_busy(self.name)

    def evidence(self) -> Evidence:
        return facts.cpu()


class CpuForwarding(_Saturation):
    """Forwarding itself takes every CPU."""

    name = "cpu-forwarding"
    title = "CPU saturated by forwarding"
    sentence = "Clients send small datagrams through the NAT as fast as every CPU can forward them."

    def act(self) -> None:
        # to an address of nobody: no server has to read them, so that it is forwarding that takes the time
        dead = self.lab.topology.dead_address(4)
        clients = self.lab.topology.clients
        for number, cpu in enumerate(sorted(os.sched_getaffinity(0))):
            host = self.lab.host(clients[number % len(clients)])
            argv = host.python("natobs.lab.load", "flood", dead, str(_DISCARD), str(cpu))
            self.start(host.name, argv, ready="running")


class CpuNeighbour(_Saturation):
    """Something else on the NAT takes every CPU."""

    name = "cpu-neighbour"
    title = "CPU taken by a neighbour"
    sentence = "A program on the NAT that has nothing to do with forwarding keeps every CPU busy."

    def act(self) -> None:
        for cpu in sorted(os.sched_getaffinity(0)):
            self.start("nat", self.nat.python("natobs.lab.load", "spin", str(cpu)), ready="running")
