"""Metrics of the agent's responder, which measures round trips for probers behind the NAT; absent while it is off."""

from natobs.catalogue.types import Kind, Label, Metric, Start

RESULTS = ("measured", "failed", "refused", "busy", "ignored")
"""What can become of a request."""

REQUESTS = Metric(
    "natobs_responder_requests_total",
    Kind.COUNTER,
    "Datagrams that came to the responder, by what became of them: failed had no answer from the target, refused asked "
    "for a target off the list, busy asked for too much, ignored came from a stranger or were no requests",
    "the responder's own count",
    labels=(Label("result", "what became of the request", domain=RESULTS),),
    start=Start.PROCESS,
)
UP = Metric(
    "natobs_responder_up",
    Kind.GAUGE,
    "Whether the responder is at work on every address that it was told to listen on",
    "its thread and its sockets",
)
