"""Conntrack entries without traffic: text that ``conntrack -R`` loads into a NAT, up to the host's whole limit.

Entries are translated TCP connections from one inside address to port 443 of
150 outside addresses in turn, so that none of them is short of ports. *assured* ones have been answered
and are never evicted early; *one-way* ones wait for an answer and are
(``nf_conntrack_early_drop`` spares entries with ``IPS_ASSURED``).
262,144 entries are written in 0.2 s and loaded in 3 to 5 s (kernel 6.18).
All of them bear a mark, by which they can be removed among others.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Literal

from natobs.errors import LabError
from natobs.lab.closing import Connection
from natobs.lab.lab import Host
from natobs.lab.launch import require
from natobs.lab.topology import Topology, nth

Kind = Literal["assured", "one-way"]

_FIRST_PORT = 1024
_PORTS = 65536 - _FIRST_PORT
_ADDRESSES = range(100, 250)  # of the servers' network, past every server and short of the dead address
MOST = len(_ADDRESSES) * _PORTS
"""Most entries that one call can make: 9,676,800."""

MARK = 0x6C6162
"""Of every entry made here: "lab"."""
REMOVE = ("sh", "-c", f"conntrack -D -m {MARK} >/dev/null 2>&1; true")
"""The program that removes them; its exit status says whether there were any, which is no matter."""

_SERVICE = 443
_GHOST = 200  # last digits of inside addresses that no client has

_STATE = {"assured": ("SEEN_REPLY,ASSURED", "ESTABLISHED"), "one-way": ("UNSET", "SYN_SENT")}
_LOAD_SECONDS = 120.0


def lines(topology: Topology, count: int, kind: Kind = "assured", *, seconds: int = 3600) -> Iterator[str]:
    """Give lines for ``conntrack -R``, the format of ``conntrack -L -o save`` (conntrack-tools 1.4.7).

    Args:
        topology: whose first client and SNAT address the entries are about; IPv4.
        count: how many, up to :data:`MOST`.
        kind: answered, or waiting for an answer.
        seconds: after which the kernel forgets them.
    """
    if not 0 <= count <= MOST:
        raise LabError(f"{count} conntrack entries; between 0 and {MOST} are possible")
    outside = topology.snat_addresses(4)[0]
    return (_line(one, outside, kind, seconds) for one in islice(connections(topology), count))


def connections(topology: Topology) -> Iterator[Connection]:
    """Give the connections that :func:`lines` is about, all of them."""
    inside = topology.client_address(topology.clients[0], 4)
    servers = [nth(topology.server_network(4), number) for number in _ADDRESSES]
    return ((inside, port, server, _SERVICE) for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS) for server in servers)


def holding(topology: Topology, server: str, port: int, ports: Iterable[int]) -> Iterator[tuple[Connection, str]]:
    """Give connections that hold SNAT ports towards one service, each with the SNAT address that is meant.

    Args:
        topology: every SNAT address of which is meant; IPv4.
        server: address of the service.
        port: port of the service.
        ports: SNAT ports that are held.
    """
    for number, outside in enumerate(topology.snat_addresses(4)):
        ghost = nth(topology.inside(4)[0], _GHOST + number)
        for held in ports:
            yield (ghost, held, server, port), outside


def held_line(connection: Connection, outside: str, *, seconds: int = 3600) -> str:
    """Give the line of an answered connection that holds its own port on a SNAT address."""
    return _line(connection, outside, "assured", seconds)


def _line(connection: Connection, outside: str, kind: Kind, seconds: int) -> str:
    inside, port, server, service = connection
    status, state = _STATE[kind]
    # the mark stands behind -p, which would overwrite it (conntrack-tools 1.4.7)
    return (
        f"-A -t {seconds} -u {status} -s {inside} -d {server} -r {server} -n {outside} -p tcp -m {MARK}"
        f" --dport {service} --reply-port-src {service} --state {state} --sport {port} --reply-port-dst {port}\n"
    )


def load(nat: Host, count: int, kind: Kind = "assured", *, seconds: int = 3600, check: bool = True) -> str:
    """Load entries into a host's table; see :func:`lines` for the arguments.

    Args:
        nat: the host, as a rule ``lab.host("nat")``.
        count: how many entries.
        kind: answered, or waiting for an answer.
        seconds: after which the kernel forgets them.
        check: raise when the kernel did not take all (a full table refuses).

    Returns:
        What ``conntrack`` said on standard error.
    """
    require("conntrack")
    # no file: one would be left if this process were killed
    text = "".join(lines(nat.lab.topology, count, kind, seconds=seconds))
    return nat.run(["conntrack", "-R", "/dev/stdin"], check=check, timeout=_LOAD_SECONDS, stdin=text).stderr
