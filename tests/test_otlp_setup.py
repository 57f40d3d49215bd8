import json
import subprocess
import sys
import time

import pytest
from msgspec.structs import replace
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse

from natobs.config import Config, Otlp, parse
from natobs.errors import ConfigError, ExpositionError, SetupError
from natobs.exposition.agent import Agent
from natobs.exposition.otlp.push import OtlpPush, push_once
from natobs.exposition.otlp.pusher import BATCH
from natobs.probes.model import Attempt, Outcome
from natobs.probes.tracing import Tracing
from tests.otlp_receiver import hang, receiving, status, until
from tests.scripted import target
from tests.test_agent import LISTEN, nat_machine
from tests.test_otlp_metrics import DROPS
from tests.test_otlp_push import probes, probing, pusher_threads, quick
from tests.test_probes_service import get, value


def test_a_reload_changes_where_to_and_keeps_the_counts() -> None:
    with receiving() as first, receiving() as second:
        urls = [""]
        with probing(lambda: probes(urls[0])) as (prober, base):

            def pushed() -> float:
                text = get(f"{base}/metrics")
                return value(text, "natobs_otlp_pushes_total", signal="metrics", result="sent") or 0

            assert "natobs_otlp" not in get(f"{base}/metrics")
            until(lambda: pusher_threads() == [])
            urls[0] = first.url
            prober.reload()
            until(lambda: pushed() > 2)
            urls[0] = second.url
            prober.reload()
            assert pushed() >= 2
            until(lambda: len(second.metrics) > 1 and second.spans)
            threads = pusher_threads()
            prober.reload()
            assert [name for name in pusher_threads() if name != "natobs-otlp-push"] == [
                name for name in threads if name != "natobs-otlp-push"
            ]
            urls[0] = ""
            prober.reload()
            assert prober.service.tracing is None
            until(lambda: pusher_threads() == [])
            assert "natobs_otlp" not in get(f"{base}/metrics")


def test_signals_that_are_not_wanted() -> None:
    with receiving() as receiver:
        with probing(lambda: probes(receiver.url, signals=("metrics",))) as (prober, _url):
            until(lambda: len(receiver.metrics) > 1)
            assert prober.service.tracing is None
        with probing(lambda: probes(receiver.url, signals=("traces",))):
            pushed = len(receiver.metrics)
            until(lambda: receiver.spans)
    assert len(receiver.metrics) == pushed


def test_a_single_push_says_what_came_of_it() -> None:
    traced: list[Attempt] = []
    tracing = Tracing(1, traced.append)
    attempts = [tracing(Attempt(target(), 0, 1.0, 0.1, 0.0, Outcome())) for _ in range(BATCH + 1)]
    with receiving() as receiver:
        push_once(quick(receiver.url), "natobs-probe", "", [DROPS.sample(1, "a")], attempts)
        assert (len(receiver.metrics), len(receiver.traces), len(receiver.spans)) == (1, 2, BATCH + 1)
    with pytest.raises(ExpositionError, match=r"metrics were not pushed to .*: Connection refused"):
        push_once(quick(receiver.url), "natobs-probe", "", [DROPS.sample(1, "a")])


def test_a_single_push_keeps_to_its_time() -> None:
    with receiving(hang) as receiver:
        began = time.monotonic()
        with pytest.raises(ExpositionError, match=r"metrics were not pushed to .*: no answer within"):
            push_once(quick(receiver.url, timeout_seconds=60.0), "natobs-probe", "", [DROPS.sample(1, "a")], limit=0.5)
        assert time.monotonic() - began < 30


def test_a_single_push_that_was_taken_in_part_is_told(caplog: pytest.LogCaptureFixture) -> None:
    answer = ExportMetricsServiceResponse()
    answer.partial_success.rejected_data_points = 3
    with receiving(status(200, answer.SerializeToString(), "application/x-protobuf")) as receiver:
        push_once(quick(receiver.url), "natobs-probe", "", [DROPS.sample(1, "a")])
    assert [record.getMessage() for record in caplog.records] == [
        f"OTLP: {receiver.url} takes metrics only in part: 3 data points were rejected"
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('endpoint = "collector:4318"', "endpoint"),
        ('endpoint = "http://:4318"', "is no URL with a host and a port"),
        ('endpoint = "http://host:99999"', "is no URL with a host and a port"),
        ('endpoint = "http://host:0"', "is no URL with a host and a port"),
        ('endpoint = "http://host:x"', "is no URL with a host and a port"),
        ('endpoint = "http://[::1"', "is no URL with a host and a port"),
        ('endpoint = "http://user:secret@host:4318"', "belongs into headers"),
        ('endpoint = "http://host:4318/v1/metrics"', "leave them out"),
        ('endpoint = "http://host:4318?tenant=a"', "no query"),
        ('headers = {"a b" = "c"}', "no name of a header"),
        ('headers = {"Authorization" = "secret\\nX: y"}', "printable ASCII"),
        ("interval_seconds = 0.5", "interval_seconds"),
        ('signals = ["logs"]', "signals"),
    ],
)
def test_what_is_wrong_in_the_configuration_is_said_without_secrets(line: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(f"[otlp]\n{line}\n", "natobs.toml")
    assert str(caught.value).startswith("natobs.toml: otlp")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["", "http://a", "http://127.0.0.1:4318/", "https://[2001:db8::1]:4318/otlp", "https://o.example/a/b-c_d~1"]
)
def test_base_urls(url: str) -> None:
    assert parse(f'[otlp]\nendpoint = "{url}"\n', "natobs.toml").otlp.endpoint == url


def test_a_file_of_authorities_that_cannot_be_used_keeps_a_reload_from_changing_anything() -> None:
    files = [Config()]
    agent = Agent(nat_machine(), lambda: replace(parse(LISTEN, "test"), otlp=files[0].otlp))
    agent.start()
    try:
        files[0] = Config(otlp=Otlp(endpoint="https://127.0.0.1:1", ca_file="/nowhere/ca.pem"))
        with pytest.raises(ConfigError, match=r"otlp\.ca_file: /nowhere/ca\.pem"):
            agent.reload()
        until(lambda: pusher_threads() == [])
    finally:
        agent.stop()


def test_a_missing_library_is_said_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "natobs.exposition.otlp.exporters")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    with pytest.raises(SetupError, match=r"pip install 'natobs\[otlp\]'"):
        OtlpPush("natobs-agent", ":9650", list, 0.0, quick("http://127.0.0.1:1"))


def test_without_an_endpoint_nothing_is_loaded() -> None:
    code = (
        "import json, sys; from natobs.config import Otlp; from natobs.exposition.otlp.push import OtlpPush;"
        "push = OtlpPush('natobs-agent', ':9650', list, 0.0, Otlp()); push.start(); push.stop();"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "natobs" in loaded
    assert loaded & {"opentelemetry", "requests", "google", "urllib3"} == set()
