"""F9: SNAT ports towards one destination, all of them taken, or half of them and unluckily.

Linux gives ports for each (protocol, public address, destination, port) apart,
and looks at 248 of them before it gives up (nf_nat_l4proto_unique_tuple). The
ports are held by connections of a host that is not there: entries like any
others, of which no socket knows.
"""

import msgspec

from natobs.errors import LabError
from natobs.lab import entries
from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.servers import HTTP_PORTS

PORT, OTHER_PORT = HTTP_PORTS[1], HTTP_PORTS[0]
"""The services that are hard to reach: these ports of the first server; the other one is probed by nobody."""

_FIRST, _LAST = 1024, 65535
_MOST_OF_TABLE = 0.6
_HELD = range(30000, 62256)
"""Half of all ports, and every port that a client's Linux takes by itself (ip_local_port_range): each flow collides,
and one in 2^5 finds no free port in the five runs of the kernel's search."""
_PAGES_PER_SECOND = 60


class _Held(Fault):
    mode = "F9"
    programs = ("conntrack",)

    def _hold(self, service: int, ports: range) -> None:
        topology = self.lab.topology
        self.cleanup("nat", entries.REMOVE)
        where = (topology.server_addresses(4)[0], str(service), str(ports.start), str(ports.stop - 1))
        argv = self.nat.python("natobs.lab.filling", msgspec.json.encode(topology).decode(), "ports", *where)
        self.start("nat", argv, ready="full")

    def evidence(self) -> Evidence:
        return facts.conntrack(self.nat)


class PortsExhausted(_Held):
    """No port is left."""

    name = "ports-exhausted"
    title = "SNAT ports exhausted towards one destination"
    sentence = f"Every port towards port {PORT} of the first server is held by a connection; others work as before."

    @property
    def _ports(self) -> range:
        first, last = self.lab.topology.nat.ports or (_FIRST, _LAST)
        return range(first, last + 1)

    def check(self) -> None:
        """Refuse where so many entries would fill the table, which is another fault."""
        wanted = len(self._ports) * self.lab.topology.nat.addresses
        limit = facts.limit(self.nat)
        if wanted > _MOST_OF_TABLE * limit:
            raise LabError(
                f"{wanted} entries hold all ports, and this machine's table takes {limit}: "
                "take a NAT with fewer SNAT addresses or ports"
            )

    def act(self) -> None:
        self._hold(PORT, self._ports)


class TupleClashes(_Held):
    """Ports are left, and new flows do not find them."""

    name = "tuple-clashes"
    title = "SNAT ports clash without being exhausted"
    sentence = (
        f"Half of the ports towards port {OTHER_PORT} of the first server are held, in one block where clients choose "
        "theirs: the kernel gives up its search for some new connections."
    )

    def check(self) -> None:
        """Refuse a NAT whose ports or addresses leave no room for a block."""
        if self.lab.topology.nat.ports is not None or self.lab.topology.nat.fully_random:
            raise LabError(f"{self.name} needs a NAT that keeps its clients' ports: no port range, no random ports")

    def act(self) -> None:
        self._hold(OTHER_PORT, _HELD)
        client = self.lab.host(self.lab.topology.clients[-1])
        server = self.lab.topology.server_addresses(4)[0]
        argv = client.python("natobs.lab.load", "pages", server, str(OTHER_PORT), str(_PAGES_PER_SECOND))
        self.start(client.name, argv, ready="running")
