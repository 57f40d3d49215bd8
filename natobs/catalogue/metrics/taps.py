"""Metrics of the taps: where packets of probes were seen on this NAT, and how long they stayed in it."""

from natobs.catalogue.types import Kind, Label, Metric, Start

_TAP = "packet socket with SO_TIMESTAMPNS, one for all devices"

DIRECTION = Label("direction", "out for requests, back for answers", domain=("out", "back"))
POINTS = ("inside_in", "outside_out", "outside_in", "inside_out")
_DECADE = (1, 2, 5)

RESIDENCE = Metric(
    "natobs_nat_residence_seconds",
    Kind.HISTOGRAM,
    "Time that packets of probes spent in this machine, from the first softirq to the driver; the wait before that "
    "softirq, in the NIC's ring and for its interrupt, is not in it",
    f"{_TAP}; the same packet at both points, matched by its token",
    unit="seconds",
    labels=(DIRECTION,),
    buckets=(
        5 / 10**6,  # no machine forwards faster
        *(digits / 10**exponent for exponent in (5, 4, 3, 2, 1) for digits in _DECADE),  # 10 and 20 ms are thresholds
        1.0,
    ),
    start=Start.PROCESS,
)
MISSED = Metric(
    "natobs_nat_residence_missed_total",
    Kind.COUNTER,
    "Packets of probes that were seen on one side of this machine and not within 2 s on the other: dropped in it, held "
    "up, or missed by the tap",
    f"{_TAP}; what found no match",
    labels=(DIRECTION,),
    start=Start.PROCESS,
)
SEEN = Metric(
    "natobs_probe_packets_seen_total",
    Kind.COUNTER,
    "Packets of probes seen at each of the four points of this NAT, counted when all that one packet passes are known",
    _TAP,
    labels=(
        Label(
            "source",
            "address of the private host that probes, or other",
            bound="64 hosts; one that was silent for 10 minutes makes room for another",
        ),
        Label("point", "where: the side of this machine, and the packet's way through it", domain=POINTS),
    ),
    start=Start.PROCESS,
)
LOST = Metric(
    "natobs_tap_packets_lost_total",
    Kind.COUNTER,
    "Packets of probes that passed the NAT but not the tap, because the agent read too slowly",
    "SO_RXQ_OVFL",
    start=Start.PROCESS,
)
LISTENING = Metric(
    "natobs_tap_listening",
    Kind.GAUGE,
    "Whether the tap listens now; after 10 minutes without a packet of a probe it rests 8 s of every 10 s, because "
    "listening costs every forwarded packet CPU time",
    "state of the packet socket",
)
FLOWTABLES = Metric(
    "natobs_nat_flowtables",
    Kind.GAUGE,
    "Flowtables of nftables; packets of flows in one that is offloaded to hardware pass the taps by, those of flows in "
    "software do not",
    "nftables NFT_MSG_GETFLOWTABLE, flag offload",
    labels=(Label("offload", "who forwards the flows in it", domain=("software", "hardware")),),
)
