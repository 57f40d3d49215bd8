"""Pushes to a Pushgateway: a stand-in that reads what comes with Prometheus' own parser, and the real one."""

import base64
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from urllib.parse import unquote
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from natobs.catalogue.metrics import probes as metric
from natobs.catalogue.types import AnySample, HistogramValue
from natobs.errors import ConfigError, ExpositionError
from natobs.exposition.pushgateway import check, path_of, push
from tests.loopback import PATIENCE, eventually, reserved_port
from tests.web_answers import Answering, Web, answer, web

LABELS = ("web", "http", "x.test:443")
SAMPLES: list[AnySample] = [
    metric.ATTEMPTS.sample(3, *LABELS),
    metric.FAILURES.sample(1, *LABELS, "timeout"),
    metric.RTT.distribution(HistogramValue((0,) * len(metric.RTT.buckets) + (2,), 0.5), *LABELS),
    metric.OBSERVED_ADDRESS.sample(1, *LABELS, "192.0.2.1"),
]


@pytest.mark.parametrize(
    ("job", "grouping", "path"),
    [
        ("natobs", {}, "/metrics/job/natobs"),
        ("natobs", {"instance": "10.0.0.1:9", "zone": "a b"}, "/metrics/job/natobs/instance/10.0.0.1%3A9/zone/a%20b"),
        ("cleaner", {"path": "/srv/x"}, "/metrics/job/cleaner/path@base64/L3Nydi94"),
        ("titan", {"name": "Προ"}, "/metrics/job/titan/name/%CE%A0%CF%81%CE%BF"),
        ("a/b", {"empty": ""}, "/metrics/job@base64/YS9i/empty@base64/="),
        ("..", {"x": "."}, "/metrics/job@base64/Li4/x@base64/Lg"),
    ],
)
def test_the_path_of_a_group_is_that_of_the_documentation(job: str, grouping: dict[str, str], path: str) -> None:
    assert path_of(job, grouping) == path


@given(st.text(min_size=1), st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(), max_size=3))
def test_every_value_comes_back_from_the_path(job: str, grouping: dict[str, str]) -> None:
    parts = path_of(job, grouping).split("/")
    assert parts[:2] == ["", "metrics"]
    found = {}
    for name, value in zip(parts[2::2], parts[3::2], strict=True):
        label, at, _form = name.partition("@")
        padded = value.rstrip("=") + "=" * (-len(value.rstrip("=")) % 4)
        found[label] = base64.urlsafe_b64decode(padded).decode() if at else unquote(value)
    assert found == {"job": job} | {name: value for name, value in grouping.items() if name != "job"}


@pytest.mark.parametrize(
    ("url", "job", "grouping", "problem"),
    [
        ("gateway:9091", "j", {}, "pushgateway: no URL that can be asked"),
        ("http://h/?x=1", "j", {}, "no query and no fragment"),
        ("http://h/#x", "j", {}, "no query and no fragment"),
        ("http://h", "", {}, "the job has no name"),
        ("http://h", "j", {"job": "k"}, "'job' is no label to group by"),
        ("http://h", "j", {"a-b": "k"}, "'a-b' is no label"),
        ("http://h", "j", {"__name__": "k"}, "'__name__' is no label"),
        ("http://h", "j", {"": "k"}, "'' is no label"),
    ],
)
def test_where_no_push_can_go(url: str, job: str, grouping: dict[str, str], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        check(url, job, grouping)


def test_a_label_of_the_samples_cannot_be_grouped_by() -> None:
    with pytest.raises(ConfigError, match="kind cannot be grouped by: it is a label of natobs_probe_"):
        push("http://127.0.0.1:1", SAMPLES, job="j", grouping={"kind": "x"}, limit=1)


def pushed(served: Web, **options: object) -> None:
    given: dict[str, object] = {"job": "n", "grouping": {"subnet": "10.0.0.0/24"}, "limit": PATIENCE}
    push(served.url("/", "u:p@127.0.0.1"), SAMPLES, **(given | options))  # type: ignore[arg-type]  # a test's own values


def test_what_arrives_is_the_exposition() -> None:
    with web() as served:
        path = "/metrics/job/n/subnet@base64/MTAuMC4wLjAvMjQ"
        served.paths[path] = answer(b"", "202 Accepted", "")
        pushed(served)
        head, empty, body = served.requests[0].partition(b"\r\n\r\n")
        head += empty
    assert head.startswith(b"PUT " + path.encode() + b" HTTP/1.1\r\n")
    assert b"Authorization: Basic dTpw\r\n" in head
    assert b"Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n" in head
    families = {family.name: family for family in text_string_to_metric_families(body.decode())}
    assert set(families) == {
        "natobs_probe_attempts",
        "natobs_probe_failures",
        "natobs_probe_rtt_seconds",
        "natobs_probe_observed_address_info",
    }
    assert families["natobs_probe_attempts"].samples[0].value == 3


def silent(client: socket.socket, _request: bytes) -> None:
    client.recv(1)


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (
            answer(b"pushed metrics are\ninconsistent \x1b[2J", "400 Bad Request", "text/plain"),
            "400 pushed metrics are i",
        ),
        (answer(b"", "500 Internal Server Error", ""), "it answered 500"),
        (answer(b"", "302 Found", "", "Location: /elsewhere"), "it answered 302"),
        (answer(b"<html>", "204 No Content", "text/html"), "it answered 204"),
        (silent, "no complete answer within 0.3 s"),
    ],
)
def test_a_push_that_was_not_accepted(how: Answering, problem: str) -> None:
    with web() as served:
        served.paths["/metrics/job/n"] = how
        with pytest.raises(ExpositionError) as caught:
            pushed(served, grouping={}, limit=0.3 if how is silent else PATIENCE)
    said = str(caught.value)
    assert said.startswith(f"nothing was pushed to http://127.0.0.1:{served.port}/: ")
    assert problem[:20] in said
    assert said.isprintable()
    assert "u:p" not in said


@contextmanager
def pushgateway() -> Iterator[str]:
    """Debian's."""
    program = shutil.which("prometheus-pushgateway")
    assert program, "prometheus-pushgateway is missing; `make programs` fetches it"
    with reserved_port() as port:
        address = f"127.0.0.1:{port}"
        # Debian's keeps what it has in a file of the machine unless it is told not to.
        command = [program, f"--web.listen-address={address}", "--persistence.file="]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            assert eventually(lambda: healthy(address))
            yield f"http://{address}"
        finally:
            process.kill()
            process.wait()


def healthy(address: str) -> bool:
    connection = HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", "/-/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def exposed(url: str) -> dict[tuple[str, str], float]:
    """Metric and subnet to value, of what the Pushgateway exposes of us."""
    with urlopen(f"{url}/metrics", timeout=PATIENCE) as response:  # noqa: S310 - always http on loopback
        text = response.read().decode()
    return {
        (sample.name, sample.labels.get("subnet", "")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(("natobs_probe_attempts", "natobs_probe_failures"))
    }


def test_the_real_one_keeps_the_latest_push_of_each_group() -> None:
    with pushgateway() as url:
        first, second = {"subnet": "10.0.1.0/24"}, {"subnet": ""}
        push(url, SAMPLES, job="natobs", grouping=first, limit=PATIENCE)
        push(url + "/", SAMPLES[:1], job="natobs", grouping=second, limit=PATIENCE)
        assert exposed(url) == {
            ("natobs_probe_attempts_total", "10.0.1.0/24"): 3,
            ("natobs_probe_failures_total", "10.0.1.0/24"): 1,
            ("natobs_probe_attempts_total", ""): 3,
        }
        push(url, SAMPLES[:1], job="natobs", grouping=first, limit=PATIENCE)  # the group is replaced as a whole
        assert ("natobs_probe_failures_total", "10.0.1.0/24") not in exposed(url)
        broken: list[AnySample] = [metric.ATTEMPTS.sample(1, *LABELS), metric.ATTEMPTS.sample(1, "web", "http", "\0")]
        push(url, broken, job="natobs", grouping=first, limit=PATIENCE)
        time.sleep(0.1)
        assert exposed(url)["natobs_probe_attempts_total", "10.0.1.0/24"] == 1
