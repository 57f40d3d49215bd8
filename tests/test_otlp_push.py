import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from msgspec.structs import replace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from natobs import __version__
from natobs.catalogue.metrics import conntrack
from natobs.catalogue.metrics import otlp as otlp_metric
from natobs.catalogue.types import AnySample
from natobs.config import Otlp, parse
from natobs.exposition.agent import Agent
from natobs.exposition.encode import encode
from natobs.exposition.otlp import pusher
from natobs.exposition.otlp.push import OtlpPush, push_once
from natobs.exposition.otlp.pusher import BATCH
from natobs.exposition.prober import Prober
from natobs.probe_config import ProbeFile
from natobs.probes.model import Attempt, Clock, Outcome, Reason, Target
from tests.loopback import PATIENCE, reserved_port
from tests.otlp_receiver import (
    Labels,
    Receiver,
    attributes,
    hang,
    metrics_of,
    receiving,
    series_of,
    until,
)
from tests.scripted import Attempting, at_once, held_seconds, kinds, probe_file, settings, standstill, target
from tests.test_agent import LISTEN, nat_machine
from tests.test_otlp_metrics import DROPS
from tests.test_probes_service import get, value

BEAT_SECONDS = 0.1
QUICK: dict[str, object] = {"interval_seconds": BEAT_SECONDS, "timeout_seconds": 0.1, "retries": 0}
PHASES = {"resolve": 0.001, "connect": 0.0123, "first_byte": 0.02}
OUTCOMES = {
    "good.test": Outcome(rtt=0.0123, clock=Clock.KERNEL_TXRX, phases=PHASES),
    "bad.test": Outcome(Reason.STATUS, "503 Service Unavailable", phases=PHASES),
}


def script(target: Target) -> Attempting:
    return at_once(OUTCOMES[target.host])


def probes(url: str, **otlp: object) -> ProbeFile:
    file = probe_file(
        settings(name="web", kind="http", targets=("good.test:80", "bad.test:80"), critical=True, **QUICK),
        settings(name="echo", kind="icmp", targets=("good.test", "bad.test"), **QUICK),
    )
    return replace(file, otlp=quick(url, **otlp))


def quick(url: str, **otlp: object) -> Otlp:
    given: dict[str, object] = {"interval_seconds": 0.1, "timeout_seconds": PATIENCE, "successes_per_span": 4}
    return Otlp(endpoint=url, **(given | otlp))  # type: ignore[arg-type]  # a test's own values


@pytest.fixture
def patient_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the last push arrive, however busy the machine is."""
    monkeypatch.setattr(pusher, "_END_SECONDS", PATIENCE)


@contextmanager
def probing(load: Callable[[], ProbeFile]) -> Iterator[tuple[Prober, str]]:
    prober = Prober(load, kinds(script))
    prober.start()
    try:
        yield prober, f"http://{prober.addresses[0]}"
    finally:
        prober.stop()


def scraped(text: str) -> dict[tuple[str, Labels], float]:
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = {name: repr(float(text)) if name == "le" else text for name, text in sample.labels.items()}
            found[sample.name, frozenset(labels.items())] = sample.value
    return found


def taken_at(request: ExportMetricsServiceRequest) -> int:
    """When the round was taken, in nanoseconds since the epoch."""
    gauge = next(one.gauge for one in metrics_of(request) if one.WhichOneof("data") == "gauge")
    return int(gauge.data_points[0].time_unix_nano)


def without(found: dict[tuple[str, Labels], float], *names: str) -> dict[tuple[str, Labels], float]:
    return {series: number for series, number in found.items() if not series[0].startswith(names)}


def counted(prober: Prober, name: str) -> float:
    return sum(sample.value for sample in prober.service.samples() if sample.metric.name == name)  # type: ignore[misc]  # counters


def test_what_a_prober_pushes_is_what_it_serves() -> None:
    with receiving() as receiver, probing(lambda: probes(receiver.url)) as (prober, url):
        until(lambda: counted(prober, "natobs_probe_attempts_total") > 8)
        prober.service.stop()  # nothing changes from here on
        stopped = time.time_ns()
        until(lambda: receiver.metrics and taken_at(receiver.metrics[-1]) > stopped)
        served = scraped(get(f"{url}/metrics"))
        found = without(series_of(receiver.metrics[-1]), "natobs_otlp_")
    assert found == without(served, "natobs_otlp_")
    assert len(found) > 100
    assert {series for series in served if series[0].startswith("natobs_otlp_")} <= series_of(
        receiver.metrics[-1]
    ).keys()


def test_what_an_agent_pushes_is_what_it_serves() -> None:
    configuration = parse(LISTEN, "test")
    with receiving() as receiver:
        agent = Agent(nat_machine(), lambda: replace(configuration, otlp=quick(receiver.url)))
        agent.start()
        try:
            until(lambda: len(receiver.metrics) > 1)
            served = scraped(get(f"http://{agent.addresses[0]}/metrics"))
        finally:
            agent.stop()
    found = series_of(receiver.metrics[-1])
    changing = ("natobs_otlp_", "natobs_collector_duration_seconds")
    assert found.keys() == served.keys()
    assert without(found, *changing) == without(served, *changing)
    assert found["natobs_conntrack_entries", frozenset()] == 42
    assert not receiver.traces


@pytest.mark.usefixtures("patient_end")
def test_every_pushed_round_is_a_round_that_was_taken() -> None:
    taken: list[list[AnySample]] = []
    agent = Agent(nat_machine(), lambda: parse(LISTEN, "test"))

    def take() -> list[AnySample]:
        taken.append(agent._look())
        return taken[-1]

    with receiving() as receiver:
        push = OtlpPush("natobs-agent", "127.0.0.1:9650", take, time.time(), quick(receiver.url))
        push.start()
        until(lambda: len(receiver.metrics) >= 3)
        push.stop()
        agent.stop()
    assert len(receiver.metrics) >= 3
    for samples, request in zip(taken, receiver.metrics, strict=True):
        assert series_of(request) == scraped(encode(samples).body.decode())


def test_who_reports_is_said() -> None:
    with receiving() as receiver:
        otlp = quick(receiver.url, resource={"nat_cluster": "a", "host.name": "given"})
        push_once(otlp, "natobs-probe", "127.0.0.1:9651", [DROPS.sample(1, "a")])
    said = attributes(receiver.metrics[0].resource_metrics[0].resource.attributes)
    instance = said.pop("service.instance.id")
    assert said == {
        "service.name": "natobs-probe",
        "service.version": __version__,
        "host.name": "given",
        "nat_cluster": "a",
    }
    assert str(instance).endswith(":9651")
    assert len(str(instance)) > len(":9651")


def test_counters_of_the_kernel_began_with_the_host_and_those_of_natobs_with_its_process() -> None:
    before = time.time()
    up = time.clock_gettime(time.CLOCK_BOOTTIME)
    booted = before - up, time.time() - up
    configuration = parse(LISTEN, "test")
    with receiving() as receiver:
        agent = Agent(nat_machine(), lambda: replace(configuration, otlp=quick(receiver.url)))
        agent.start()
        until(lambda: receiver.metrics)
        agent.stop()
    sums = {one.name: one.sum for one in metrics_of(receiver.metrics[-1]) if one.WhichOneof("data") == "sum"}
    began = {
        row: {point.start_time_unix_nano / 1e9 for point in sums[row.name].data_points}
        for row in (conntrack.DROP, conntrack.NEW_FLOW_DROPS, otlp_metric.PUSHES)
    }
    (host,) = began[conntrack.DROP]
    assert booted[0] - 1 < host < booted[1] + 1
    (process,) = began[otlp_metric.PUSHES]
    assert before <= process <= time.time()
    assert began[conntrack.NEW_FLOW_DROPS] == {process}


def test_the_last_round_does_not_say_that_probing_has_ended() -> None:
    with receiving() as receiver, probing(lambda: probes(receiver.url)):
        until(lambda: receiver.metrics)
    found = [series_of(request) for request in receiver.metrics]
    assert {one.get(("natobs_probe_engine_up", frozenset()), 1) for one in found} == {1}
    assert any(series.startswith("natobs_probe_attempts") for series, _labels in found[-1])


def spans_by_host(receiver: Receiver, host: str) -> list[Span]:
    return [span for span in receiver.spans if attributes(span.attributes)["server.address"] == host]


@pytest.mark.usefixtures("patient_end")
def test_spans_are_all_failures_and_one_of_so_many_successes_and_carry_their_phases() -> None:
    with receiving() as receiver:
        with probing(lambda: probes(receiver.url)) as (prober, _url):
            until(lambda: counted(prober, "natobs_probe_success_total") > 12)
        good, bad = spans_by_host(receiver, "good.test"), spans_by_host(receiver, "bad.test")
        assert len(bad) == counted(prober, "natobs_probe_failures_total") > 8
        assert 0 <= len(good) - counted(prober, "natobs_probe_success_total") // 4 <= 1
    assert len({span.trace_id for span in receiver.spans}) == len(receiver.spans)
    for span in receiver.spans:
        assert span.kind == Span.SPAN_KIND_CLIENT
        assert [event.name for event in span.events] == list(PHASES)
        offsets = [(event.time_unix_nano - span.start_time_unix_nano) / 1e9 for event in span.events]
        assert offsets == pytest.approx([0.001, 0.0133, 0.0333], abs=1e-6)
        seconds = [attributes(event.attributes)["natobs.phase_seconds"] for event in span.events]
        assert seconds == list(PHASES.values())
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    span = next(span for span in bad if span.name == "probe http")
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "503 Service Unavailable")
    said = attributes(span.attributes)
    assert said.pop("natobs.lag_seconds") >= 0  # type: ignore[operator]  # a number
    assert said == {
        "natobs.probe": "web",
        "natobs.kind": "http",
        "natobs.target": "bad.test:80",
        "natobs.attempt": 0,
        "natobs.reason": "status",
        "error.type": "status",
        "server.address": "bad.test",
        "server.port": 80,
    }
    for well in good:  # of whichever probe: which success is taken is left to chance
        assert well.status.code == Status.STATUS_CODE_UNSET
        said = attributes(well.attributes)
        assert (said["natobs.rtt_seconds"], said["natobs.clock"]) == (0.0123, "kernel_txrx")
        assert (well.name, said["natobs.probe"]) in {("probe icmp", "echo"), ("probe http", "web")}
        assert said["server.address"] == "good.test"


@pytest.mark.usefixtures("patient_end")
def test_an_exemplar_leads_to_a_span_in_a_scrape_and_in_a_push() -> None:
    with receiving() as receiver:
        with probing(lambda: probes(receiver.url)) as (prober, url):
            until(lambda: counted(prober, "natobs_probe_success_total") > 12)
            text = get(f"{url}/metrics", Accept="application/openmetrics-text; version=1.0.0")
            assert "trace_id" not in get(f"{url}/metrics")
        spans = {(span.trace_id.hex(), span.span_id.hex()) for span in receiver.spans}
    families = openmetrics_parser.text_string_to_metric_families(text)  # type: ignore[no-untyped-call] # it has no annotations
    served = [sample.exemplar for family in families for sample in family.samples if sample.exemplar]
    assert {(one.labels["trace_id"], one.labels["span_id"]) for one in served} <= spans
    assert 0.0123 in {one.value for one in served}
    pushed = [
        exemplar
        for request in receiver.metrics
        for metric in metrics_of(request)
        for point in metric.histogram.data_points
        for exemplar in point.exemplars
    ]
    identities = [(one.trace_id.hex(), one.span_id.hex(), one.as_double, one.time_unix_nano) for one in pushed]
    assert {identity[:2] for identity in identities} <= spans
    assert len(identities) > 4
    assert max(map(identities.count, identities)) <= 2  # of its own series, and of the one that it is rolled up into


def pusher_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("natobs-otlp")]


@pytest.mark.parametrize("receiver", ["gone", "hangs"])
def test_without_a_receiver_nothing_else_suffers(receiver: str) -> None:
    held = held_seconds()
    with receiving(hang) as hanging, reserved_port() as nobody, standstill() as stood:
        url = hanging.url if receiver == "hangs" else f"http://127.0.0.1:{nobody}"
        with probing(lambda: probes(url, timeout_seconds=60.0, queue=2, successes_per_span=1)) as (prober, base):
            until(lambda: counted(prober, "natobs_probe_attempts_total") > 40)
            dropped = {"signal": "metrics", "result": "dropped"}
            until(lambda: value(get(f"{base}/metrics"), "natobs_otlp_pushes_total", **dropped))
            began = time.monotonic()
            text = get(f"{base}/metrics")
            assert time.monotonic() - began < 15  # far from the 60 s that a push may take
            # None, but for those that fell while the scheduler kept the threads of this process from the CPUs.
            assert (
                counted(prober, "natobs_probe_beats_skipped_total")
                <= 4 * (max(0.0, held_seconds() - held) + stood()) / BEAT_SECONDS
            )
            assert (value(text, "natobs_probe_schedule_lag_seconds") or 0) < 15
            for signal in ("metrics", "traces"):
                assert (value(text, "natobs_otlp_waiting", signal=signal) or 0) <= 2
                assert value(text, "natobs_otlp_pushes_total", signal=signal, result="sent") == 0
            assert len(pusher_threads()) <= 5  # clock, two senders, and what each has under way
            began = time.monotonic()
        assert time.monotonic() - began < 15


def test_what_waits_is_bounded_whatever_fails() -> None:
    push = OtlpPush("natobs-probe", ":9651", list, 0.0, quick("http://127.0.0.1:1", queue=3))
    assert push.tracing is not None
    attempt = Attempt(target(), 0, 1.0, 0.1, 0.0, Outcome(Reason.TIMEOUT))
    for _ in range(10 * BATCH):
        push.tracing(attempt)
    samples = {(sample.metric.name, sample.labels): sample.value for sample in push.samples()}
    assert samples["natobs_otlp_waiting", ("traces",)] == 3
    assert samples["natobs_otlp_pushes_total", ("traces", "dropped")] == 7


def test_pushes_resume_when_the_receiver_comes_back() -> None:
    with reserved_port() as port, probing(lambda: probes(f"http://127.0.0.1:{port}", queue=3)) as (prober, base):

        def attempts() -> float:
            found = series_of(receiver.metrics[-1])
            return sum(v for (name, _labels), v in found.items() if name == "natobs_probe_attempts_total")

        def result(name: str) -> float:
            return value(get(f"{base}/metrics"), "natobs_otlp_pushes_total", signal="metrics", result=name) or 0

        until(lambda: result("dropped") > 2)
        before = counted(prober, "natobs_probe_attempts_total")
        with receiving(port=port) as receiver:
            until(lambda: len(receiver.metrics) > 3 and receiver.spans and attempts() > before)
            assert result("sent") >= 3
        times = [metrics_of(request)[0].gauge.data_points[0].time_unix_nano for request in receiver.metrics]
        assert times == sorted(times)
