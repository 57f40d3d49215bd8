"""Metrics of the probes: does a new connection through the NAT succeed at the first try, how fast, seen as whom.

A target of a probe that is marked critical has series of its own. All other targets of a probe share one series with
``target=""``; their histograms are shared by kind, with ``probe=""`` too.
"""

from natobs.catalogue.types import Kind, Label, Metric

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

_DECADE = (1, 1.5, 2, 3, 5, 7)
RTT_BUCKETS = (
    *(digits / 10**5 for digits in _DECADE[2:]),
    *(digits / 10**exponent for exponent in (4, 3, 2, 1) for digits in _DECADE),
    1.0,
)
"""20 µs to 1 s; histogram_quantile errs by at most 18 %."""
DURATION_BUCKETS = (*(digits / 10**exponent for exponent in (4, 3, 2, 1, 0) for digits in (1, 2, 5)), 10.0, 20.0, 60.0)
"""100 µs to 60 s, the longest time limit that a probe can have."""

_ENGINE = "the prober's engine"
_SHARED = "the probe file; targets that are not critical share the empty value"
LABELS = (
    Label("probe", "name of the probe; empty in histograms of targets that are not critical", bound="the probe file"),
    Label("kind", "what is sent", domain=KINDS),
    Label("target", "host and port of a critical target", bound=_SHARED),
)


def _counter(name: str, text: str, source: str = _ENGINE, *labels: Label) -> Metric:
    return Metric(f"natobs_probe_{name}_total", Kind.COUNTER, text, source, labels=(*LABELS, *labels))


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
)
RTT = Metric(
    "natobs_probe_rtt_seconds",
    Kind.HISTOGRAM,
    "Round-trip time of one packet exchange, by the kernel's clock; what only the program's clock measured is left out",
    "SO_TIMESTAMPING on sending and receiving, or TCP_INFO",
    unit="seconds",
    labels=LABELS,
    buckets=RTT_BUCKETS,
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
SCHEDULE_LAG = Metric(
    "natobs_probe_schedule_lag_seconds",
    Kind.GAUGE,
    "How much later than planned an attempt began, at most, within the last 60 s",
    "monotonic clock against the plan",
    unit="seconds",
)
BEATS_SKIPPED = Metric(
    "natobs_probe_beats_skipped_total",
    Kind.COUNTER,
    "First attempts that were not made because a whole interval had passed since they were due, as after a suspension",
    "the plan",
)
ENGINE_UP = Metric(
    "natobs_probe_engine_up",
    Kind.GAUGE,
    "Whether the thread that sends probes is alive",
    "the thread",
)
