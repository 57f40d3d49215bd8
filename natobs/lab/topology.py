"""What a lab looks like, as frozen values: private subnets, the NAT, and an internet with several servers.

Knows networks and who has which address; refuses to know namespaces, programs
and privileges. Addresses follow from the values by fixed rules, so that a test
may compute what it expects:

========================  ======================  ===========================
host                      IPv4                    IPv6
========================  ======================  ===========================
gateway of subnet *k*     10.0.k.1                fd00:a:k::1
clients of subnet *k*     10.0.k.11, .12, ...     fd00:a:k::11, ::12, ...
the NAT's outside         203.0.113.10, .11, ...  2001:db8:113::10, ::11, ...
servers                   198.51.100.1, .2, ...   2001:db8:51::1, ::2, ...
an address that is dead   198.51.100.250          2001:db8:51::250
========================  ======================  ===========================

The public networks are those that RFC 5737 and RFC 3849 set aside for
documentation; the private ones come from RFC 1918 and RFC 4193.
"""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from itertools import combinations
from typing import Literal, get_args

from natobs.errors import LabError

Backend = Literal["nftables", "iptables-nft", "iptables-legacy"]
"""Which rule language the NAT is written in."""

Family = Literal[4, 6]
"""IP version."""

BACKENDS: tuple[Backend, ...] = get_args(Backend)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,14}[a-z0-9])?")
_MOST_HOSTS = 99  # two decimal digits keep every address readable, and every interface name below 16 characters
_LAST_PORT = 65535

_OUTSIDE: dict[Family, str] = {4: "203.0.113.0/24", 6: "2001:db8:113::/64"}
_SERVERS: dict[Family, str] = {4: "198.51.100.0/24", 6: "2001:db8:51::/64"}
_TRANSIT: dict[Family, str] = {4: "192.0.2.0/24", 6: "2001:db8:2::/64"}


def nth(network: str, number: int) -> str:
    """Give the address of a network whose last digits *read* as ``number``: 10.0.1.11, but also fd00:a:1::11."""
    parsed = ip_network(network)
    offset = number if isinstance(parsed, IPv4Network) else int(str(number), 16)
    return str(parsed[offset])


def prefix_length(network: str) -> int:
    """Give the length of a network's prefix."""
    return ip_network(network).prefixlen


@dataclass(frozen=True, kw_only=True)
class Subnet:
    """A private subnet: its networks, and how many client hosts live in it."""

    ipv4: str
    ipv6: str
    clients: int = 2

    def __post_init__(self) -> None:
        _check_network(self.ipv4, IPv4Network, longest=24)
        _check_network(self.ipv6, IPv6Network, longest=64)
        if not 1 <= self.clients <= _MOST_HOSTS - 10:
            raise LabError(f"subnet {self.ipv4}: {self.clients} clients; between 1 and {_MOST_HOSTS - 10} are possible")

    def network(self, family: Family) -> str:
        """Give the network of one family."""
        return self.ipv4 if family == 4 else self.ipv6  # noqa: PLR2004  an IP version, not a magic number


@dataclass(frozen=True, kw_only=True)
class Nat:
    """The NAT: how its rules are written, how many interfaces it has, and which addresses and ports it gives.

    Args:
        backend: rule language.
        arms: 2 = inside and outside interfaces differ; 1 = one interface for both, as cloud NAT instances have.
        addresses: SNAT addresses; with one the rule is *masquerade*, with more it is *SNAT to a range*.
        ports: first and last port given to TCP and UDP, or None for the kernel's own choice.
        fully_random: ask the kernel for random ports (``NF_NAT_RANGE_PROTO_RANDOM_FULLY``).
    """

    backend: Backend = "nftables"
    arms: Literal[1, 2] = 2
    addresses: int = 1
    ports: tuple[int, int] | None = None
    fully_random: bool = False

    def __post_init__(self) -> None:
        if self.backend not in BACKENDS:
            raise LabError(f"unknown NAT backend {self.backend!r}; one of {', '.join(BACKENDS)}")
        if self.arms not in (1, 2):
            raise LabError(f"a NAT has 1 or 2 arms, not {self.arms}")
        if not 1 <= self.addresses <= _MOST_HOSTS - 10:
            raise LabError(f"{self.addresses} SNAT addresses; between 1 and {_MOST_HOSTS - 10} are possible")
        if self.ports is not None and not 1 <= self.ports[0] <= self.ports[1] <= _LAST_PORT:
            raise LabError(f"SNAT ports {self.ports[0]}-{self.ports[1]} are not a range within 1-{_LAST_PORT}")


@dataclass(frozen=True, kw_only=True)
class Topology:
    """A whole lab: what is private, what translates, and what is out there.

    Args:
        name: lower-case letters, digits and hyphens; becomes part of every namespace's name.
        subnets: the private subnets.
        nat: the NAT between them and the internet.
        servers: addresses that answer in the internet.
        ipv6: whether IPv6 exists at all.
        monitor: whether there is a host ``monitor`` too, which no link leads to; :mod:`natobs.lab.stack` runs in it.
    """

    name: str
    subnets: tuple[Subnet, ...]
    nat: Nat
    servers: int = 4
    ipv6: bool = True
    monitor: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise LabError(f"lab name {self.name!r}: 1 to 16 lower-case letters, digits and inner hyphens are allowed")
        if not self.subnets:
            raise LabError("a lab needs at least one private subnet")
        if not 1 <= self.servers <= _MOST_HOSTS:
            raise LabError(f"{self.servers} servers; between 1 and {_MOST_HOSTS} are possible")
        networks = [*_OUTSIDE.values(), *_SERVERS.values(), *_TRANSIT.values()]
        for subnet in self.subnets:
            networks += [subnet.ipv4, subnet.ipv6]
        for one, other in combinations(networks, 2):
            if one.count(":") == other.count(":") == 0 or (":" in one and ":" in other):
                _check_apart(one, other)

    @property
    def families(self) -> tuple[Family, ...]:
        """IP versions that this lab speaks."""
        return (4, 6) if self.ipv6 else (4,)

    @property
    def clients(self) -> tuple[str, ...]:
        """Names of the client hosts, counted through all subnets: ``client1``, ``client2``, ..."""
        return tuple(f"client{number}" for number, _, _ in self._placed())

    @property
    def hosts(self) -> tuple[str, ...]:
        """Names of all hosts that a command may run in (the switch that joins them is not one)."""
        router = ["router"] if self.nat.arms == 1 else []
        return (*self.clients, "nat", *router, "internet", *(["monitor"] if self.monitor else []))

    def inside(self, family: Family) -> tuple[str, ...]:
        """Give the private networks of one family."""
        return tuple(subnet.network(family) for subnet in self.subnets)

    def client_address(self, client: str, family: Family) -> str:
        """Give the address of a client host."""
        for number, subnet, place in self._placed():
            if client == f"client{number}":
                return nth(subnet.network(family), 11 + place)
        raise LabError(f"no client {client!r} in this lab; there are {', '.join(self.clients)}")

    def client_subnet(self, client: str) -> int:
        """Give the position of a client's subnet in ``subnets``, from 0."""
        for number, subnet, _ in self._placed():
            if client == f"client{number}":
                return self.subnets.index(subnet)
        raise LabError(f"no client {client!r} in this lab; there are {', '.join(self.clients)}")

    def snat_addresses(self, family: Family) -> tuple[str, ...]:
        """Give the addresses that the NAT translates to."""
        return tuple(nth(_OUTSIDE[family], 10 + number) for number in range(self.nat.addresses))

    def server_addresses(self, family: Family) -> tuple[str, ...]:
        """Give the addresses that answer in the internet."""
        return tuple(nth(_SERVERS[family], 1 + number) for number in range(self.servers))

    def dead_address(self, family: Family) -> str:
        """Give an address in the servers' network that drops everything without a word."""
        return nth(_SERVERS[family], 250)

    def outside_network(self, family: Family) -> str:
        """Give the network that the NAT's outside interface is in."""
        return _OUTSIDE[family]

    def server_network(self, family: Family) -> str:
        """Give the network of the servers."""
        return _SERVERS[family]

    def transit_network(self, family: Family) -> str:
        """Give the network between router and internet; only a one-armed lab has one."""
        return _TRANSIT[family]

    def _placed(self) -> list[tuple[int, Subnet, int]]:
        """Give (client number from 1, subnet, place in the subnet from 0) for every client."""
        places = [(subnet, place) for subnet in self.subnets for place in range(subnet.clients)]
        return [(number, subnet, place) for number, (subnet, place) in enumerate(places, 1)]


def _check_network(text: str, kind: type[IPv4Network | IPv6Network], longest: int) -> None:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise LabError(f"subnet {text!r}: {error}") from error
    if not isinstance(network, kind) or network.prefixlen > longest:
        raise LabError(f"subnet {text!r}: expected an {kind.__name__} of /{longest} or wider")


def _check_apart(one: str, other: str) -> None:
    first, second = ip_network(one), ip_network(other)
    if (isinstance(first, IPv4Network) and isinstance(second, IPv4Network) and first.overlaps(second)) or (
        isinstance(first, IPv6Network) and isinstance(second, IPv6Network) and first.overlaps(second)
    ):
        raise LabError(f"the networks {one} and {other} of the lab overlap")


def subnets(count: int = 2, clients: int = 2) -> tuple[Subnet, ...]:
    """Give ``count`` ordinary subnets, 10.0.1.0/24 and fd00:a:1::/64 onwards, with ``clients`` hosts each."""
    return tuple(
        Subnet(ipv4=f"10.0.{number}.0/24", ipv6=f"fd00:a:{number}::/64", clients=clients)
        for number in range(1, count + 1)
    )


def two_armed(name: str = "two-armed", **nat: object) -> Topology:
    """Give a NAT with an inside interface for every subnet and one outside; keywords are those of :class:`Nat`."""
    return Topology(name=name, subnets=subnets(), nat=replace(Nat(arms=2), **nat))  # type: ignore[arg-type]  # Nat checks


def one_armed(name: str = "one-armed", **nat: object) -> Topology:
    """Give a NAT with one interface behind a router, as in a cloud; keywords are those of :class:`Nat`."""
    return Topology(name=name, subnets=subnets(), nat=replace(Nat(arms=1), **nat))  # type: ignore[arg-type]  # Nat checks


def pool(name: str = "pool", **nat: object) -> Topology:
    """Give a two-armed NAT with four SNAT addresses and ports 1024-65535; keywords are those of :class:`Nat`."""
    base = Nat(arms=2, addresses=4, ports=(1024, 65535))
    return Topology(name=name, subnets=subnets(), nat=replace(base, **nat))  # type: ignore[arg-type]  # Nat checks


TOPOLOGIES = {"one-armed": one_armed, "two-armed": two_armed, "pool": pool}
"""Ready-made topologies by the name that the command line uses."""
