"""The service level indicators M1 to M10 of a NAT, and the metrics that each is computed from.

Knows what is measured and what is still missing; objectives and alerts are defined elsewhere.
"""

from dataclasses import dataclass

from natobs.catalogue.metrics import (
    accounting,
    conntrack,
    firewall,
    flows,
    host,
    kernel_log,
    network,
    nic,
    operations,
    protocols,
    routing,
    softnet,
    taps,
)
from natobs.catalogue.types import Metric
from natobs.errors import CatalogueError


@dataclass(frozen=True, slots=True)
class Sli:
    """One indicator.

    Args:
        id: ``M1`` to ``M10``.
        title: what an engineer calls it.
        question: what a good value answers.
        target: the value to start with, in words.
        inputs: the metrics of this machine that it is computed from.
        ratio: numerator and denominator where the two latest values alone give the indicator.
        shares: numerator and denominator with the same labels: what of the one, counted of late, is in the other, by
            label. Counters, and inputs too.
        missing: what else it takes, where the inputs do not suffice.
        note: what to keep in mind when looking at the values.
        without_objective: why there is none, for an indicator that only informs.
    """

    id: str
    title: str
    question: str
    target: str
    inputs: tuple[Metric, ...] = ()
    ratio: tuple[Metric, Metric] | None = None
    shares: tuple[Metric, Metric] | None = None
    missing: str = ""
    note: str = ""
    without_objective: str = ""

    def __post_init__(self) -> None:
        if not self.inputs and not self.missing:
            raise CatalogueError(f"SLI {self.id}: neither inputs nor a word on what is missing")
        if not {*(self.ratio or ()), *(self.shares or ())} <= set(self.inputs):
            raise CatalogueError(f"SLI {self.id}: its quotient is of metrics that are no inputs")
        if self.shares and self.shares[0].label_names != self.shares[1].label_names:
            raise CatalogueError(f"SLI {self.id}: its shares are of metrics with different labels")


ALL: tuple[Sli, ...] = (
    Sli(
        "M1",
        "Outbound success",
        "Do new outbound connections succeed at the first attempt?",
        "99.9 %",
        inputs=(
            accounting.ATTEMPTS,
            accounting.ANSWERED,
            accounting.REFUSED,
            accounting.RETRANSMITTED,
            conntrack.NEW_FLOW_DROPS,
            routing.DEFAULT_ROUTE_PRESENT,
        ),
        shares=(accounting.ANSWERED, accounting.ATTEMPTS),
        note="Of forwarded flows. A third party that is down, and datagrams that want no answer, lower it too: whether "
        "it is the NAT that fails, probes on the private hosts tell (natobs probe).",
    ),
    Sli(
        "M2",
        "Translation table",
        "How full is the connection tracking table?",
        "below 70 %",
        inputs=(
            conntrack.ENTRIES,
            conntrack.LIMIT,
            conntrack.EARLY_DROP,
            conntrack.NEW_FLOW_DROPS,
            flows.HOST_FLOWS,
            flows.HOST_UNANSWERED,
            flows.DESTINATION_FLOWS,
            flows.AGE,
        ),
        ratio=(conntrack.ENTRIES, conntrack.LIMIT),
    ),
    Sli(
        "M3",
        "CPU",
        "Is a CPU saturated, by forwarding (softirq) or by its neighbours (steal)?",
        "p95 below 60 %",
        inputs=(host.CPU_SECONDS, softnet.TIMES_SQUEEZED),
    ),
    Sli(
        "M4",
        "Throughput",
        "How close do the interfaces come to their capacity, peaks included?",
        "below the instance's limit",
        inputs=(
            network.RECEIVE_BYTES,
            network.TRANSMIT_BYTES,
            network.PEAK_BYTES,
            network.PEAK_PACKETS,
            network.CAPACITY,
        ),
    ),
    Sli(
        "M5",
        "Packet drops",
        "Where are packets lost on this machine, and why?",
        "below 0.01 % of packets",
        inputs=(
            network.RECEIVE_DROPS,
            network.TRANSMIT_DROPS,
            nic.ALLOWANCE_EXCEEDED,
            network.QDISC_DROPS,
            softnet.DROPPED,
            protocols.IP_INPUT_DISCARDS,
            protocols.IP_FORWARD_NO_ROUTE,
            conntrack.DROP,
            firewall.DENIES,
        ),
    ),
    Sli(
        "M6",
        "Connection resets",
        "Are forwarded connections being reset?",
        "minimal",
        inputs=(accounting.RESETS, accounting.MIDSTREAM, protocols.TCP_RESETS_SENT, host.BOOT_TIME),
    ),
    Sli(
        "M7",
        "Added latency",
        "How much time does the NAT add?",
        "below 20 ms",
        inputs=(taps.RESIDENCE, taps.MISSED, taps.FLOWTABLES),
        missing="Below is the time that packets of probes stay in this machine, once private hosts probe through it. "
        "The way from the private hosts to this machine is not in it: their probers export the round trip to the NAT "
        "(access) and the paired difference (compare), with the counts of pairs that were within the limit.",
    ),
    Sli(
        "M8",
        "Public ports",
        "Is a destination running out of source ports?",
        "warn at 60 %, page at 80 %",
        inputs=(
            flows.SATURATION,
            flows.RANGE_SIZE,
            flows.DESTINATION_PORTS,
            flows.DESTINATION_RECLAIMABLE,
            flows.PORTS_IN_USE,
            flows.COMPLETE,
            conntrack.FOUND,
            conntrack.INSERT_FAILED,
        ),
    ),
    Sli(
        "M9",
        "Errors by destination",
        "Which third party fails?",
        "by destination",
        inputs=(accounting.DESTINATION_ATTEMPTS, accounting.DESTINATION_ANSWERED, accounting.HOST_ATTEMPTS),
        shares=(accounting.DESTINATION_ANSWERED, accounting.DESTINATION_ATTEMPTS),
    ),
    Sli(
        "M10",
        "Changes",
        "What has been changed, on purpose or not?",
        "few",
        inputs=(
            operations.SCALING_EVENTS,
            operations.SCALING_EVENT_TIME,
            operations.MAINTENANCE_UNTIL,
            operations.CLUSTER_MAINTENANCE_UNTIL,
            routing.ROUTE_CHANGES,
            routing.ADDRESS_CHANGES,
            network.CARRIER_CHANGES,
            kernel_log.EVENTS,
        ),
        note="What scales, replaces or deploys a NAT says so with natobs event record; planned work is announced with "
        "natobs maintenance start. The other changes are those that this machine saw by itself.",
        without_objective="a change is neither good nor bad; too many in an hour raise an alert",
    ),
)
