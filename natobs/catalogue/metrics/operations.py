"""Metrics of what people and programs do with a NAT: scaling events, and planned maintenance."""

from natobs.catalogue.types import Kind, Label, Metric, Start

KINDS = ("scale_out", "scale_in", "failover", "replace", "deploy", "config", "other")
"""What can happen to a NAT on purpose."""
REASONS_PER_KIND = 8
"""Reasons of a kind that are counted apart, first come, first served."""
OTHER = "other"
"""The reason that all further ones are counted as."""
SLUG = r"[a-z0-9_]{1,40}"
"""What a reason looks like."""
HELD_SECONDS = 90
"""A new series shows 0 for so long: a counter that begins with 1 hides its first event from `increase()`."""

_SOURCE = "`operations.state_file`, which `natobs event` and `natobs maintenance` write"
_KIND = Label("kind", "what happened", domain=KINDS)

SCALING_EVENTS = Metric(
    "natobs_scaling_events_total",
    Kind.COUNTER,
    f"Events recorded on this machine, ever; a new series shows 0 for its first {HELD_SECONDS} s, so that increase() "
    "sees its first event too",
    _SOURCE,
    labels=(
        _KIND,
        Label("reason", "why", bound=f"the first {REASONS_PER_KIND} reasons of each kind; the rest is `{OTHER}`"),
    ),
    start=Start.KEPT,
)
SCALING_EVENT_TIME = Metric(
    "natobs_scaling_event_timestamp_seconds",
    Kind.GAUGE,
    "When the latest event of each kind happened, in seconds since the epoch",
    _SOURCE,
    unit="seconds",
    labels=(_KIND,),
)
MAINTENANCE_UNTIL = Metric(
    "natobs_maintenance_until_timestamp_seconds",
    Kind.GAUGE,
    "Until when this NAT is in planned maintenance, in seconds since the epoch; in the past once it is over, absent "
    "where none was ever declared",
    _SOURCE,
    unit="seconds",
)
CLUSTER_MAINTENANCE_UNTIL = Metric(
    "natobs_cluster_maintenance_until_timestamp_seconds",
    Kind.GAUGE,
    "The same for all NATs of the cluster, declared on any one of them; the latest of all counts",
    _SOURCE,
    unit="seconds",
)
