import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from natobs.config import Prefix
from natobs.errors import ConfigError
from natobs.exposition.limits import Limits
from natobs.exposition.prober import Prober
from natobs.probe_config import Compare, Expect, ProbeFile
from natobs.probes.model import Clock, Outcome, Reason, Steps, Target, Wait
from natobs.probes.service import ProbeService, targets_of
from tests.loopback import PATIENCE
from tests.otlp_receiver import until
from tests.scripted import (
    Attempting,
    all_given_back,
    at_once,
    black_hole,
    echo,
    kinds,
    probe_file,
    refused,
    settings,
)

QUICK: dict[str, object] = {"interval_seconds": 0.1, "timeout_seconds": 0.1, "retries": 1, "retry_delay_seconds": 0.01}
RICH = Outcome(
    rtt=0.0123,
    clock=Clock.KERNEL_TXRX,
    phases={"resolve": 0.001, "connect": 0.0123},
    observed=("192.0.2.1", 4711),
    path_mtu=1400,
    certificate_expiry=2e9,
    syn_retransmits=1,
)


def script(target: Target) -> Attempting:
    return {
        "good.test": echo,
        "rich.test": at_once(RICH),
        "bad.test": at_once(Outcome(Reason.STATUS, '503 <b>"Service Unavailable"</b>\n\\n')),
        "silent.test": black_hole,
    }[target.host]


FILE = probe_file(
    settings(name="web", kind="http", targets=("good.test", "bad.test"), **QUICK),
    settings(
        name="egress",
        kind="stun",
        targets=("rich.test",),
        critical=True,
        expect=Expect(addresses=(Prefix("192.0.2.0/24"),)),
        **QUICK,
    ),
    settings(name="hole", kind="udp", targets=("silent.test",), **(QUICK | {"interval_seconds": 1.0})),
    settings(name="paired", kind="udp", targets=("good.test",), compare=Compare(source="192.0.2.2"), **QUICK),
    settings(name="gateway", kind="icmp", targets=("good.test",), access=True, **QUICK),
)


@contextmanager
def serving(
    load: Callable[[], ProbeFile], doing: Callable[[Target], Attempting] = script
) -> Iterator[tuple[Prober, str]]:
    prober = Prober(load, kinds(doing))
    prober.start()
    try:
        yield prober, f"http://{prober.addresses[0]}"
    finally:
        prober.stop()


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    with serving(lambda: FILE) as (_prober, url):
        until(
            lambda: value(get(f"{url}/metrics"), "natobs_probe_retries_total", probe="hole", kind="udp", target="") or 0
        )
        yield url


def get(url: str, **headers: str) -> str:
    with urlopen(Request(url, headers=headers), timeout=PATIENCE) as response:  # noqa: S310 - always http on loopback
        text: str = response.read().decode()
        return text


def refusal(url: str) -> tuple[int, str]:
    with pytest.raises(HTTPError) as caught:
        get(url)
    return caught.value.code, caught.value.read().decode()


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_a_scrape_tells_what_became_of_the_attempts(base: str) -> None:
    text = get(f"{base}/metrics")
    shared = {"probe": "web", "kind": "http", "target": ""}
    own = {"probe": "egress", "kind": "stun", "target": "rich.test:862"}
    attempts = value(text, "natobs_probe_attempts_total", **shared)
    assert attempts
    assert attempts >= 2
    assert value(text, "natobs_probe_failures_total", **shared, reason="status")
    assert value(text, "natobs_probe_failures_total", probe="hole", kind="udp", target="", reason="timeout")
    assert value(text, "natobs_probe_success_total", **own)
    assert value(text, "natobs_probe_first_attempt_success_total", **own) == 0  # each needed a second SYN
    assert value(text, "natobs_probe_address_expected", **own) == 1
    assert value(text, "natobs_probe_observed_address_info", **own, address="192.0.2.1") == 1
    assert value(text, "natobs_probe_path_mtu_bytes", **own) == 1400
    assert value(text, "natobs_probe_rtt_seconds_bucket", **own, le="0.01") == 0
    assert value(text, "natobs_probe_rtt_seconds_bucket", **own, le="0.02") == value(
        text, "natobs_probe_rtt_seconds_count", **own
    )
    assert value(text, "natobs_probe_duration_seconds_count", probe="", kind="http", target="")
    assert value(text, "natobs_probe_engine_up") == 1
    assert value(text, "natobs_probe_beats_skipped_total") is not None


def test_openmetrics_are_well_formed(base: str) -> None:
    text = get(f"{base}/metrics", Accept="application/openmetrics-text; version=1.0.0")
    families = [family.name for family in openmetrics_parser.text_string_to_metric_families(text)]  # type: ignore[no-untyped-call] # it has no annotations
    assert "natobs_probe_phase_seconds" in families
    assert len(set(families)) == len(families)
    assert text.endswith("# EOF\n")


def test_promtool_has_nothing_to_say(base: str) -> None:
    promtool = shutil.which("promtool")
    assert promtool, "promtool is missing; `make programs` fetches it"
    for path in ("/metrics", "/probe?target=rich.test&module=egress"):
        done = subprocess.run(
            [promtool, "check", "metrics"], input=get(base + path), capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), path


def test_the_page_says_what_the_nat_adds_and_which_targets_are_the_nat_itself(base: str) -> None:
    labels = {"probe": "paired", "kind": "udp", "target": ""}
    until(lambda: (value(get(f"{base}/metrics"), "natobs_probe_added_rtt_pairs", **labels) or 0) > 6)
    text = get(f"{base}/")
    assert "gateway icmp · access, the NAT itself" in text
    _before, _heading, section = text.partition("<h2>Time that the NAT adds</h2>")
    assert re.search(
        r"0 s, below the limit of 20 ms <span class=\"dim\">between 0 s and 0 s \(95 %\), from \d+ pairs of the last "
        r"10 min</span>",
        section,
    )


def test_the_page_says_when_pairs_are_few_too_far_apart_or_incomplete() -> None:
    def slow(target: Target) -> Attempting:
        through = target.settings.compare.active
        return at_once(Outcome(rtt=0.1 if through else 0.01, clock=Clock.KERNEL_TXRX))

    def one_side(target: Target) -> Attempting:
        return slow(target) if target.settings.compare.active else at_once(refused())

    page = ("<h2>Time that the NAT adds</h2>", "</section>")
    file = probe_file(settings(targets=("a.test",), compare=Compare(mark=1), **QUICK))
    with serving(lambda: file, slow) as (_prober, url):
        until(lambda: "too few for an interval" in get(f"{url}/"))
        until(lambda: '90 ms, <span class="unknown">above the limit of 20 ms</span>' in get(f"{url}/"))
    with serving(lambda: file, one_side) as (_prober, url):
        until(lambda: "latest pair: without the NAT: Connection refused" in get(f"{url}/"))
        assert "no pair in the last 10 min" in get(f"{url}/").partition(page[0])[2].partition(page[1])[0]


def test_the_page_shows_targets_with_what_fails_first(base: str) -> None:
    text = get(f"{base}/")
    assert "6 targets, 2 failing" in text
    assert text.index("bad.test") < text.index("rich.test") < text.index("good.test")
    assert "503 &lt;b&gt;&quot;Service Unavailable&quot;&lt;/b&gt;" in text
    assert '<span class="unknown">status</span>' in text
    assert '<span class="unknown">timeout</span>' in text
    assert "12.3 ms" in text
    assert "192.0.2.1 (" in text
    assert '<meta http-equiv="refresh" content="5">' in text
    assert "<script" not in text
    assert "http://" not in text
    assert "https://" not in text


def test_health_and_readiness(base: str) -> None:
    assert get(f"{base}/healthz").startswith("200 OK: alive")
    assert get(f"{base}/-/healthy").startswith("200 OK: alive")
    assert get(f"{base}/readyz") == "200 OK: ready\n"


def test_not_ready_when_the_thread_has_died(caplog: pytest.LogCaptureFixture) -> None:
    with serving(lambda: FILE) as (prober, url):
        prober.service._crew.engine._report = None  # type: ignore[assignment]  # the fault
        until(lambda: not prober.service.running)
        assert refusal(f"{url}/readyz")[0] == 503
        assert value(get(f"{url}/metrics"), "natobs_probe_engine_up") == 0
        assert "NOT PROBING" in get(f"{url}/")
    assert "the thread that sends probes has ended" in caplog.text


def test_one_attempt_for_whoever_asks(base: str) -> None:
    text = get(f"{base}/probe?target=rich.test&module=egress")
    assert value(text, "probe_success") == 1
    assert value(text, "probe_rtt_seconds", clock="kernel_txrx") == 0.0123
    assert value(text, "probe_phase_duration_seconds", phase="connect") == 0.0123
    assert value(text, "probe_observed_address_info", address="192.0.2.1") == 1
    assert value(text, "probe_path_mtu_bytes") == 1400
    assert value(text, "probe_ssl_earliest_cert_expiry") == 2e9
    text = get(f"{base}/probe?target=bad.test&module=web")
    assert value(text, "probe_success") == 0
    assert value(text, "probe_failure_info", reason="status") == 1
    assert len([line for line in text.splitlines() if line.startswith("#")]) == 2 * len(
        list(text_string_to_metric_families(text))
    )


def test_an_attempt_for_somebody_ends_within_the_scrapers_limit() -> None:
    slow = probe_file(settings(targets=("silent.test",), timeout_seconds=9))
    with serving(lambda: slow) as (prober, url):
        prober._server._limits = Limits(grace=PATIENCE)  # a quarter of a second is soon over where much else goes on
        start = time.monotonic()
        text = get(f"{url}/probe?target=silent.test&module=test", **{"X-Prometheus-Scrape-Timeout-Seconds": "0.3"})
        assert time.monotonic() - start < 8
        assert value(text, "probe_success") == 0
        assert value(text, "probe_failure_info", reason="timeout") == 1


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "there are web, egress, hole"),
        ("target=good.test", 400, "ask for /probe"),
        ("target=good.test&module=nothing", 400, "ask for /probe"),
        ("target=169.254.169.254:80&module=web", 403, 'unless prober.adhoc_targets = "any"'),
    ],
)
def test_what_may_not_be_probed_is_refused(base: str, query: str, status: int, words: str) -> None:
    code, text = refusal(f"{base}/probe?{query}")
    assert code == status
    assert words in text


def test_any_target_where_the_file_says_so_and_urls_too() -> None:
    seen: list[Target] = []

    def watch(target: Target) -> Attempting:
        seen.append(target)
        return echo

    anyone = probe_file(settings(name="web", kind="http", targets=("good.test",)), adhoc_targets="any")
    with serving(lambda: anyone, watch) as (_prober, url):
        assert value(get(f"{url}/probe?target=http://other.test/x%3Fy&module=web"), "probe_success") == 1
        assert refusal(f"{url}/probe?target=stun://other.test&module=web")[0] == 400
        assert refusal(f"{url}/probe?target=a:b:&module=web")[0] == 400
    target = seen[-1]
    assert (target.name, target.settings.http.path, target.settings.http.tls) == ("other.test:80", "/x?y", False)
    assert target.settings.retries == 0


def test_no_more_attempts_at_once_than_there_are_places() -> None:
    file = probe_file(settings(targets=("held.test",), timeout_seconds=60, interval_seconds=60))
    enough = os.eventfd(0, os.EFD_NONBLOCK)

    def held(number: int) -> Steps:
        yield Wait(enough)
        return Outcome()

    def ask() -> int:
        try:
            get(f"{url}/probe?target=held.test&module=test")
        except HTTPError as error:
            error.close()
            return error.code
        return 200

    with serving(lambda: file, lambda _target: held) as (_prober, url), ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(ask) for _turn in range(10)]
        assert "natobs_probe" in get(f"{url}/metrics")  # meanwhile
        until(lambda: [one.result() for one in asked if one.done()] == [503] * 2)
        os.eventfd_write(enough, 1)
        assert sorted(one.result() for one in asked) == [200] * 8 + [503] * 2
    os.close(enough)


def test_a_reload_keeps_counters_of_targets_that_stay_and_a_wrong_one_changes_nothing() -> None:
    file = FILE
    with serving(lambda: file) as (prober, url):
        labels = {"probe": "egress", "kind": "stun", "target": "rich.test:862"}
        until(lambda: (value(get(f"{url}/metrics"), "natobs_probe_attempts_total", **labels) or 0) >= 3)
        file = probe_file(FILE.probe[1], listen=("127.0.0.1:1",))
        prober.reload()
        text = get(f"{url}/metrics")
        assert (value(text, "natobs_probe_attempts_total", **labels) or 0) >= 3
        assert 'probe="web"' not in text
        file = probe_file()
        with pytest.raises(ConfigError, match="no probe"):
            prober.reload()
        assert [target.host for target in prober.service.targets] == ["rich.test"]
        before = value(text, "natobs_probe_attempts_total", **labels) or 0
        until(lambda: (value(get(f"{url}/metrics"), "natobs_probe_attempts_total", **labels) or 0) > before)


def test_start_and_stop_leave_nothing_behind() -> None:
    with all_given_back():
        for _turn in range(3):
            service = ProbeService(FILE, kinds(script))
            service.start()
            service.reload(FILE)
            service.stop()
        ProbeService(FILE, kinds(script)).stop()  # never started


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (probe_file(), "no probe: the file has no"),
        (
            probe_file(settings(targets=("a.test", "a.test:862"))),
            "probe test: the target a.test:862 stands there twice",
        ),
        (probe_file(settings(targets=("[::1",))), r"probe test: target '\[::1': expected"),
        (probe_file(settings(targets=("a.test",), interval_seconds=0.1, timeout_seconds=0.1), max_rate=5), "10.0 att"),
    ],
)
def test_a_file_that_cannot_be_probed_is_refused(file: ProbeFile, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ProbeService(file, kinds(lambda target: at_once(refused())))


def test_targets_are_those_of_the_file_with_the_ports_of_their_kinds() -> None:
    file = probe_file(settings(targets=("a.test", "[2001:db8::1]:99", "2001:db8::2", "b.test:1")))
    names = [target.name for target in targets_of(file, kinds(lambda target: echo)())]
    assert names == ["a.test:862", "[2001:db8::1]:99", "[2001:db8::2]:862", "b.test:1"]
