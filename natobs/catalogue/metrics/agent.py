"""Metrics of the agent about itself."""

from natobs.catalogue.types import Kind, Label, Metric

COLLECTOR = Label("collector", "name of the collector", bound="the fixed list of collectors")
REASONS = ("absent", "permission", "unsupported", "format", "busy", "timeout", "error")
"""Every reason for which a source can be unavailable; the words of :class:`natobs.errors.KernelError`."""

BUILD = Metric(
    "natobs_build_info",
    Kind.INFO,
    "Version of natobs and of the Python that runs it",
    "the package",
    labels=(
        Label("version", "version of natobs", bound="one per process"),
        Label("python", "version of the interpreter", bound="one per process"),
    ),
)
COLLECTOR_SUCCESS = Metric(
    "natobs_collector_success",
    Kind.GAUGE,
    "Whether the collector could look: 1 also when there was nothing to see, 0 when it failed",
    "the outcome of the collector's last run",
    labels=(COLLECTOR,),
)
COLLECTOR_DURATION = Metric(
    "natobs_collector_duration_seconds",
    Kind.GAUGE,
    "Wall-clock time of the collector's last run",
    "monotonic clock around the run",
    unit="seconds",
    labels=(COLLECTOR,),
)
COLLECTOR_UNAVAILABLE = Metric(
    "natobs_collector_unavailable",
    Kind.GAUGE,
    "A source of the collector that gave nothing, and why; always 1, absent when all is well",
    "the outcome of the collector's last run",
    labels=(COLLECTOR, Label("reason", "why there is no value", domain=REASONS)),
)
