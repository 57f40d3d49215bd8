"""Attempts of probes to the spans of OTLP: one a traced attempt, its phases as events.

Knows the two data models; refuses to know which attempts are traced and how
spans travel.
"""

from collections.abc import Iterator, Sequence

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from natobs.exposition.otlp.metrics import SCOPE, nanoseconds, readable
from natobs.probes.model import Attempt, Trace

_MOST_DETAIL = 500

_Value = str | int | float


def spans(attempts: Sequence[Attempt], resource: Resource) -> list[ReadableSpan]:
    """The spans of those attempts that have a trace."""
    return [_span(attempt, attempt.trace, resource) for attempt in attempts if attempt.trace is not None]


def _span(attempt: Attempt, trace: Trace, resource: Resource) -> ReadableSpan:
    outcome = attempt.outcome
    detail = readable(outcome.detail[:_MOST_DETAIL])
    return ReadableSpan(
        name=f"probe {attempt.target.settings.kind}",
        context=SpanContext(
            int.from_bytes(trace.trace_id, "big"),
            int.from_bytes(trace.span_id, "big"),
            is_remote=False,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
        ),
        resource=resource,
        attributes=dict(_attributes(attempt)),
        events=list(_events(attempt)),
        kind=SpanKind.CLIENT,
        # "Unset" is what the specification wants of whoever has not been told by a person that all is well.
        status=Status() if outcome.success else Status(StatusCode.ERROR, detail),
        start_time=nanoseconds(attempt.started),
        end_time=nanoseconds(attempt.started + attempt.seconds),
        instrumentation_scope=SCOPE,
    )


def _attributes(attempt: Attempt) -> Iterator[tuple[str, _Value]]:
    """What is known of an attempt; ``server.*`` and ``error.type`` as in OpenTelemetry's semantic conventions."""
    target, outcome = attempt.target, attempt.outcome
    yield "natobs.probe", target.settings.name
    yield "natobs.kind", target.settings.kind
    yield "natobs.target", readable(target.name)
    yield "natobs.attempt", attempt.number
    yield "natobs.lag_seconds", attempt.lag
    yield "server.address", readable(target.host)
    if target.port:
        yield "server.port", target.port
    if attempt.pair:
        yield "natobs.pair", attempt.pair
        yield "natobs.companion", attempt.companion
    if outcome.reason is not None:
        yield "natobs.reason", outcome.reason.value
        yield "error.type", outcome.reason.value
    if outcome.rtt is not None:
        yield "natobs.rtt_seconds", outcome.rtt
    if outcome.clock is not None:
        yield "natobs.clock", outcome.clock.value
    if outcome.syn_retransmits:
        yield "natobs.syn_retransmits", outcome.syn_retransmits
    if outcome.observed is not None:
        yield "natobs.observed_address", readable(outcome.observed[0])
        yield "natobs.observed_port", outcome.observed[1]
    if outcome.path_mtu is not None:
        yield "natobs.path_mtu_bytes", outcome.path_mtu
    if outcome.icmp is not None:
        yield "natobs.icmp.type", outcome.icmp.type
        yield "natobs.icmp.code", outcome.icmp.code
        yield "natobs.icmp.sender", readable(outcome.icmp.sender)


def _events(attempt: Attempt) -> Iterator[Event]:
    """One at the end of each phase, which follow one another from the attempt's beginning."""
    moment = attempt.started
    for name, seconds in attempt.outcome.phases.items():
        moment += seconds
        yield Event(name, {"natobs.phase_seconds": seconds}, nanoseconds(moment))
