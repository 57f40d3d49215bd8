"""Values that objectives, alerts and dashboards share, computed once by a recording rule each.

Knows how each follows from metrics. What is too much of it is known in
:mod:`natobs.catalogue.objectives` and :mod:`natobs.catalogue.alerts`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from natobs.catalogue.idioms import pooled
from natobs.catalogue.metrics import (
    accounting,
    conntrack,
    flows,
    host,
    network,
    nic,
    operations,
    probes,
    protocols,
    routing,
    softnet,
    taps,
)
from natobs.catalogue.metrics import agent as agent_metrics
from natobs.catalogue.naming import DAY, GRACE, HOUR, MINUTE
from natobs.catalogue.naming import MAINTENANCE as MAINTENANCE_SERIES
from natobs.catalogue.promql import (
    NOW,
    Query,
    Recorded,
    Scope,
    aggregate,
    call,
    count,
    highest,
    increase,
    over,
    rate,
    seconds,
    series,
    total,
)

TWO, FIVE = 2 * MINUTE, 5 * MINUTE
QUICK, STEP = 30, 5 * MINUTE
"""How often values and alerts are computed, and steps of windows, in seconds."""
FEW = 5
"""Packets or attempts in two minutes: with fewer, a share of them says nothing."""


@dataclass(frozen=True, slots=True)
class Value:
    """A recorded value.

    Args:
        recorded: its name, ``level:metric:operations``.
        query: what it is.
        scope: for whom.
        help: one sentence without a final full stop.
    """

    recorded: Recorded
    query: Query
    scope: Scope
    help: str

    @property
    def series(self) -> Query:
        """The recorded series, as an operand."""
        return series(self.recorded)


def _value(name: str, query: Query, text: str, scope: Scope = Scope.NAT, extra: tuple[str, ...] = ()) -> Value:
    return Value(Recorded(f"{scope.name.lower()}:{name}", extra), query, scope, text)


def _kept(name: str, function: str, raw: Query, text: str, scope: Scope = Scope.NAT) -> Value:
    """What was there within a step, whether or not it still is, so that a day of it is 288 samples and not 5760."""
    recorded = Recorded(f"{scope.name.lower()}:{name}")
    return Value(recorded, aggregate(function, scope, over("last_over_time", raw, STEP - 1)), scope, text)


AGENTS = series(agent_metrics.BUILD, subnet="")
"""Of each agent one, and none of probers, which have a subnet."""
AGENT_SEEN = _kept(
    "agent_seen:count5m",
    "count",
    series(agent_metrics.BUILD, nat="~.+", subnet=""),  # reflectors, which are no NAT's, export it too
    "Agents of the NAT that answered within five minutes",
)
PROBER_SEEN = _kept(
    "prober_seen:count5m",
    "count",
    series(probes.ATTEMPTS),
    "Series of attempts that probers of the subnet exported within five minutes",
    Scope.SUBNET,
)
_UNTIL, _CLUSTER_UNTIL = series(operations.MAINTENANCE_UNTIL), series(operations.CLUSTER_MAINTENANCE_UNTIL)
DECLARED = _kept("maintenance_until:last5m", "max", _UNTIL, "End of the maintenance that was declared for the NAT")
CLUSTER_DECLARED = _kept(
    "maintenance_until:last5m",
    "max",
    _CLUSTER_UNTIL,
    "End of the maintenance that was declared for the whole cluster",
    Scope.CLUSTER,
)


def _lately(value: Value, raw: Query) -> Query:
    """The latest of a day; what no step has kept yet is read as it was scraped."""
    now = highest(value.scope, over("last_over_time", raw, 2 * STEP))
    return now.either(over("last_over_time", value.series, DAY))


_NATS = count(Scope.NAT, AGENTS).either(over("last_over_time", AGENT_SEEN.series, DAY))
_OWN = _lately(DECLARED, _UNTIL)
_SHARED = _lately(CLUSTER_DECLARED, _CLUSTER_UNTIL)
MAINTENANCE = Value(
    MAINTENANCE_SERIES,
    highest(
        Scope.NAT,
        (NOW - seconds(GRACE) < _OWN).either(_NATS.by_one("*", NOW - seconds(GRACE) < _SHARED, Scope.CLUSTER)),
    ).is_so(">", 0),
    Scope.NAT,
    "1 while maintenance is declared for the NAT or its cluster, and for ten minutes after; the latest time stamp of "
    "the last day counts, so that it survives the reboot that it announces",
)

USAGE = _value(
    "conntrack_usage:ratio",
    highest(Scope.NAT, over("max_over_time", series(conntrack.ENTRIES), FIVE))
    / (highest(Scope.NAT, series(conntrack.LIMIT)) > 0),
    "Entries of the translation table as a share of its limit, the most of five minutes",
)
SATURATION = _value(
    "port_saturation:ratio",
    highest(Scope.NAT, over("max_over_time", series(flows.SATURATION), FIVE)),
    "Share of the ports of a public address that its fullest destination takes, the most of five minutes",
)
_BUSY = "~user|nice|system|irq|softirq|steal"
BUSY = _value(
    "cpu_busy:ratio",
    total(Scope.NAT, rate(series(host.CPU_SECONDS, mode=_BUSY), FIVE))
    / count(Scope.NAT, total(Scope.NAT, rate(series(host.CPU_SECONDS), FIVE), "cpu")),
    "Share of all CPUs that is busy, time that the hypervisor took included, over five minutes",
)
_DEVICE = (Scope.NAT.mark, "device")
LOAD = _value(
    "link_load:ratio",
    highest(
        Scope.NAT,
        over("max_over_time", series(network.PEAK_BYTES), FIVE).by_one(
            "/", highest(Scope.NAT, series(network.CAPACITY), "device"), _DEVICE
        ),
    ),
    "The highest peak of an interface within a second as a share of its capacity, the most of five minutes",
)
DROPS = _value(
    "packet_drops:increase5m",
    pooled(
        Scope.NAT,
        "sum",
        receive=increase(series(network.RECEIVE_DROPS), FIVE),
        transmit=increase(series(network.TRANSMIT_DROPS), FIVE),
        driver=increase(series(nic.DRIVER_DROPS), FIVE),
        allowance=increase(series(nic.ALLOWANCE_EXCEEDED), FIVE),
        qdisc=increase(series(network.QDISC_DROPS), FIVE),
        softnet=increase(series(softnet.DROPPED), FIVE),
        stack=increase(series(protocols.IP_INPUT_DISCARDS), FIVE),
        route=increase(series(protocols.IP_FORWARD_NO_ROUTE), FIVE),
        conntrack=increase(series(conntrack.DROP), FIVE),
    ),
    "Packets lost on the NAT in five minutes, wherever; what firewall rules drop on purpose is not in it",
)
LOST = _value(
    "interface_drops:increase5m",
    pooled(
        Scope.NAT,
        "sum",
        receive=increase(series(network.RECEIVE_DROPS), FIVE),
        transmit=increase(series(network.TRANSMIT_DROPS), FIVE),
        missed=increase(series(network.RECEIVE_MISSED), FIVE),
        qdisc=increase(series(network.QDISC_DROPS), FIVE),
    ),
    "Packets dropped by interfaces and queues in five minutes",
)
PACKETS = _value(
    "interface_packets:increase5m",
    pooled(
        Scope.NAT,
        "sum",
        receive=increase(series(network.RECEIVE_PACKETS), FIVE),
        transmit=increase(series(network.TRANSMIT_PACKETS), FIVE),
    ),
    "Packets received and sent by interfaces in five minutes",
)
_RESIDENCE = total(Scope.NAT, rate(series(taps.RESIDENCE, "_bucket"), FIVE), "direction", "le")
ADDED = _value(
    "added_latency:seconds",
    pooled(
        Scope.NAT,
        "max",
        residence=total(Scope.NAT, call("histogram_quantile", 0.99, _RESIDENCE) >= 0),  # NaN where nothing passed
        paired=over("min_over_time", series(probes.ADDED_RTT, stat="median_low"), FIVE),
    ),
    "Time that the NAT adds to a round trip: the 99th percentile of the time inside the VM, both ways, or the lower "
    "end of what pairs of probes have measured, whichever is more",
)


def _failing(scope: Scope, kind: str = "") -> Query:
    attempts, good = (
        total(scope, increase(series(metric, kind=kind) if kind else series(metric), TWO))
        for metric in (probes.ATTEMPTS, probes.FIRST_ATTEMPT_SUCCESS)
    )
    return (attempts - good) / (attempts > FEW)


FAILING = _value(
    "probe_failing:ratio2m", _failing(Scope.SUBNET), "Share of first attempts of probes that failed", Scope.SUBNET
)
NAT_FAILING = _value(
    "probe_failing:ratio2m", _failing(Scope.NAT), "Share of first attempts of probes through the NAT that failed"
)
_MOST = 0.5
NAMELESS = _value(
    "names_failing:ratio2m",
    pooled(
        Scope.SUBNET,
        "max",
        wrong=total(Scope.SUBNET, increase(series(probes.FAILURES, reason="dns"), TWO))
        / (total(Scope.SUBNET, increase(series(probes.ATTEMPTS), TWO)) > FEW),
        # silence of a server of names: of one packet that is lost it would say too much, or if all the rest fails too
        silent=(_failing(Scope.SUBNET, kind="dns") > _MOST).unless(
            _failing(Scope.SUBNET, kind="!dns") > _MOST, Scope.SUBNET
        ),
    ),
    "Share of probes that fail because a name is not resolved, or not as expected; or of probes that ask for a name, "
    "where most of them fail while most others do not",
    Scope.SUBNET,
)
NAMELESS_LATELY = _value(
    "names_failing:max10m",
    call(
        "label_replace",
        highest(Scope.NAT, over("max_over_time", series(NAMELESS.recorded), 2 * FIVE)),
        '"port"',
        '"53"',
        '""',
        '""',
    ),
    "The most of the last ten minutes of subnet:names_failing:ratio2m among the subnets of a NAT, with the port that "
    "names are asked for at",
    extra=("port",),
)


def _seen(point: str) -> Query:
    return total(Scope.NAT, increase(series(taps.SEEN, point=point), TWO))


FORWARDED = _value(
    "probe_forwarded:ratio2m",
    _seen("outside_out") / (_seen("inside_in") > FEW),
    "Of the packets of probes that reached the NAT, the share that left it",
)
RETURNED = _value(
    "probe_returned:ratio2m",
    _seen("outside_in") / (_seen("outside_out") > FEW),
    "Of the packets of probes that left the NAT, the share that was answered",
)
DELIVERED = _value(
    "probe_delivered:ratio2m",
    _seen("inside_out") / (_seen("outside_in") > FEW),
    "Of the answers to probes that reached the NAT, the share that left it towards the private hosts",
)
_SOURCES = highest(
    Scope.SUBNET,
    call("label_replace", series(probes.SOURCE), '"source"', '"$1"', '"address"', '"(.+)"'),
    "source",
)
_SIGHTINGS = total(Scope.NAT, increase(series(taps.SEEN, point="inside_in"), TWO), "source")
_TAPPED = count(Scope.NAT, series(taps.LISTENING))
ARRIVED = _value(
    "probe_arrived:increase2m",
    total(
        Scope.SUBNET,
        # A host that no tap has ever seen has no series of its own there, and still none of its packets arrived.
        _SOURCES.by_one("*", _SIGHTINGS, (Scope.NAT.mark, "source")).either((_SOURCES * 0).both(_TAPPED, Scope.NAT)),
    ),
    "Packets of the subnet's probes that reached the NAT in two minutes; 0 where its taps never saw one",
    Scope.SUBNET,
)
DESTINATION = ("destination", "port", "proto")
_TO = total(Scope.NAT, increase(series(accounting.DESTINATION_ATTEMPTS, destination="!other"), FIVE), *DESTINATION)
_FROM = total(Scope.NAT, increase(series(accounting.DESTINATION_ANSWERED, destination="!other"), FIVE), *DESTINATION)
UNANSWERED = _value(
    "destination_unanswered:ratio5m",
    (_TO - _FROM) / (_TO > 20),
    "Share of the flows to a destination that nobody answered; of destinations with more than 20 flows in five minutes",
    extra=DESTINATION,
)

_OUTSIDE = highest((*_DEVICE, "instance"), series(routing.DEVICE_ROLE, role="outside"))
EGRESS = Value(
    Recorded("nat:egress_bytes:increase1h"),
    total(Scope.NAT, increase(series(accounting.FORWARDED_BYTES, direction="out"), HOUR)).either(
        total(Scope.NAT, increase(series(network.TRANSMIT_BYTES), HOUR).by_one("*", _OUTSIDE, (*_DEVICE, "instance")))
    ),
    Scope.NAT,
    "Bytes that left the NAT for the outside in an hour: as accounting counts them, else what its outside interface "
    "sent",
)

GROUPS: Mapping[str, tuple[int, tuple[Value, ...]]] = {
    "natobs-kept": (STEP, (AGENT_SEEN, PROBER_SEEN, DECLARED, CLUSTER_DECLARED)),
    "natobs-values": (QUICK, (MAINTENANCE, USAGE, SATURATION, BUSY, LOAD)),
    "natobs-packets": (QUICK, (DROPS, LOST, PACKETS)),
    "natobs-probes": (
        QUICK,
        (FAILING, NAT_FAILING, NAMELESS, NAMELESS_LATELY, FORWARDED, RETURNED, DELIVERED, ARRIVED),
    ),
    "natobs-latency": (QUICK, (ADDED,)),
    "natobs-flows": (QUICK, (UNANSWERED,)),
    "natobs-hours": (HOUR, (EGRESS,)),
}
"""Values by the group of rules that records them, with the seconds between two evaluations. Groups run beside one
another: a single one would take longer than a second with a thousand NATs. What is only read over hours or days is
computed more rarely."""
ALL = tuple(value for _, values in GROUPS.values() for value in values)
"""In this order; what others stand on comes first."""
