"""The exporters of opentelemetry-exporter-otlp-proto-http, set up from the configuration.

The only module that makes one; imported when an endpoint is configured.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import TypedDict

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from natobs.catalogue.types import Start
from natobs.config import Otlp
from natobs.exposition.otlp.delivery import Deliver, PushError, Round
from natobs.exposition.otlp.metrics import metrics_data
from natobs.exposition.otlp.session import PushSession, silence
from natobs.exposition.otlp.spans import spans
from natobs.probes.model import Attempt

_UNSENT = "the exporter could not encode it"


class _Settings(TypedDict):
    endpoint: str
    certificate_file: str | None
    headers: Mapping[str, str]
    timeout: float
    compression: Compression
    session: PushSession


class Exporters:
    """Makes what delivers rounds and batches.

    Args:
        settings: with an endpoint.
        attributes: of the resource.
        began: when counters were zero, in seconds since the epoch.
    """

    def __init__(self, settings: Otlp, attributes: Mapping[str, str], began: Mapping[Start, float]) -> None:
        silence()
        self._settings = settings
        self._resource = Resource(dict(attributes))
        self._began = began

    def check(self) -> None:
        """Look whether the file of authorities can be used.

        Raises:
            OSError: it cannot; ssl.SSLError is one.
        """
        if self._settings.ca_file:
            ssl.create_default_context(cafile=self._settings.ca_file)

    def metrics(self) -> Deliver[Round]:
        """What delivers a round."""
        session = PushSession(self._settings.timeout_seconds)
        exporter = OTLPMetricExporter(**self._options("metrics", session))

        def deliver(taken: Round) -> str:
            data = metrics_data(taken, self._resource, self._began)
            return _outcome(session, lambda: exporter.export(data) is MetricExportResult.SUCCESS)

        return deliver

    def traces(self) -> Deliver[Sequence[Attempt]]:
        """What delivers a batch of attempts, each as a span."""
        session = PushSession(self._settings.timeout_seconds)
        exporter = OTLPSpanExporter(**self._options("traces", session))

        def deliver(batch: Sequence[Attempt]) -> str:
            made = spans(batch, self._resource)
            return _outcome(session, lambda: exporter.export(made) is SpanExportResult.SUCCESS)

        return deliver

    def _options(self, signal: str, session: PushSession) -> _Settings:
        return {
            "endpoint": f"{self._settings.endpoint.rstrip('/')}/v1/{signal}",
            "certificate_file": self._settings.ca_file or None,
            "headers": self._settings.headers,
            "timeout": self._settings.timeout_seconds,
            "compression": Compression.Gzip if self._settings.compression == "gzip" else Compression.NoCompression,
            "session": session,
        }


def _outcome(session: PushSession, export: Callable[[], bool]) -> str:
    """Export; what the session has seen says what came of it."""
    session.forget()
    if export():
        return session.complaint
    # The exporter keeps the session's error to itself, or lets it through: that depends on its version.
    raise session.failure or PushError(_UNSENT, retry=False)
