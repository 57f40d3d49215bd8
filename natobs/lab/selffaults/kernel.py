"""What the kernel has to tell, and more of it than anybody can listen to: routes, links, conntrack entries."""

from collections.abc import Iterator

from natobs.errors import LabError
from natobs.lab import entries
from natobs.lab.faults import facts
from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.processes import AGENT
from natobs.lab.selffaults.scene import Scene

ROUTES, LINKS = 10_000, 1_000
_GROUP = 77
_ROUNDS = 3
_FLOWS = 100_000
_USERS = 1000
"""Flows of users and probes that end meanwhile, at most."""


def _more(metric: str) -> str:
    """By how much a counter grew that did not fall; ``increase`` would extrapolate."""
    return f"sum(max_over_time({metric}[$window]) - min_over_time({metric}[$window]))"


_CHANGES = _more('natobs_route_changes_total{kind=~"added|removed"}')
_LOST = _more("natobs_route_events_lost_total")
_SAMPLES = 'max(max_over_time(scrape_samples_scraped{instance="nat1"}[$window]))'
_UNSCRAPED = Report("scrapes without an answer (up 0)", 'sum_over_time((1 - up{instance="nat1"})[$window:1s])', least=0)
_INNOCENT = Report("probes failed", "increase(natobs_probe_failures_total[$window])", least=0, most=0)


def routes(verb: str) -> str:
    """Give 10,000 routes as lines of ``ip -batch``; they lead nowhere that the lab speaks to."""
    numbers = (divmod(number, 256) for number in range(ROUTES))
    return "".join(f"route {verb} blackhole 10.{200 + high // 256}.{high % 256}.{low}/32\n" for high, low in numbers)


def links() -> Iterator[str]:
    """Give 1,000 interfaces as lines of ``ip -batch``: pairs, all of one group, by which they are deleted at once."""
    for number in range(0, LINKS, 2):
        yield f"link add many{number} group {_GROUP} type veth peer name many{number + 1}\n"


class RoutesAndLinks(SelfFault):
    """A routing daemon and a container engine go mad."""

    name = "routes-and-links"
    title = "10,000 routes, 1,000 interfaces"
    sentence = "10,000 routes and 1,000 interfaces are added on the NAT, stay for three scrapes, and are removed."
    lost = "nothing, or events, which are then found by comparison"
    reports = (
        Report("route changes", _CHANGES, least=ROUTES),
        Report("times events were lost", _LOST, least=0),
        Report(
            "most samples in a scrape",
            'max(max_over_time(scrape_samples_scraped{instance="nat1"}[$window]))',
            most=5000,
        ),
    )
    peak_megabytes = 64.0

    def act(self, scene: Scene) -> list[str]:
        batch = ["ip", "-batch", "-"]
        scene.nat.run(batch, stdin=routes("add"), timeout=60)
        scene.nat.run(batch, stdin="".join(links()), timeout=60)
        scene.wait(3)
        scene.nat.run(batch, stdin=routes("del"), timeout=60)
        scene.nat.run(["ip", "link", "del", "group", str(_GROUP)], timeout=60)
        return []


class RouteEventsOverrun(SelfFault):
    """More events than the socket holds, while nobody reads it."""

    name = "route-events-overrun"
    title = "route events overrun (ENOBUFS)"
    sentence = "The agent stands still while 10,000 routes are added and removed three times."
    lost = "events; what they changed is found by comparison"
    reports = (Report("times events were lost", _LOST), _UNSCRAPED, _INNOCENT)
    quick = True

    def act(self, scene: Scene) -> list[str]:
        with scene.frozen(AGENT):
            for verb in ("add", "del") * _ROUNDS:
                scene.nat.run(["ip", "-batch", "-"], stdin=routes(verb), timeout=60)
        return []


class ConntrackEventsOverrun(SelfFault):
    """More deaths at once than any socket holds: dropped events are how natobs counts them."""

    name = "conntrack-events-overrun"
    title = "conntrack events overrun (ENOBUFS)"
    sentence = "100,000 entries are loaded while the agent stands still, and forgotten at once."
    lost = "nothing: the kernel counts what the sockets have no room for"
    reports = (
        Report("deaths counted", _more('natobs_conntrack_destroyed_total{proto="tcp"}'), least=_FLOWS),
        Report(
            "flows lost by request",
            _more('natobs_conntrack_lost_flows_total{cause="request"}'),
            least=_FLOWS,
            most=_FLOWS + _USERS,
        ),
        _UNSCRAPED,
    )

    def act(self, scene: Scene) -> list[str]:
        with scene.frozen(AGENT):
            entries.load(scene.nat, _FLOWS)
            if (found := facts.conntrack(scene.nat)["entries"]) < _FLOWS:
                raise LabError(f"the table has {found} entries of the {_FLOWS} that were loaded")
            scene.nat.run(["conntrack", "-F"])
        return []


class TableChurn(SelfFault):
    """The table fills to its limit and is emptied, again and again."""

    name = "table-churn"
    title = "conntrack table fills and empties"
    sentence = "The table of the NAT is filled to the machine's limit with answered entries and emptied, three times."
    lost = "nothing"
    reports = (
        Report(
            "most entries seen, of the limit",
            "max_over_time(natobs_conntrack_entries[$window]) / natobs_conntrack_entries_limit",
            least=0.5,
        ),
        Report(
            "new flows that the full table refused",
            'increase(natobs_new_flow_drops_total{reason="table_full"}[$window])',
            least=0,
        ),
        _UNSCRAPED,
    )
    peak_megabytes = 64.0

    def act(self, scene: Scene) -> list[str]:
        limit = facts.limit(scene.nat)
        for _round in range(_ROUNDS):
            entries.load(scene.nat, limit, check=False)
            scene.wait(1)
            scene.nat.run(["conntrack", "-F"])
            scene.wait(1)
        return []
