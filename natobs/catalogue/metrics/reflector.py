"""Metrics of the reflector: what probes asked of it, what it answered, and why it kept silent."""

from natobs.catalogue.types import Kind, Label, Metric, Start

SERVICES = ("stamp", "stun", "echo", "http")
"""UDP, UDP, TCP, TCP."""

REASONS = (
    "malformed",
    "short",
    "source_rate",
    "total_rate",
    "destination",
    "reply",
    "send",
    "receive_buffer",
    "connections",
    "deadline",
    "size",
    "fault",
)
"""Why nothing was answered, or a connection was cut off; docs/reflector.md says more of each."""

SERVICE = Label("service", "what was asked for", domain=SERVICES)

REQUESTS = Metric(
    "natobs_reflector_requests_total",
    Kind.COUNTER,
    "Datagrams (stamp, stun), connections (echo) and requests (http) that came in",
    "the reflector's own count",
    labels=(SERVICE,),
    start=Start.PROCESS,
)
REPLIES = Metric(
    "natobs_reflector_replies_total",
    Kind.COUNTER,
    "Datagrams (stamp, stun), connections (echo) and requests (http) that were answered",
    "the reflector's own count",
    labels=(SERVICE,),
    start=Start.PROCESS,
)
DROPPED = Metric(
    "natobs_reflector_dropped_total",
    Kind.COUNTER,
    "Datagrams and requests that were not answered, and connections that were cut off, by reason",
    "the reflector's own count; receive_buffer: SO_MEMINFO of the socket",
    labels=(SERVICE, Label("reason", "why", domain=REASONS)),
    start=Start.PROCESS,
)
RECEIVE_BYTES = Metric(
    "natobs_reflector_receive_bytes_total",
    Kind.COUNTER,
    "Bytes of payload that came in; none are counted for http, whose requests have no body",
    "the reflector's own count",
    unit="",
    labels=(Label("service", "what was asked for", domain=("stamp", "stun", "echo")),),
    start=Start.PROCESS,
)
TRANSMIT_BYTES = Metric(
    "natobs_reflector_transmit_bytes_total",
    Kind.COUNTER,
    "Bytes of payload that were sent; for http the bodies of answers, as far as they were begun",
    "the reflector's own count",
    labels=(SERVICE,),
    start=Start.PROCESS,
)
CONNECTIONS = Metric(
    "natobs_reflector_connections",
    Kind.GAUGE,
    "TCP connections that are open now",
    "the reflector's own count",
    labels=(Label("service", "what was asked for", domain=("echo", "http")),),
)
SOURCES = Metric(
    "natobs_reflector_sources",
    Kind.GAUGE,
    "Sources whose rate is remembered: IPv4 addresses and IPv6 /56 prefixes, at most 65,536 over UDP and over TCP each",
    "size of the tables",
)
