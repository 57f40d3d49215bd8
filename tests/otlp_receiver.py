"""A receiver of OTLP over HTTP on loopback: decodes the real protobuf, and misbehaves on request."""

import gzip
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, NumberDataPoint
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.loopback import PATIENCE

Behaviour = Callable[["Handler"], None]
Labels = frozenset[tuple[str, str]]


@dataclass
class Receiver:
    """What has come, and what is answered.

    Args:
        behaviour: answers a request that has been read.
    """

    behaviour: Behaviour
    metrics: list[ExportMetricsServiceRequest] = field(default_factory=list)
    traces: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    @property
    def spans(self) -> list[Span]:
        """Every span, in order."""
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    receiver: Receiver
    ended: threading.Event
    body = b""

    def setup(self) -> None:
        super().setup()
        self.receiver.connections += 1

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            self.body = gzip.decompress(self.body)
        self.receiver.paths.append(self.path)
        self.receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.receiver.behaviour(self)

    def answer(self, status: int, body: bytes = b"", kind: str = "application/x-protobuf", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        pass


def accept(handler: Handler) -> None:
    """Decode and take everything."""
    if handler.path.endswith("/v1/metrics"):
        handler.receiver.metrics.append(ExportMetricsServiceRequest.FromString(handler.body))
    else:
        handler.receiver.traces.append(ExportTraceServiceRequest.FromString(handler.body))
    handler.answer(200)


def status(code: int, body: bytes = b"", kind: str = "text/plain", **headers: str) -> Behaviour:
    return lambda handler: handler.answer(code, body, kind, **headers)


def hang(handler: Handler) -> None:
    """Never answer."""
    handler.ended.wait(60)
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Send a header a byte at a time, for ever."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not handler.ended.wait(0.05):
            handler.wfile.write(b"x")
    except OSError:
        pass
    handler.close_connection = True


def garbage(handler: Handler) -> None:
    handler.wfile.write(b"\x00\xff\x00 what?\r\n\r\n")
    handler.close_connection = True


def endless(handler: Handler) -> None:
    """A body without an end, as fast as it is taken."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        while not handler.ended.is_set():
            handler.wfile.write(b"x" * 65536)
    except OSError:
        pass
    handler.close_connection = True


@contextmanager
def receiving(behaviour: Behaviour = accept, port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver, while the block runs; whoever hangs is let go at its end."""
    receiver = Receiver(behaviour)
    ended = threading.Event()
    handler = type("Bound", (Handler,), {"receiver": receiver, "ended": ended})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]  # clients may break off
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    receiver.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join(5)


def until(condition: Callable[[], object], within: float = PATIENCE) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it has not come about"
        time.sleep(0.01)


def attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    """Attributes as a dictionary."""
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> object:
    which = value.WhichOneof("value")
    assert which is not None
    found: object = getattr(value, which)
    return found


def metrics_of(request: ExportMetricsServiceRequest) -> list[Metric]:
    return [
        metric for resource in request.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics
    ]


def series_of(request: ExportMetricsServiceRequest) -> dict[tuple[str, Labels], float]:
    """The series that a Prometheus would store of a push: histograms as buckets, sum and count."""
    found: dict[tuple[str, Labels], float] = {}
    for metric in metrics_of(request):
        if metric.WhichOneof("data") == "histogram":
            for point in metric.histogram.data_points:
                found |= _histogram(metric.name, point)
        else:
            points = metric.sum.data_points if metric.WhichOneof("data") == "sum" else metric.gauge.data_points
            for number in points:
                found[metric.name, _labels(number)] = number.as_double
    return found


def _histogram(name: str, point: HistogramDataPoint) -> dict[tuple[str, Labels], float]:
    labels, total = _labels(point), 0
    found: dict[tuple[str, Labels], float] = {}
    for bound, count in zip([*point.explicit_bounds, float("inf")], point.bucket_counts, strict=True):
        total += count
        found[f"{name}_bucket", labels | {("le", repr(bound))}] = total
    assert total == point.count
    return found | {(f"{name}_sum", labels): point.sum, (f"{name}_count", labels): point.count}


def _labels(point: NumberDataPoint | HistogramDataPoint) -> Labels:
    return frozenset((key, str(value)) for key, value in attributes(point.attributes).items())
