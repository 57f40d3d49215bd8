import netrc
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from natobs.config import Otlp
from natobs.exposition.otlp.delivery import PushError, Round
from natobs.exposition.otlp.exporters import Exporters
from natobs.exposition.otlp.limited import Limited
from natobs.probes.model import Attempt, Outcome, Trace
from tests.loopback import PATIENCE, Certificates
from tests.otlp_receiver import (
    Behaviour,
    attributes,
    drip,
    endless,
    garbage,
    hang,
    metrics_of,
    receiving,
    status,
    until,
)
from tests.scripted import target
from tests.test_otlp_metrics import SIZE, starts

ROUND = Round(1_700_000_000.0, 0.0, (SIZE.sample(3, "a"),))
SPANS = (Attempt(target(), 0, 1_700_000_000.0, 0.01, 0.0, Outcome(), trace=Trace(b"\x01" * 16, b"\x02" * 8)),)


def push(url: str, limit: float = PATIENCE, **settings: object) -> str:
    given = Otlp(endpoint=url, timeout_seconds=limit, **settings)  # type: ignore[arg-type]  # a test's own values
    return Limited(Exporters(given, {"service.name": "test"}, starts(0.0)).metrics, limit)(ROUND)


def push_spans(url: str, batch: Sequence[Attempt] = SPANS) -> str:
    return Limited(Exporters(Otlp(endpoint=url), {}, starts(0.0)).traces, PATIENCE)(batch)


def refusal(behaviour: Behaviour, limit: float = PATIENCE) -> PushError:
    """The error of a push to a receiver that misbehaves; it was asked once."""
    with receiving(behaviour) as receiver:
        with pytest.raises(PushError) as caught:
            push(receiver.url, limit)
        until(lambda: receiver.paths)  # a push that was left behind may still be about to ask
        assert len(receiver.paths) == 1
        return caught.value


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_a_round_arrives_with_its_headers_and_its_resource(compression: str) -> None:
    with receiving() as receiver:
        assert push(f"{receiver.url}/otlp/", compression=compression, headers={"X-Scope": "nat"}) == ""
        assert receiver.paths == ["/otlp/v1/metrics"]
        headers = receiver.headers[0]
        assert headers["content-type"] == "application/x-protobuf"
        assert headers["x-scope"] == "nat"
        assert headers.get("content-encoding", "none") == compression
        assert [metric.name for metric in metrics_of(receiver.metrics[0])] == [SIZE.name]
        resource = receiver.metrics[0].resource_metrics[0].resource
        assert attributes(resource.attributes) == {"service.name": "test"}


def test_a_connection_is_used_again() -> None:
    with receiving() as receiver:
        deliver = Exporters(Otlp(endpoint=receiver.url), {}, starts(0.0)).metrics()
        for _ in range(3):
            assert deliver(ROUND) == ""
        assert (len(receiver.metrics), receiver.connections) == (3, 1)


@pytest.mark.parametrize("code", [429, 502, 503, 504])
def test_statuses_that_may_pass_are_retried_by_nobody_but_the_sender(code: int) -> None:
    began = time.monotonic()
    error = refusal(status(code, Retry_After="17"))
    assert error.retry
    assert error.pause == 17
    assert f"it answered {code}" in str(error)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize("code", [301, 307, 400, 401, 404, 413, 500, 501])
def test_statuses_that_do_not_pass(code: int) -> None:
    error = refusal(status(code, b"<b>no</b>", Location="http://127.0.0.1:9/"))
    assert not error.retry
    assert f"it answered {code}" in str(error)


@pytest.mark.parametrize(("text", "pause"), [("-5", 0), ("1e9", 300), ("nan", 0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0)])
def test_odd_wishes_for_a_pause(text: str, pause: float) -> None:
    assert refusal(status(503, Retry_After=text)).pause == pause


def test_a_web_page_is_no_acceptance() -> None:
    error = refusal(status(200, b"<html>", "text/html; charset=utf-8"))
    assert "that is no receiver of OTLP" in str(error)
    assert not error.retry


def test_what_is_no_http_may_pass() -> None:
    assert refusal(garbage).retry


def test_nobody_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PushError, match="Connection refused") as caught:
        push("http://127.0.0.1:1")
    assert caught.value.retry

    def unknown(*asked: object, **options: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(PushError, match="Name or service not known") as caught:
        push("http://receiver.test:4318")
    assert caught.value.retry


@pytest.mark.parametrize("behaviour", [hang, drip])
def test_whoever_does_not_answer_in_time_has_failed(behaviour: Behaviour) -> None:
    began = time.monotonic()
    error = refusal(behaviour, limit=0.4)
    assert error.retry
    assert time.monotonic() - began < PATIENCE


def test_an_endless_answer_is_not_read_to_its_end() -> None:
    with receiving(endless) as receiver:
        assert push(receiver.url) == ""


def test_what_was_taken_only_in_part_is_told() -> None:
    metrics = ExportMetricsServiceResponse()
    metrics.partial_success.rejected_data_points = 3
    metrics.partial_success.error_message = "out of\norder"
    traces = ExportTraceServiceResponse()
    traces.partial_success.rejected_spans = 1
    for response, pushing, told in (
        (metrics, push, "3 data points were rejected; out of order"),
        (traces, push_spans, "1 spans were rejected"),
    ):
        with receiving(status(200, response.SerializeToString(), "application/x-protobuf")) as receiver:
            assert pushing(receiver.url) == told


def test_an_answer_that_is_no_protobuf_is_told() -> None:
    with receiving(status(200, b"\xff\xff\xff", "application/x-protobuf")) as receiver:
        assert push(receiver.url) == "its answer is no OTLP"


def test_what_cannot_be_encoded_is_given_up() -> None:
    with receiving() as receiver:
        odd = Round(1_700_000_000.0, 0.0, (SIZE.sample(3, 4),))  # type: ignore[arg-type]  # a label that is no text
        deliver = Exporters(Otlp(endpoint=receiver.url), {}, starts(0.0)).metrics()
        assert deliver(ROUND) == ""
        with pytest.raises((PushError, AttributeError)):
            deliver(odd)
        assert len(receiver.metrics) == 1


def test_a_password_for_another_purpose_is_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = tmp_path / "netrc"
    secrets.write_text("machine 127.0.0.1 login somebody password secret\n")
    secrets.chmod(0o600)
    assert netrc.netrc(str(secrets)).authenticators("127.0.0.1")
    monkeypatch.setenv("NETRC", str(secrets))
    with receiving() as receiver:
        push(receiver.url, headers={"Authorization": "Bearer configured"})
        assert receiver.headers[0]["authorization"] == "Bearer configured"


def test_an_authority_of_ones_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificates.path("server.pem"), certificates.path("server.key"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certificates.path("other-ca.pem"))
    with receiving(tls=tls) as receiver:
        assert push(receiver.url, ca_file=certificates.path("ca.pem")) == ""
        with pytest.raises(PushError, match="certificate"):
            push(receiver.url, ca_file=certificates.path("other-ca.pem"))
        assert len(receiver.metrics) == 1


def test_a_file_of_authorities_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("empty.pem", "absent.pem"):
        exporters = Exporters(Otlp(endpoint="https://127.0.0.1:1", ca_file=str(tmp_path / name)), {}, starts(0.0))
        with pytest.raises(OSError):  # noqa: PT011 - OpenSSL's words differ between its versions
            exporters.check()
