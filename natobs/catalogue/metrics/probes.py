"""Metrics of the probes: does a new connection through the NAT succeed at the first try, how fast, seen as whom.

A target of a probe that is marked critical has series of its own. All other targets of a probe share one series with
``target=""``; their histograms are shared by kind, with ``probe=""`` too. Targets of a probe with ``access`` have
their own counters and histogram, and none of the outbound ones.
"""

from natobs.catalogue.types import Kind, Label, Metric, Start

KINDS = ("icmp", "udp", "stun", "tcp", "tls", "http", "dns", "pmtu")
"""Every kind of probe."""
REASONS = (
    "dns",
    "no_route",
    "unreachable",
    "refused",
    "reset",
    "timeout",
    "late",
    "tls",
    "status",
    "body",
    "address",
    "mtu",
    "no_local_port",
    "local",
)
"""Every reason for which an attempt can fail."""
CLOCKS = ("kernel_txrx", "kernel_rx", "tcp_info", "userspace")
"""Whose clock can have measured a round trip, best first."""
DIFFERENCES = ("median", "median_low", "median_high", "floor")
"""What is exported of the differences of a window of pairs. No high quantile: their tail is the path's noise."""
UNMEASURED = ("through", "direct", "both", "clock")
"""Why a pair gave no difference: which side failed, or that a side had no round trip by the kernel's clock."""
PATHS = ("through", "direct")
"""The two sides of a pair."""

PHASES = ("resolve", "connect", "tls", "first_byte", "transfer")
"""What an attempt of a kind with a connection goes through, in this order."""
PATH_STATES = ("clean", "packet_too_big", "fragmented", "known", "udp_only", "clamped", "silent", "black_hole")
"""What can become of full-size packets, best first; see natobs.probes.model.PathState."""

_DECADE = (1, 2, 5)
RTT_BUCKETS = (0.000_02, 0.000_05, *(digits / 10**exponent for exponent in (4, 3, 2, 1) for digits in _DECADE), 1.0)
"""20 µs to 1 s. Where they matter to microseconds, round trips are compared in pairs, which need no buckets."""
DURATION_BUCKETS = (*(digits / 10**exponent for exponent in (3, 2, 1, 0) for digits in _DECADE), 10.0, 20.0, 60.0)
"""1 ms to 60 s, the longest time limit that a probe can have; what is faster shows in the round trips."""

_ENGINE = "the prober's engine"
_SHARED = "the probe file; targets that are not critical share the empty value"
LABELS = (
    Label(
        "probe",
        "name of the probe; empty in histograms and phases of targets that are not critical",
        bound="the probe file",
    ),
    Label("kind", "what is sent", domain=KINDS),
    Label("target", "host and port of a critical target", bound=_SHARED),
)


def _counter(name: str, text: str, source: str = _ENGINE, *labels: Label) -> Metric:
    return Metric(
        f"natobs_probe_{name}_total", Kind.COUNTER, text, source, labels=(*LABELS, *labels), start=Start.PROCESS
    )


ATTEMPTS = _counter("attempts", "First attempts that have ended, well or not; retries are counted apart")
FIRST_ATTEMPT_SUCCESS = _counter(
    "first_attempt_success", "First attempts that succeeded with one packet or one SYN, before any retry"
)
RETRIES = _counter("retries", "Attempts after a failed first one that have ended, well or not")
SUCCESS = _counter("success", "First attempts that succeeded in the end: themselves, or by one of their retries")
FAILURES = _counter(
    "failures",
    "Attempts, retries included, that failed, by reason; with the successes they make up all attempts and retries",
    _ENGINE,
    Label("reason", "why the attempt failed", domain=REASONS),
)
DURATION = Metric(
    "natobs_probe_duration_seconds",
    Kind.HISTOGRAM,
    "How long an attempt took, from resolving the name to its end, failed ones and retries included",
    "monotonic clock around the attempt",
    unit="seconds",
    labels=LABELS,
    buckets=DURATION_BUCKETS,
    start=Start.PROCESS,
)
PHASE_SECONDS = Metric(
    "natobs_probe_phase_seconds_total",
    Kind.COUNTER,
    "Time that attempts with a connection spent in each phase, the one in which an attempt failed included; by the "
    "count of natobs_probe_duration_seconds it is that of one attempt",
    "TCP_INFO and the kernel's receive stamps; resolving by the program's clock",
    unit="seconds",
    labels=(*LABELS, Label("phase", "part of the attempt", domain=PHASES)),
    start=Start.PROCESS,
)
RTT = Metric(
    "natobs_probe_rtt_seconds",
    Kind.HISTOGRAM,
    "Round-trip time of one packet exchange, by the kernel's clock; what only the program's clock measured is left out",
    "SO_TIMESTAMPING on sending and receiving, or TCP_INFO",
    unit="seconds",
    labels=LABELS,
    buckets=RTT_BUCKETS,
    start=Start.PROCESS,
)
ADDED_RTT = Metric(
    "natobs_probe_added_rtt_seconds",
    Kind.GAUGE,
    "Round trip through the NAT less that to the same target without it, over the pairs of a sliding window: the "
    "median, the ends of its 95 % interval (from 6 pairs on), and the difference of the shortest round trips",
    "pairs of probes, one after the other in random order, by the kernel's clock",
    unit="seconds",
    labels=(*LABELS, Label("stat", "what is said of the differences", domain=DIFFERENCES)),
)
ADDED_RTT_PAIRS = Metric(
    "natobs_probe_added_rtt_pairs",
    Kind.GAUGE,
    "Pairs in the sliding window: those of the last compare.window_seconds, and the latest 1000 at most",
    _ENGINE,
    labels=LABELS,
)
ADDED_RTT_MEASURED = _counter("added_rtt_measured", "Pairs of which both sides gave a round trip by the kernel's clock")
ADDED_RTT_GOOD = _counter(
    "added_rtt_good", "Pairs whose difference was at most compare.limit_seconds; of those that were measured"
)
ADDED_RTT_UNMEASURED = _counter(
    "added_rtt_unmeasured",
    "Pairs that gave no difference, by the side that failed; clock: neither did, but one gave no usable round trip",
    _ENGINE,
    Label("side", "which side failed", domain=UNMEASURED),
)
PAIRED_RTT = Metric(
    "natobs_probe_paired_rtt_seconds",
    Kind.HISTOGRAM,
    "Round-trip time of both sides of the pairs that were measured; natobs_probe_rtt_seconds has the through side too",
    "SO_TIMESTAMPING on sending and receiving, or TCP_INFO",
    unit="seconds",
    labels=(*LABELS, Label("path", "through the NAT, or without it", domain=PATHS)),
    buckets=RTT_BUCKETS,
    start=Start.PROCESS,
)
ACCESS_RTT = Metric(
    "natobs_probe_access_rtt_seconds",
    Kind.HISTOGRAM,
    "Round-trip time to the NAT's own inside address, by the kernel's clock; what only the program's clock measured is "
    "left out",
    "SO_TIMESTAMPING on sending and receiving, or TCP_INFO",
    unit="seconds",
    labels=LABELS,
    buckets=RTT_BUCKETS,
    start=Start.PROCESS,
)
ACCESS_ATTEMPTS = _counter(
    "access_attempts",
    "First attempts at the NAT's own inside address that have ended; they are in no counter of outbound attempts",
)
ACCESS_SUCCESS = _counter(
    "access_success", "First attempts at the NAT's own inside address that succeeded with one packet or one SYN"
)
ROUND_TRIPS = _counter(
    "round_trips",
    "Round trips that were measured, by the clock that measured them; those of the userspace clock are in no histogram",
    "SO_TIMESTAMPING, TCP_INFO, or the program's clock",
    Label("clock", "whose clock measured the round trip", domain=CLOCKS),
)
SYN_RETRANSMITS = _counter("tcp_syn_retransmits", "SYNs that were sent again", "TCP_INFO, tcpi_total_retrans")
LATE = _counter("late", "Answers that came after the time limit of their attempt, which had failed by then")
CLOCK_REJECTS = _counter(
    "clock_rejects", "Round trips that were not used because the clock had been set meanwhile", "clock_gettime(2)"
)
OBSERVED_ADDRESS = Metric(
    "natobs_probe_observed_address_info",
    Kind.INFO,
    "Public addresses that the other side saw in the latest 32 observations",
    "STUN mapped address, or the answer of a reflector",
    labels=(*LABELS, Label("address", "IP address without port", bound="the latest 32 observations of the series")),
)
ADDRESS_CHANGES = _counter(
    "address_changes",
    "Public addresses that appeared without having been seen in the 32 observations before",
    "STUN mapped address, or the answer of a reflector",
)
ADDRESS_EXPECTED = Metric(
    "natobs_probe_address_expected",
    Kind.GAUGE,
    "Whether every target's latest attempt was seen under expect.addresses only; absent where none are configured",
    "STUN mapped address, or the answer of a reflector",
    labels=LABELS,
)
PATH_MTU = Metric(
    "natobs_probe_path_mtu_bytes",
    Kind.GAUGE,
    "Largest IP packet that passes unfragmented; the smallest of the series' targets",
    "UDP with the DF flag, and TCP_INFO",
    unit="bytes",
    labels=LABELS,
)
PATH_MTU_STATE = Metric(
    "natobs_probe_path_mtu_state",
    Kind.GAUGE,
    "What becomes of packets of full size, 1 for the state that was found last and 0 for the others; the worst of the "
    "series' targets",
    "UDP with the DF flag, ICMP errors, and TCP_INFO",
    labels=(*LABELS, Label("state", "what becomes of packets of full size", domain=PATH_STATES)),
)
CERTIFICATE_EXPIRY = Metric(
    "natobs_probe_certificate_expiry_timestamp_seconds",
    Kind.GAUGE,
    "When the server's certificate ends; the earliest of the series' targets",
    "the certificate of the TLS handshake",
    unit="seconds",
    labels=LABELS,
)
TARGETS = Metric(
    "natobs_probe_targets",
    Kind.GAUGE,
    "Targets that are probed",
    "the probe file",
    labels=LABELS,
)
_SOURCE_LABELS = (
    Label("probe", "name of the probe", bound="the probe file"),
    Label("source", "targets_file or targets_url of the probe", domain=("file", "url")),
)
_DISCOVERY = "documents of file_sd and http_sd"
DISCOVERY_SUCCESS = Metric(
    "natobs_probe_discovery_success",
    Kind.GAUGE,
    "Whether the latest look for targets found good documents that can be probed; else older targets are in force",
    _DISCOVERY,
    labels=_SOURCE_LABELS,
)
DISCOVERY_FAILURES = Metric(
    "natobs_probe_discovery_failures_total",
    Kind.COUNTER,
    "Looks for targets that found a document missing, wrong, too large or not to be probed",
    _DISCOVERY,
    labels=_SOURCE_LABELS,
    start=Start.PROCESS,
)
DISCOVERY_TIMESTAMP = Metric(
    "natobs_probe_discovery_timestamp_seconds",
    Kind.GAUGE,
    "When a look for targets last found everything good, in seconds since the epoch",
    _DISCOVERY,
    unit="seconds",
    labels=_SOURCE_LABELS,
)
SOURCE = Metric(
    "natobs_probe_source_info",
    Kind.INFO,
    "Addresses of this host that its probes go out from along the default route; those of the taps' label source",
    "getsockname(2) of a datagram socket that is connected, and sends nothing",
    labels=(Label("address", "IP address", bound="16"),),
)
SCHEDULE_LAG = Metric(
    "natobs_probe_schedule_lag_seconds",
    Kind.GAUGE,
    "How much later than planned a first attempt began, at most, within the last 60 s",
    "monotonic clock against the plan",
    unit="seconds",
)
BEATS_SKIPPED = Metric(
    "natobs_probe_beats_skipped_total",
    Kind.COUNTER,
    "First attempts that were not made: a whole interval had passed since they were due, as after a suspension, or "
    "another one of the same target waited already for an attempt to end",
    "the plan",
    start=Start.PROCESS,
)
ENGINE_UP = Metric(
    "natobs_probe_engine_up",
    Kind.GAUGE,
    "Whether the thread that sends probes is alive",
    "the thread",
)
