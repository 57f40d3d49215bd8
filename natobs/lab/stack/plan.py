"""What a stack consists of, as frozen values: NATs of one cluster, what is scraped under which labels, how often.

Pure. Knows names, ports and labels; refuses to know processes and the text of
files. Each NAT is a world of its own, with its subnets and its internet; one
host ``monitor``, which no link of any world leads to, scrapes them all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from natobs.errors import LabError
from natobs.lab.plan import namespace
from natobs.lab.relay import LOOPBACK, Way
from natobs.lab.topology import Topology

AGENT_PORT = 9650
PROBER_PORT = 9651
PROMETHEUS_PORT = 9090
ALERTMANAGER_PORT = 9093
PAGER_PORT = 9094
"""Ports on the loopback of the host that each of them runs in."""

PAGER_URL = f"http://{LOOPBACK}:{PAGER_PORT}/"
"""Where an Alertmanager of the stack finds the webhook of the pager: what its configuration has to name."""

_FIRST_WAY = 20001
_MOST_NATS = 9
_LONGEST_NAME = 14  # a lab's name may have 16 characters, and those beside it have two more


@dataclass(frozen=True)
class Timing:
    """How often things happen, in seconds: what is usual, divided by a scale, and never quicker than is sensible.

    Args:
        scale: by how much rules and intervals are shortened.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.scale <= 300:  # noqa: PLR2004  five minutes become a second, and no window is any shorter
            raise LabError(f"time scale {self.scale:g}; between 1 and 300 are possible")

    def seconds(self, usual: float, least: float) -> float:
        """Give a time that usually takes ``usual`` seconds."""
        return max(least, usual / self.scale)

    @property
    def scrape(self) -> float:
        """Between two scrapes, and between two evaluations of rules."""
        return self.seconds(15, 1)

    @property
    def lookback(self) -> float:
        """How long Prometheus takes a sample for the present one."""
        return self.seconds(300, 5 * self.scrape)

    @property
    def resend(self) -> float:
        """Before Prometheus tells Alertmanager again of an alert that still fires."""
        return self.seconds(60, 1)

    @property
    def probe(self) -> float:
        """Between two attempts at a target."""
        return self.seconds(10, 1)

    @property
    def census(self) -> float:
        """Between two censuses."""
        return self.seconds(60, 2)


@dataclass(frozen=True, kw_only=True)
class Target:
    """Something to scrape.

    Args:
        job: its value of the label ``job``.
        world: position of the world that it is in, from 0.
        host: the host that it runs in.
        port: where on that host's loopback it listens.
        labels: further labels, as pairs.
    """

    job: str
    world: int
    host: str
    port: int
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class StackPlan:
    """A stack: one cluster of NATs and what watches it.

    Args:
        topologies: a world for each NAT; the first has the host ``monitor``.
        timing: how often things happen.
        rate: flows that each host with users begins in a second; 0 for no users.
        extra: what is scraped besides agents and probers; the caller runs it.
    """

    topologies: tuple[Topology, ...]
    timing: Timing = Timing()
    rate: float = 2.0
    extra: tuple[Target, ...] = ()

    def __post_init__(self) -> None:
        if [topology.monitor for topology in self.topologies] != [True] + [False] * (len(self.topologies) - 1):
            raise LabError("the first topology of a stack has a monitor, and no other has")

    @property
    def cluster(self) -> str:
        """The value of the label ``nat_cluster``."""
        return self.topologies[0].name

    def nat(self, world: int) -> str:
        """Give the value of the label ``nat`` in a world."""
        return f"nat{world + 1}"

    def probers(self, topology: Topology) -> tuple[str, ...]:
        """Give the hosts that probe: the first client of each subnet."""
        firsts = {topology.client_subnet(client): client for client in reversed(topology.clients)}
        return tuple(firsts[position] for position in sorted(firsts))

    def users(self, topology: Topology) -> tuple[str, ...]:
        """Give the hosts with users: all other clients, or all where every client probes."""
        rest = tuple(client for client in topology.clients if client not in self.probers(topology))
        return (rest or topology.clients) if self.rate else ()

    def targets(self) -> tuple[Target, ...]:
        """Give everything that is scraped, in the order of its ways."""
        found: list[Target] = []
        for world, topology in enumerate(self.topologies):
            nat = self.nat(world)
            labels = (("nat_cluster", self.cluster), ("nat", nat))
            own = (*labels, ("instance", nat))
            found.append(Target(job="natobs-agent", world=world, host="nat", port=AGENT_PORT, labels=own))
            for client in self.probers(topology):
                subnet = f"private{topology.client_subnet(client) + 1}"
                more = (*labels, ("subnet", subnet), ("instance", f"{nat}-{client}"))
                found.append(Target(job="natobs-probe", world=world, host=client, port=PROBER_PORT, labels=more))
        return (*found, *self.extra)

    def ways(self) -> tuple[Way, ...]:
        """Give the ways from the monitor to every target."""
        return tuple(
            Way(target.port, listen=number, namespace=namespace(self.topologies[target.world].name, target.host))
            for number, target in enumerate(self.targets(), _FIRST_WAY)
        )


def cluster(
    name: str, shape: Callable[[str], Topology], *, nats: int = 1, timing: Timing | None = None, rate: float = 2.0
) -> StackPlan:
    """Give a stack of equal NATs.

    Args:
        name: of the cluster, and of the lab that it lives in.
        shape: makes a topology of a name.
        nats: how many.
        timing: how often things happen.
        rate: as of :class:`StackPlan`.

    Raises:
        LabError: the name is too long, or there are too many NATs.
    """
    if len(name) > _LONGEST_NAME:
        raise LabError(f"name {name!r} of a stack: {_LONGEST_NAME} characters are possible")
    if not 1 <= nats <= _MOST_NATS:
        raise LabError(f"{nats} NATs; between 1 and {_MOST_NATS} are possible")
    others = tuple(shape(f"{name}-{number}") for number in range(2, nats + 1))
    first = replace(shape(name), monitor=True)
    return StackPlan(topologies=(first, *others), timing=timing or Timing(), rate=rate)
