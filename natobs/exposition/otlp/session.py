"""The HTTP session that exporters push through: judges each answer, once.

An exporter left to itself tries again for up to a minute, takes a redirection
for success, reads answers of any length, and says no more than that it failed.
Here every answer but an acceptance is an error that no exporter retries; what
was wrong is kept for whoever asked. Knows OTLP over HTTP (OpenTelemetry
specification, "OTLP/HTTP Response"); refuses to know what is pushed.
"""

import logging
import math
import os

import requests
import urllib3
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from natobs.exposition.otlp.delivery import PushError

_PASSING = frozenset({429, 502, 503, 504})
"""The specification's retryable status codes; all others must not be retried."""
_ACCEPTED = range(200, 300)
_MOST_BODY = 64 * 1024
_MOST_TEXT = 200
_LONGEST_PAUSE_SECONDS = 300.0
_SHARE = 0.9
"""Of the limit, for a single wait on the network: so it ends by itself, and not by being left behind."""


class PushSession(requests.Session):
    """Sends the requests of one exporter.

    Args:
        limit: seconds for connecting, and for each wait for the answer.
    """

    def __init__(self, limit: float) -> None:
        super().__init__()
        self.failure: PushError | None = None
        self.complaint = ""
        self._limit = limit * _SHARE
        # Without this requests looks into ~/.netrc, and prefers what it finds there to the configured headers.
        self.auth = _unchanged

    def forget(self) -> None:
        """Forget what came of the request before."""
        self.failure, self.complaint = None, ""

    def request(self, method: str | bytes, url: str | bytes, *args: object, **options: object) -> requests.Response:
        """Send a request of the exporter.

        Raises:
            PushError: anything but an acceptance; also kept as ``failure``.
        """
        self.forget()
        if isinstance(self.verify, str):
            options["verify"] = self.verify  # or requests would prefer REQUESTS_CA_BUNDLE of the environment
        options |= {"timeout": self._limit, "allow_redirects": False, "stream": True}
        try:
            answer = super().request(method, url, *args, **options)  # type: ignore[arg-type]  # passed through as given
            with answer:
                self._judge(answer, answer.raw.read(_MOST_BODY, decode_content=True))
        except PushError as error:
            self.failure = error
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            self.failure = PushError(_plain(error), retry=True)
            raise self.failure from error
        return answer

    def _judge(self, answer: requests.Response, body: bytes) -> None:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if answer.status_code not in _ACCEPTED:
            detail = f"it answered {answer.status_code} {_readable(answer.reason or '')}".rstrip()
            passing = answer.status_code in _PASSING
            raise PushError(detail, retry=passing, pause=_pause(answer.headers.get("retry-after", "")))
        if kind == "text/html":
            raise PushError("it answered with a web page: that is no receiver of OTLP", retry=False)
        if kind == "application/x-protobuf":
            self.complaint = _complaint(body, traces=str(answer.url).endswith("/v1/traces"))


def silence() -> None:
    """Keep exporters from logging each failure: the sender says when things change."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def _complaint(body: bytes, *, traces: bool) -> str:
    """What the receiver says of a request that it took only in part."""
    response: ExportTraceServiceResponse | ExportMetricsServiceResponse
    response = ExportTraceServiceResponse() if traces else ExportMetricsServiceResponse()
    try:
        response.ParseFromString(body)
    except Exception:  # noqa: BLE001 - protobuf's DecodeError differs between its implementations
        return "its answer is no OTLP"
    partial = response.partial_success
    if isinstance(response, ExportTraceServiceResponse):
        rejected, what = response.partial_success.rejected_spans, "spans"
    else:
        rejected, what = response.partial_success.rejected_data_points, "data points"
    if not rejected and not partial.error_message:
        return ""
    return f"{rejected} {what} were rejected; {_readable(partial.error_message)}".rstrip("; ")


def _pause(text: str) -> float:
    """Retry-After in seconds; the other form, a date, is rare and depends on two clocks."""
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return min(max(0.0, seconds), _LONGEST_PAUSE_SECONDS) if math.isfinite(seconds) else 0.0


def _readable(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text[:_MOST_TEXT]).strip()


def _plain(error: BaseException) -> str:
    """The innermost reason of an error, without the request that it happened to."""
    seen: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in seen:
        seen.append(current)
        inner = next((part for part in current.args if isinstance(part, BaseException)), None)
        current = inner or getattr(current, "reason", None) or current.__cause__ or current.__context__
        current = current if isinstance(current, BaseException) else None
    for cause in reversed(seen):
        if isinstance(cause, OSError) and cause.errno:
            return cause.strerror or os.strerror(cause.errno)
    return type(seen[-1]).__name__


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
