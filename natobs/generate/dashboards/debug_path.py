"""Panels of the debug dashboard about the way of packets: lost where, to whom, how slow, how large."""

from natobs.catalogue.idioms import most, pooled, quantile
from natobs.catalogue.metrics import accounting, probes, protocols, taps
from natobs.catalogue.promql import Query, Scope, Span, highest, lowest, rate, series, total
from natobs.catalogue.values import DESTINATION
from natobs.generate.dashboards.layout import Tile
from natobs.generate.dashboards.panels import GREEN, ORANGE, RED, About, Column, Line, Maker
from natobs.generate.dashboards.parts import NAT
from natobs.generate.dashboards.watched import Watched

_POINTS = {
    "inside_in": "1 in at the inside",
    "outside_out": "2 out at the outside",
    "outside_in": "3 back at the outside",
    "inside_out": "4 out at the inside",
}
_HALF, _MOST = 0.5, 0.99
_PATH_STATES = probes.PATH_STATES
"""Best first."""


def _state_color(place: int) -> str:
    return GREEN if place == 0 else RED if place >= _PATH_STATES.index("silent") else ORANGE


def _unanswered(attempts: Query, answered: Query) -> Query:
    return (attempts - answered) / (attempts > 0)


def lost(make: Maker, watched: Watched) -> tuple[Tile, ...]:
    """Where a packet of a probe was seen last."""
    return (
        make.graph(
            About(
                "Packets of probes, by point",
                "Packets of probes a second at the four points of the NAT. None at 1: the subnet has no route to the "
                "NAT. At 1, not at 2: the NAT itself. At 2, not at 3: upstream, the cloud's firewall, or the "
                "destination. At 3, not at 4: answers are blocked on the NAT.",
                unit="pps",
                shows=("M1",),
                size=(12, 9),
            ),
            *(
                Line(total(Scope.NAT, rate(series(taps.SEEN, point=point), Span.RATE)), f"{{{{nat}}}} {name}")
                for point, name in _POINTS.items()
            ),
        ),
        make.graph(
            About(
                "Failed attempts of probes, by reason",
                "Attempts a second that failed, retries included. Timeouts of all targets at once are the NAT's or the "
                "route's; of one target they are its own.",
                unit="cps",
                shows=("M1",),
                size=(12, 9),
            ),
            Line(total(Scope.SUBNET, rate(series(probes.FAILURES), Span.RATE), "reason"), "{{subnet}} {{reason}}"),
            stacked=True,
        ),
        *watched.tiles(
            "NatProbeFailing",
            "NatForwardingBroken",
            "NatNoReturnTraffic",
            "NatReturnBlocked",
            "NatDnsFailing",
            size=(8, 7),
        ),
        *watched.tiles("NatDefaultRouteMissing", size=(8, 7)),
    )


def destinations(make: Maker, watched: Watched) -> tuple[Tile, ...]:
    """Errors and latency by destination."""
    attempts = total(Scope.NAT, rate(series(accounting.DESTINATION_ATTEMPTS), Span.RATE), *DESTINATION)
    answered = total(Scope.NAT, rate(series(accounting.DESTINATION_ANSWERED), Span.RATE), *DESTINATION)
    keys = (*Scope.NAT.value, *DESTINATION)
    return (
        make.table(
            About(
                "Destinations",
                "Flows that private hosts opened towards each destination and the share that nobody answered, now; "
                "what is not among the busiest is `other`.",
                unit="cps",
                shows=("M9",),
                size=(12, 10),
            ),
            Column(Line(attempts, "Attempts"), "cps"),
            Column(
                Line(_unanswered(attempts, answered), "Unanswered"),
                "percentunit",
                ((0.01, ORANGE), (0.5, RED)),
                gauge=1,
            ),
            sort_by="Unanswered",
            keys=keys,
        ),
        make.graph(
            About(
                "Attempts by destination",
                "Flows a second that private hosts opened, the ten busiest destinations.",
                unit="cps",
                shows=("M9",),
                size=(12, 10),
            ),
            Line(most(10, attempts), "{{nat}} {{destination}}:{{port}} {{proto}}"),
        ),
        *watched.tiles("NatDestinationFailing", size=(12, 9)),
        make.graph(
            About(
                "Outbound attempts",
                "First packets of flows a second, and what became of them: answered, refused, sent again, or not "
                "tracked.",
                unit="cps",
                shows=("M1",),
                size=(12, 9),
            ),
            *(
                Line(total(Scope.NAT, rate(series(metric), Span.RATE), "proto"), f"{{{{nat}}}} {{{{proto}}}} {name}")
                for metric, name in (
                    (accounting.ATTEMPTS, "attempts"),
                    (accounting.ANSWERED, "answered"),
                    (accounting.REFUSED, "refused"),
                    (accounting.RETRANSMITTED, "sent again"),
                    (accounting.UNTRACKED, "untracked"),
                )
            ),
        ),
        make.graph(
            About(
                "Errors of probes by target",
                "Share of first attempts at each critical target that failed; targets that are not critical share the "
                "empty name.",
                unit="percentunit",
                shows=("M9", "M1"),
                size=(12, 8),
                levels=((0.01, ORANGE),),
            ),
            Line(
                _unanswered(
                    total(Scope.SUBNET, rate(series(probes.ATTEMPTS), Span.RATE), "target", "kind"),
                    total(Scope.SUBNET, rate(series(probes.FIRST_ATTEMPT_SUCCESS), Span.RATE), "target", "kind"),
                ),
                "{{subnet}} {{kind}} {{target}}",
            ),
        ),
        make.graph(
            About(
                "Duration of probes by target",
                "How long 99 % of the attempts at most took, from resolving the name to the end, by target.",
                unit="s",
                shows=("M9",),
                size=(12, 8),
            ),
            Line(
                quantile(_MOST, probes.DURATION, Span.RATE, *Scope.SUBNET.value, "target", "kind"),
                "{{subnet}} {{kind}} {{target}}",
            ),
        ),
        make.graph(
            About(
                "Phases of connections",
                "Where the time of an attempt with a connection goes, on average: resolving, connecting, TLS, first "
                "byte, transfer. Phases of one kind add up to its attempt.",
                unit="s",
                shows=("M9",),
                size=(12, 8),
            ),
            Line(
                total(Scope.SUBNET, rate(series(probes.PHASE_SECONDS), Span.RATE), "kind", "phase").by_one(
                    "/",
                    total(Scope.SUBNET, rate(series(probes.DURATION, "_count"), Span.RATE), "kind") > 0,
                    (*Scope.SUBNET.value, "kind"),
                ),
                "{{subnet}} {{kind}} {{phase}}",
            ),
        ),
        make.graph(
            About(
                "SYNs sent again, late answers",
                "Signs of loss that a retry hides: SYNs of probes that were sent again, and answers that came after "
                "the attempt had been given up.",
                unit="cps",
                shows=("M1",),
                size=(12, 8),
            ),
            Line(total(Scope.SUBNET, rate(series(probes.SYN_RETRANSMITS), Span.RATE)), "{{subnet}} SYNs sent again"),
            Line(total(Scope.SUBNET, rate(series(probes.LATE), Span.RATE)), "{{subnet}} late answers"),
        ),
    )


def latency(make: Maker) -> tuple[Tile, ...]:
    """Where time goes: inside the NAT, to it, and beyond."""
    place = (*Scope.NAT.value, "direction")
    return (
        make.graph(
            About(
                "Residence in the NAT",
                "Time that packets of probes spend inside the VM, from the first softirq to the driver: median and "
                "99th percentile, out and back.",
                unit="s",
                shows=("M7",),
                levels=((0.010, ORANGE), (0.020, RED)),
            ),
            Line(quantile(_HALF, taps.RESIDENCE, Span.RATE, *place), "{{nat}} {{direction}} median"),
            Line(quantile(_MOST, taps.RESIDENCE, Span.RATE, *place), "{{nat}} {{direction}} 99 %"),
        ),
        make.graph(
            About(
                "Added round trip",
                "Round trip through the NAT less that without it, over pairs of probes: the median with the ends of "
                "its 95 % interval. No data without probes that compare.",
                unit="s",
                shows=("M7",),
                levels=((0.010, ORANGE), (0.020, RED)),
            ),
            Line(
                highest(Scope.SUBNET, series(probes.ADDED_RTT, stat="median_high"), "kind"), "{{subnet}} {{kind}} high"
            ),
            Line(highest(Scope.SUBNET, series(probes.ADDED_RTT, stat="median"), "kind"), "{{subnet}} {{kind}} median"),
            Line(lowest(Scope.SUBNET, series(probes.ADDED_RTT, stat="median_low"), "kind"), "{{subnet}} {{kind}} low"),
        ),
        make.graph(
            About(
                "Round trips",
                "Median round trip of one exchange of packets: to the targets, and to the NAT's own inside address.",
                unit="s",
                shows=("M7",),
            ),
            Line(quantile(_HALF, probes.RTT, Span.RATE, *Scope.SUBNET.value, "kind"), "{{subnet}} {{kind}} to targets"),
            Line(
                quantile(_HALF, probes.ACCESS_RTT, Span.RATE, *Scope.SUBNET.value, "kind"),
                "{{subnet}} {{kind}} to the NAT",
            ),
        ),
    )


def mtu(make: Maker, watched: Watched) -> tuple[Tile, ...]:
    """How large packets may be, and what becomes of larger ones."""
    return (
        make.graph(
            About(
                "Path MTU",
                "Largest packet that passes unfragmented, the smallest of all targets.",
                unit="bytes",
                shows=("M1",),
            ),
            Line(lowest(Scope.SUBNET, series(probes.PATH_MTU), "probe"), f"{NAT} {{{{subnet}}}} {{{{probe}}}}"),
        ),
        make.states(
            About(
                "What becomes of packets of full size",
                "The worst that a probe of the subnet found. Clean: they pass. Packet too big, fragmented, known: "
                "their senders are told. UDP only and clamped: TCP gets by. Silent and black hole: they vanish.",
                shows=("M1",),
                levels=((_PATH_STATES.index("silent"), RED),),
            ),
            Line(
                pooled(
                    Scope.SUBNET,
                    "max",
                    **{
                        state: series(probes.PATH_MTU_STATE, state=state) * place
                        for place, state in enumerate(_PATH_STATES)
                    },
                ),
                f"{NAT} {{{{subnet}}}}",
            ),
            mappings=[
                {
                    "type": "value",
                    "options": {
                        str(place): {"text": state.replace("_", " "), "index": place, "color": _state_color(place)}
                        for place, state in enumerate(_PATH_STATES)
                    },
                }
            ],
        ),
        make.graph(
            About(
                "Packets too large",
                "ICMP messages that say so, packets that could not be fragmented, and packets that were, a second.",
                unit="pps",
                shows=("M5",),
            ),
            Line(
                total(Scope.NAT, rate(series(accounting.FRAGMENTATION), Span.RATE)), "{{nat}} ICMP: needs fragmentation"
            ),
            Line(total(Scope.NAT, rate(series(protocols.IP_FRAGMENTATION_FAILURES), Span.RATE)), "{{nat}} not sent"),
            Line(total(Scope.NAT, rate(series(protocols.IP_FRAGMENTED), Span.RATE)), "{{nat}} cut into fragments"),
        ),
        *watched.tiles("NatPathMtuBlackHole", "NatPathMtuReduced", size=(12, 6)),
    )
