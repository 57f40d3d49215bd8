"""When a census is taken, which one is shown, and what becomes of all that can go wrong."""

import sys
import time
from collections.abc import Callable, Sequence

import pytest

from natobs.catalogue.metrics import flows as metric
from natobs.collectors.base import Outcome, run
from natobs.collectors.flows import FlowsCollector, order_of
from natobs.config import Census, Nat, parse
from natobs.errors import UnavailableError
from natobs.kernel import flow_names, flow_worker
from natobs.kernel.flow_results import Reason
from natobs.kernel.live import LiveMachine
from natobs.kernel.machine import Query
from natobs.kernel.worker import Ended, Worker
from tests import censuses
from tests.fakes import FakeMachine

ANSWER = censuses.delivery(censuses.answer())


class LiveFake(FakeMachine):
    """Answers what is computed by computing it, as a live machine does."""

    def ask(self, query: Query) -> bytes:
        return LiveMachine().ask(query)


class FakeWorker(Worker):
    """Leaves what the test says, so many seconds of its clock after it was started."""

    def __init__(self, clock: Callable[[], float], left: Sequence[Ended], seconds: float = 0.0) -> None:
        super().__init__([], {})
        self.now, self.left, self.seconds = clock, list(left), seconds
        self.starts: list[float] = []

    def start(self, order: bytes, seconds: float) -> None:
        self.starts.append(self.now())

    def poll(self) -> Ended | None:
        return None if self.now() < self.starts[-1] + self.seconds else self.left.pop(0)


class Bench:
    """A collector with a clock and a worker of the test's own."""

    def __init__(self, *left: Ended, seconds: float = 0.0, settings: Census | None = None) -> None:
        self.now = 100.0
        self.worker = FakeWorker(lambda: self.now, left, seconds)
        self.collector = FlowsCollector(settings or Census(), Nat(), lambda: self.now, self.worker)
        self.machine = LiveFake()

    def tick(self, after: float = 0.0) -> None:
        self.now += after
        self.collector.tick(self.machine)

    def pass_time(self, seconds: float, step: float = 1.0) -> None:
        for _step in range(int(seconds / step)):
            self.tick(step)

    def outcome(self) -> Outcome:
        return run(self.collector, self.machine)

    def values(self) -> dict[str, float]:
        return {
            " ".join((sample.metric.name.removeprefix("natobs_"), *sample.labels)): sample.value
            for sample in self.outcome().samples
        }


def good(cpu: float = 0.5, content: bytes = ANSWER) -> Ended:
    return Ended(content, "", cpu)


def of(reason: Reason, hosts: dict[str, int], cpu: float = 0.5) -> Ended:
    return good(cpu, censuses.delivery(censuses.answer(hosts, reason=reason)))


def test_the_catalogue_knows_the_words_of_the_kernel_layer() -> None:
    assert set(flow_names.PROTOCOLS.values()) | {"other"} == set(metric.PROTOCOLS)
    assert set(flow_names.TCP_STATES) | {"unreplied", "replied", "assured", "unknown"} == set(metric.STATES)


def test_figures_of_a_census() -> None:
    bench = Bench(good())
    assert bench.values() == {}
    assert [gap.reason for gap in bench.outcome().gaps] == ["absent"]
    bench.tick()
    bench.now += 5
    outcome = bench.outcome()
    assert not outcome.gaps
    assert bench.values() == {
        "nat_flows tcp ESTABLISHED": 100,
        "nat_flows tcp TIME_WAIT": 2,
        "nat_flows other unreplied": 9,
        "nat_translated_flows": 102,
        "nat_unanswered_flows": 0,
        "nat_unanswered_flows_ratio": 0,
        "nat_hosts": 2,
        "nat_destinations": 20,
        "nat_host_flows 10.0.0.1": 60,
        "nat_host_flows 10.0.0.2": 42,
        "nat_host_flows other": 0,
        "nat_host_unanswered_flows other": 0,
        "destination_flows 198.51.100.1 443 tcp": 102,
        "destination_flows 198.51.100.2 443 tcp": 5,
        "destination_flows 198.51.100.1 0 other": 4,
        "destination_flows other other other": 6,
        "tenant_flows web": 102,
        "tenant_flows other": 9,
        "snat_ports_in_use 203.0.113.10 tcp": 102,
        "snat_ports_in_use 203.0.113.10 icmp": 3,
        "snat_port_range_size 203.0.113.10 tcp ruleset": 1000,
        "snat_port_range_size 203.0.113.10 icmp default": 65536,
        "snat_destination_ports_in_use 203.0.113.10 tcp 198.51.100.1 443": 100,
        "snat_destination_ports_in_use 203.0.113.10 tcp 198.51.100.2 443": 5,
        "snat_destination_ports_in_use 203.0.113.10 icmp 198.51.100.1 0": 3,
        "snat_destination_ports_reclaimable 203.0.113.10 tcp 198.51.100.1 443": 2,
        "snat_destination_ports_reclaimable 203.0.113.10 tcp 198.51.100.2 443": 0,
        "snat_destination_ports_reclaimable 203.0.113.10 icmp 198.51.100.1 0": 0,
        "snat_destination_saturation_ratio 203.0.113.10 tcp": 0.1,
        "snat_destination_saturation_ratio 203.0.113.10 icmp": 3 / 65536,
        "census_duration_seconds": 0.25,
        "census_cpu_seconds_total": 0.5,
        "census_memory_bytes": 40_000_000,
        "census_timestamp_seconds": 1000,
        "census_age_seconds": 5,
        "census_interval_seconds": 60,
        "census_complete": 1,
        "census_attempts": 1,
        **{f"censuses_total {result}": float(result == "complete") for result in metric.RESULTS},
    }


def test_series_stay_within_the_bound_and_sum_to_the_whole() -> None:
    found = censuses.many_hosts(400)
    bench = Bench(good(content=censuses.delivery(found)), settings=Census(top=7))
    bench.tick()
    values = bench.values()
    hosts = {name: value for name, value in values.items() if name.startswith("nat_host_flows ")}
    assert len(hosts) == 8
    assert sum(hosts.values()) == sum(row.flows for row in found.census.figures.hosts.rows) + 7
    assert hosts["nat_host_flows 10.0.0.0"] == 400


def test_a_range_from_the_configuration_where_the_ruleset_says_nothing() -> None:
    content = censuses.delivery(censuses.answer(size=None))
    bench = Bench(good(content=content), settings=Census(snat_ports={censuses.NAT: 200}))
    bench.tick()
    values = bench.values()
    assert values["snat_port_range_size 203.0.113.10 tcp config"] == 200
    assert values["snat_destination_saturation_ratio 203.0.113.10 tcp"] == 0.5
    bench = Bench(good(content=content))
    bench.tick()
    assert bench.values()["snat_port_range_size 203.0.113.10 tcp default"] == 64512


def test_intervals_run_from_beginning_to_beginning() -> None:
    bench = Bench(*[good()] * 4, seconds=2.5)
    bench.tick()
    bench.pass_time(200)
    assert bench.worker.starts == [100, 160, 220, 280]


@pytest.mark.parametrize(("cpu", "gap"), [(0.1, 60), (2.9, 60), (3.1, 62), (10, 200), (30, 600)])
def test_the_share_of_a_cpu_is_kept(cpu: float, gap: float) -> None:
    bench = Bench(*[good(cpu)] * 9)
    bench.tick()
    bench.pass_time(gap * 4 - 1, 0.5)
    assert bench.worker.starts == [100 + gap * number for number in range(4)]
    assert bench.values()["census_interval_seconds"] == pytest.approx(max(60, cpu / 0.05))
    spent, elapsed = bench.values()["census_cpu_seconds_total"], bench.now - 100
    assert (spent - cpu) / elapsed <= 0.05


def test_failed_censuses_cost_their_share_too() -> None:
    bench = Bench(*[Ended(b"", "was killed by signal 9", 15)] * 9)
    bench.tick()
    bench.pass_time(899)
    assert bench.worker.starts == [100, 400, 700]
    assert bench.values()["census_cpu_seconds_total"] == 45


@pytest.mark.parametrize(
    ("left", "reason", "words"),
    [
        (Ended(b"", "was killed by signal 11", 0.1), "error", "flow census: the process was killed by signal 11"),
        (Ended(b"", "took too long and was killed", 0.1), "error", "flow census: the process took too long"),
        (good(content=b""), "format", "census: not an answer"),
        (good(content=b"\x00" * 1000), "format", "census: not an answer"),
        (good(content=b'{"type":"answer","answer":{}}'), "format", "census: not an answer: Object missing"),
        (good(content=b"[" * 100_000), "format", "census: not an answer"),
        (good(content=ANSWER.replace(b"ESTABLISHED", b"ODD")), "format", "flow census: figures that cannot be"),
        (good(content=censuses.delivery(censuses.answer(size=0))), "format", "flow census: figures that cannot be"),
        (good(content=censuses.refusal("permission", "needs CAP_NET_ADMIN")), "permission", "needs CAP_NET_ADMIN"),
    ],
)
def test_what_a_process_may_leave(left: Ended, reason: str, words: str) -> None:
    bench = Bench(left, good())
    bench.tick()
    outcome = bench.outcome()
    (gap,) = outcome.gaps
    assert gap.reason == reason
    assert gap.detail.startswith(words)
    assert not outcome.success
    refused = reason == "permission"
    assert {sample.metric for sample in outcome.samples} == (
        set() if refused else {metric.CPU, metric.COMPLETE, metric.PERIOD, metric.CENSUSES}
    )
    bench.tick(59)
    assert len(bench.worker.starts) == 1
    bench.tick(1)
    assert bench.outcome().success
    assert bench.values()["censuses_total failed"] == (not refused)


def test_after_a_failure_the_last_figures_stay_for_three_intervals() -> None:
    bench = Bench(good(), *[Ended(b"", "ended with status 1", 0.1)] * 5)
    bench.tick()
    bench.pass_time(179)
    values = bench.values()
    assert values["nat_hosts"] == 2
    assert values["census_age_seconds"] == 179
    assert values["census_complete"] == 0
    bench.pass_time(1)
    values = bench.values()
    assert "nat_hosts" not in values
    assert "census_age_seconds" not in values
    assert values["censuses_total failed"] == 3


def test_a_census_that_never_ends_is_said_to_be_old() -> None:
    bench = Bench(good(), good(), seconds=1.0)
    bench.tick()
    bench.tick(1)
    bench.worker.seconds = 1e9
    bench.pass_time(200)
    assert bench.values().keys() & {"nat_hosts", "census_age_seconds"} == set()
    (gap,) = bench.outcome().gaps
    assert (gap.reason, gap.detail) == ("timeout", "flow census: the latest is 201 s old, too old to be shown")


@pytest.mark.parametrize("reason", ["changed", "malformed", "interrupted"])
def test_an_incomplete_census_of_the_whole_table_is_shown(reason: Reason) -> None:
    bench = Bench(of("", {"10.0.0.1": 50}), of(reason, {"10.0.0.1": 80}))
    bench.tick()
    bench.tick(60)
    values = bench.values()
    assert values["nat_host_flows 10.0.0.1"] == 80
    assert values["nat_host_flows_change 10.0.0.1"] == 30
    assert (values["census_complete"], values[f"censuses_total {reason}"]) == (0, 1)


@pytest.mark.parametrize("reason", ["timeout", "overrun"])
def test_a_census_of_a_part_does_not_hide_a_fresh_one_of_the_whole(reason: Reason) -> None:
    part = of(reason, {"10.0.0.1": 7})
    bench = Bench(part, of("", {"10.0.0.1": 50}), part, part, part, of("", {"10.0.0.1": 60}))
    bench.tick()
    assert bench.values()["nat_host_flows 10.0.0.1"] == 7  # better than nothing
    for after, shown in ((60, 50), (60, 50), (60, 50), (60, 7), (60, 60)):
        bench.tick(after)
        values = bench.values()
        assert values["nat_host_flows 10.0.0.1"] == shown
        assert values["census_complete"] == (shown > 7 and values["census_age_seconds"] == 0)
        assert "nat_host_flows_change 10.0.0.1" not in values


def test_growth_of_hosts_sums_to_the_change_of_all() -> None:
    bench = Bench(
        of("", {"10.0.0.1": 50, "10.0.0.2": 30, "10.0.0.3": 9}),
        of("", {"10.0.0.2": 90, "10.0.0.1": 55, "10.0.0.4": 20}),
        settings=Census(top=2),
    )
    bench.tick()
    bench.tick(60)
    changes = {name: value for name, value in bench.values().items() if "flows_change" in name}
    assert changes == {
        "nat_host_flows_change 10.0.0.2": 60,
        "nat_host_flows_change 10.0.0.4": 20,
        "nat_host_flows_change other": 5 - 9,
    }


def test_switched_off_it_says_so_and_starts_nothing() -> None:
    bench = Bench(settings=Census(enabled=False))
    bench.pass_time(300)
    outcome = bench.outcome()
    assert (outcome.samples, outcome.success, bench.worker.starts) == ((), True, [])
    assert [gap.detail for gap in outcome.gaps] == ["flow census: switched off (census.enabled)"]


def test_the_order_follows_from_the_configuration() -> None:
    config = parse(
        '[nat]\ninside = ["10.0.0.0/16"]\n[census]\nlimit_seconds = 7\n'
        '[census.tenants.web]\nprefixes = ["10.0.1.0/24"]\nmarks = [7]\n[census.tenants.mail]\n',
        "f.toml",
    )
    assert order_of(config.census, config.nat, 30) == flow_worker.Order(
        ("10.0.0.0/16",),
        (flow_worker.TenantOrder("web", ("10.0.1.0/24",), (7,)), flow_worker.TenantOrder("mail", (), ())),
        30,
        7.0,
    )


def test_a_real_process_that_hangs_does_not_keep_a_tick_waiting() -> None:
    worker = Worker([sys.executable, "-c", "import time; time.sleep(60)"], {})
    collector = FlowsCollector(Census(), Nat(), worker=worker)
    machine = LiveFake()
    collector.tick(machine)
    try:
        start = time.monotonic()
        for _tick in range(50):
            collector.tick(machine)
            run(collector, machine)
        assert time.monotonic() - start < 30  # of the 60 that it sleeps
        assert worker.pid is not None
    finally:
        collector.close()
    assert worker.pid is None


def test_a_process_that_cannot_be_started_is_a_failure_like_any_other() -> None:
    collector = FlowsCollector(Census(), Nat(), worker=Worker(["/nowhere/python"], {}))
    collector.tick(LiveFake())
    (gap,) = run(collector, LiveFake()).gaps
    assert "/nowhere/python" in gap.detail


def test_a_recorded_census_is_replayed() -> None:
    machine = FakeMachine({"census.json": ANSWER})
    now = [0.0]
    collector = FlowsCollector(Census(), Nat(), lambda: now[0])
    collector.tick(machine)
    names = {sample.metric for sample in run(collector, machine).samples}
    assert names == set(collector.metrics) - {metric.HOST_CHANGE}
    now[0] = 60.0
    collector.tick(machine)
    assert machine.asked == ["census.json"] * 2
    with pytest.raises(UnavailableError):
        FakeMachine().ask(collector._question)
