"""Metrics of the push over OTLP; absent where none is configured."""

from natobs.catalogue.types import Kind, Label, Metric, Start

SIGNALS = ("metrics", "traces")
"""What can be pushed."""
RESULTS = ("sent", "failed", "dropped")
"""What becomes of it: accepted; a try that failed, after which it may be tried again; given up."""

SIGNAL = Label("signal", "what is pushed: rounds of metrics, or batches of spans", domain=SIGNALS)
PUSHES = Metric(
    "natobs_otlp_pushes_total",
    Kind.COUNTER,
    "Rounds of metrics and batches of spans that the receiver accepted (sent), tries that failed, and what was lost "
    "for good (dropped)",
    "the process's own count",
    labels=(SIGNAL, Label("result", "what became of it", domain=RESULTS)),
    start=Start.PROCESS,
)
WAITING = Metric(
    "natobs_otlp_waiting",
    Kind.GAUGE,
    "Rounds of metrics and batches of spans that wait to be pushed; otlp.queue at most",
    "the process's own count",
    labels=(SIGNAL,),
)
