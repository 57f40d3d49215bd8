"""Alerts on the way of packets: where they were lost, and what the NAT adds. M1, M6, M7, M9; F4, F6, F7, F8.

Where a packet of a probe was seen last tells most failures apart (the table of
MISSION): the taps of the agent count each at four points, and the prober says
that it failed. The conditions join both sides on the labels of the NAT.
"""

from natobs.catalogue.alerting import Alert, page, ticket
from natobs.catalogue.alerts.symptoms import BURNS, BURNS_OF_SUBNET, FAILURES, SYMPTOMS
from natobs.catalogue.idioms import pooled
from natobs.catalogue.metrics import accounting, firewall, probes, protocols, routing
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.promql import Scope, count, highest, increase, lowest, over, series, total
from natobs.catalogue.values import (
    ADDED,
    ARRIVED,
    DELIVERED,
    DESTINATION,
    FAILING,
    FORWARDED,
    MAINTENANCE,
    NAMELESS,
    NAMELESS_LATELY,
    NAT_FAILING,
    RETURNED,
    UNANSWERED,
)

_TWO, _FIVE = 2 * MINUTE, 5 * MINUTE
_MANY = 20
"""Attempts of users in two minutes: of fewer, one service that is down and a scan that is denied could be the most."""
_NO_ROUTE = total(Scope.SUBNET, increase(series(probes.FAILURES, reason="no_route"), _TWO))

_ATTEMPTS = total(Scope.NAT, increase(series(accounting.ATTEMPTS, proto="tcp"), _TWO))
_UNTRACKED = total(Scope.NAT, increase(series(accounting.UNTRACKED, proto="tcp"), _TWO))
_DENIED = total(Scope.NAT, increase(series(firewall.DENIES), _TWO))
_ANSWERED = total(Scope.NAT, increase(series(accounting.ANSWERED, proto="tcp"), _TWO)) / (_ATTEMPTS > _MANY)

_NAMELESS = 0.05
_TOO_NARROW = highest(
    Scope.NAT,
    over("max_over_time", series(probes.PATH_MTU_STATE, state="~packet_too_big|fragmented|black_hole"), 2 * _FIVE),
)
"""1 where a prober has found that packets of full size do not pass, and so tells more than counters of the NAT do."""
_MINORITY = count(Scope.NAT, UNANSWERED.series > 0.5) / count(Scope.NAT, UNANSWERED.series) < 0.5

_WATCHED = NAT_FAILING.series.unless(MAINTENANCE.series, Scope.NAT)
"""NATs that are not in maintenance, with the share of their probes that fails."""

ALERTS = (
    Alert(
        "NatDefaultRouteMissing",
        "M1",
        Scope.NAT,
        lowest(Scope.NAT, over("max_over_time", series(routing.DEFAULT_ROUTE_PRESENT), 30), "family"),
        "<",
        (page(1, 30),),
        "The NAT has lost its default route.",
        "{nat} has no default route for {family}: nothing leaves it.",
        unit="state",
        fault="F4",
        extra=("family",),
        keep=7 * MINUTE,  # symptoms remember for as long, and the route that comes back is a change too
        silences=("NatRouteChanged", "NatTrafficStopped", "NatReturnBlocked", "NatPacketDropsBurn", *SYMPTOMS),
    ),
    Alert(
        "NatSubnetRouteMissing",
        "M1",
        Scope.SUBNET,
        series(FAILING.recorded, subnet="~.+"),  # probes of the NAT itself are in no subnet, and arrive nowhere
        ">",
        (page(0.5, 30),),
        "A private subnet has no route to its NAT.",
        "{value} of the probes from {subnet} fail, and none of their packets reaches {nat}.",
        unit="ratio",
        fault="F4",
        where=ARRIVED.series.equals(0).either(_NO_ROUTE > 0),
        silences=("NatProbeFailing", "NatDnsFailing", "NatPathMtuBlackHole", "NatPathMtuReduced", *BURNS_OF_SUBNET),
        rests_on=("probes", "taps"),
    ),
    Alert(
        "NatReturnBlocked",
        "M1",
        Scope.NAT,
        pooled(
            Scope.NAT,
            "min",
            taps=DELIVERED.series,
            passive=_ANSWERED.both((_DENIED / (_ATTEMPTS - _UNTRACKED)) > 0.5, Scope.NAT),
        ),
        "<",
        (page(0.5, 30),),
        "Answers reach the NAT and are blocked on it.",
        "Of the answers to what private hosts ask, only {value} gets through {nat}; the rest is dropped on it.",
        unit="ratio",
        fault="F6",
        silences=("NatFirewallDenies", *SYMPTOMS),
        rests_on=("probes", "taps"),
        keep=4 * MINUTE,
    ),
    Alert(
        "NatForwardingBroken",
        "M1",
        Scope.NAT,
        FORWARDED.series,
        "<",
        (page(0.5),),
        "Packets reach the NAT and do not leave it.",
        "Of the packets that private hosts sent to {nat}, only {value} left it.",
        unit="ratio",
        keep=3 * MINUTE,
        silences=("NatTrafficStopped", *FAILURES),
        rests_on=("probes", "taps"),
    ),
    Alert(
        "NatNoReturnTraffic",
        "M1",
        Scope.NAT,
        RETURNED.series,
        "<",
        (page(0.5),),
        "Packets leave the NAT and nothing comes back.",
        "Of the packets that left {nat}, only {value} were answered, whatever the destination.",
        unit="ratio",
        keep=3 * MINUTE,
        silences=FAILURES,
        rests_on=("probes", "taps"),
    ),
    Alert(
        "NatProbeFailing",
        "M1",
        Scope.SUBNET,
        FAILING.series,
        ">",
        (page(0.5, 90),),
        "Most new connections from a private subnet fail.",
        "{value} of the probes from {subnet} through {nat} fail.",
        unit="ratio",
        keep=MINUTE,
        silences=BURNS_OF_SUBNET,
        rests_on=("probes",),
    ),
    Alert(
        "NatClusterFailing",
        "M1",
        Scope.CLUSTER,
        count(Scope.CLUSTER, _WATCHED > 0.5) / count(Scope.CLUSTER, _WATCHED),
        ">=",
        (page(0.5),),
        "Half of the NATs of a cluster fail, or more.",
        "Probes fail through {value} of the NATs of {nat_cluster}.",
        unit="ratio",
        where=count(Scope.CLUSTER, _WATCHED > 0.5) >= 2,
        keep=MINUTE,
        silences=("NatProbeFailing", *BURNS),
        masked=False,  # those in maintenance do not count; one of them must not silence the others
        rests_on=("probes",),
    ),
    Alert(
        "NatDnsFailing",
        "M9",
        Scope.SUBNET,
        NAMELESS.series,
        ">",
        (page(_NAMELESS, _TWO),),
        "Names are not resolved in a private subnet.",
        "{value} of the probes from {subnet} fail because a name is not resolved, or not as expected; or of those that "
        "ask for one, because nobody answers.",
        unit="ratio",
        # Not NatProbeFailing: a few wrong names must not hide that everything fails. Both come in one notification.
        keep=MINUTE,
        silences=BURNS_OF_SUBNET,
        rests_on=("probes",),
    ),
    Alert(
        "NatDestinationFailing",
        "M9",
        Scope.NAT,
        # servers of names are told of by what probers see of them, where these see it
        UNANSWERED.series.unless(NAMELESS_LATELY.series > _NAMELESS, (Scope.NAT.mark, "port")),
        ">",
        (ticket(0.5, 2 * MINUTE),),
        "One destination does not answer, while others do.",
        "{destination}:{port} ({proto}) leaves {value} of the flows through {nat} unanswered.",
        unit="ratio",
        extra=DESTINATION,
        where=_MINORITY,
        # Somebody else's trouble wakes nobody. Should the NAT fail too, every other alert still pages, and so do the
        # budgets of critical targets and services, which this silences neither.
        silences=("NatOutboundSuccessBurn", "NatOutboundAnsweredBurn"),
        explains=("NatOutboundSuccessBurn",),
        keep=MINUTE,
        rests_on=("accounting",),
    ),
    Alert(
        "NatPublicAddressUnexpected",
        "M1",
        Scope.SUBNET,
        lowest(Scope.SUBNET, over("max_over_time", series(probes.ADDRESS_EXPECTED), MINUTE)),
        "<",
        (page(1, 30),),
        "The world sees the NAT under an address that is not reserved for it.",
        "Servers see {subnet} behind {nat} under an address that is not one of the reserved ones.",
        unit="state",
        fault="F7",
        silences=BURNS_OF_SUBNET,
        rests_on=("probes",),
    ),
    Alert(
        "NatPathMtuBlackHole",
        "M1",
        Scope.SUBNET,
        highest(Scope.SUBNET, over("min_over_time", series(probes.PATH_MTU_STATE, state="black_hole"), _TWO)),
        ">=",
        (page(1, MINUTE),),
        "Packets of full size vanish without a word.",
        "Packets of full size from {subnet} through {nat} are lost, and no ICMP message tells the sender.",
        unit="state",
        fault="F8",
        silences=("NatPathMtuReduced", *BURNS_OF_SUBNET),
        rests_on=("probes",),
        keep=2 * MINUTE,
    ),
    Alert(
        "NatPathMtuReduced",
        "M1",
        Scope.SUBNET,
        highest(
            Scope.SUBNET,
            over("min_over_time", series(probes.PATH_MTU_STATE, state="~packet_too_big|fragmented"), _TWO),
        ),
        ">=",
        (ticket(1, MINUTE),),
        "Packets of full size do not pass, and their senders are told.",
        "Packets of full size from {subnet} through {nat} are refused with an ICMP message, or cut into fragments.",
        unit="state",
        fault="F8",
        rests_on=("probes",),
        keep=MINUTE,
    ),
    Alert(
        "NatFragmentation",
        "M5",
        Scope.NAT,
        pooled(
            Scope.NAT,
            "sum",
            needed=increase(series(accounting.FRAGMENTATION), _FIVE),
            failed=increase(series(protocols.IP_FRAGMENTATION_FAILURES), _FIVE),
        ).unless(_TOO_NARROW >= 1, Scope.NAT),
        ">",
        (ticket(50),),
        "Many packets are too large for the next link.",
        "{value} packets through {nat} were too large for the next link in 5 minutes.",
        fault="F8",
    ),
    Alert(
        "NatResets",
        "M6",
        Scope.NAT,
        total(Scope.NAT, increase(series(accounting.RESETS), _FIVE))
        / (total(Scope.NAT, increase(series(accounting.ANSWERED, proto="tcp"), _FIVE)) > 20),
        ">",
        (ticket(0.5, 10 * MINUTE),),
        "Many forwarded connections are reset.",
        "There are {value} as many resets through {nat} as connections that were answered.",
        unit="ratio",
        silences=("NatResetsBurn",),
        rests_on=("accounting",),
        keep=MINUTE,
    ),
    Alert(
        "NatAddedLatency",
        "M7",
        Scope.NAT,
        ADDED.series,
        ">",
        (ticket(0.010, 2 * _FIVE), page(0.020, 2 * _FIVE)),  # longer than its most frequent cause takes: no CPU is left
        "The NAT adds much time to round trips.",
        "{nat} adds {value} to a round trip.",
        unit="seconds",
        silences=("NatAddedLatencyBurn",),
        rests_on=("taps",),
        keep=2 * MINUTE,
    ),
)
