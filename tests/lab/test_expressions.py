"""Every expression of every panel and rule returns a series from a Prometheus that scrapes the lab, soon.

Those that are empty while all is well are asked while a fault is in the lab
that they are about. What no lab can have is named, with the reason.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import promql_parser
import pytest
import yaml

from natobs.config.fleet import Fleet
from natobs.generate.dashboards import files as dashboards
from natobs.generate.rules import files as rules
from natobs.generate.settings import plan
from natobs.lab import topology
from natobs.lab.faults.registry import find
from natobs.lab.stack.plan import Timing, cluster
from natobs.lab.stack.stack import Inputs, Stack, running
from tests.conftest import Figure
from tests.lab.expressions import Expression, of_panels, of_rules, operands

pytestmark = pytest.mark.lab

SCALE = 30
"""Five minutes become ten seconds, two minutes four, with a scrape every second."""
HOURLY = ("natobs-hours", "natobs-slo-hours")
"""Groups that even a lab would wait two minutes for: they are evaluated as soon as others here, over their windows."""
LENGTHS = {"$__rate_interval": "4s", "$__range": "1m"}
SECONDS = 120.0
"""Within which everything must have returned something."""

GARBLED, MAINTAINED, DEAD = "answers of DNS are garbled", "maintenance is declared", "agent and prober are dead"
"""What else can be wrong, beside the lab's faults."""
_GARBLE = """table inet garbled {
    chain sent { type route hook output priority mangle; udp sport 53 @th,96,16 set 7; }
}
"""
"""Answers say that they are to seven questions."""
NO_FAILURE, NO_DNS, NO_QUEUE = "no probe fails", "every name is found", "virtual interfaces have no queue of their own"
NO_EVENT, NO_CHANGE, NO_SILENCE = "nobody records an event", "no route changes", "every destination answers"
NO_MAINTENANCE, NO_DEATH, NO_ALERT = "no maintenance is declared", "every agent and prober answers", "no alert fires"
QUIET: Mapping[str, str] = {
    'natobs_probe_failures_total{reason="dns"': NO_DNS,
    'natobs_probe_failures_total{reason="no_route"': NO_FAILURE,
    "natobs_probe_failures_total{job": NO_FAILURE,
    "nat:probe_failing:ratio2m unless": NO_FAILURE,
    "nat:destination_unanswered:ratio5m > 0.5": NO_SILENCE,
    "subnet:names_failing:ratio2m": NO_DNS,
    "natobs_qdisc_drops_total": NO_QUEUE,
    "natobs_qdisc_backlog_bytes": NO_QUEUE,
    "natobs_scaling_event": NO_EVENT,
    "natobs_route_changes_total": NO_CHANGE,
    "nat:maintenance:active": NO_MAINTENANCE,
    "maintenance_until_timestamp_seconds": NO_MAINTENANCE,
    "last_over_time(nat:agent_seen:count5m": NO_DEATH,
    "last_over_time(subnet:prober_seen:count5m": NO_DEATH,
    "ALERTS{": NO_ALERT,
}
"""What is in expressions that are empty while all is well, and why."""
IMPOSSIBLE: Mapping[str, str] = {
    "natobs_nic_driver_drops_total": "counted by the drivers of cloud network cards; tested on recorded ones",
    "natobs_nic_allowance_exceeded_total": "counted by the drivers of cloud network cards; tested on recorded ones",
    'ALERTS{alertname=~"Nat': "which alerts fire for which fault is shown by game days",
    "prometheus_tsdb_lowest_timestamp_seconds": "takes a Prometheus that has begun to forget: hours, at least",
}
"""What is in expressions that no lab can fill, and why."""
STAGES: tuple[tuple[tuple[str, ...], set[str], set[str]], ...] = (
    (("third-party-down",), {NO_SILENCE}, set()),
    (("nic-drops", "scaling-flaps", GARBLED), {NO_DNS, NO_QUEUE, NO_EVENT}, {"NatDnsFailing"}),
    (("subnet-route-missing",), {NO_FAILURE, NO_ALERT}, {"NatSubnetRouteMissing", "NatProbeFailing"}),
    (("no-default-route",), {NO_CHANGE}, {"NatDefaultRouteMissing", "NatRouteChanged"}),
    ((MAINTAINED,), {NO_MAINTENANCE}, {"NatMaintenance"}),
    ((DEAD,), {NO_DEATH}, set()),  # its alerts are masked by maintenance
)
"""What is wrong at the same time, what is no longer so then, and alerts whose conditions must hold."""
PATIENCE = 60.0
"""For how many seconds at most a stage is waited for."""


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """Rules and dashboards of a fleet whose interfaces have a capacity, as a lab's have none of their own."""
    settings = plan(Fleet(link_capacity_bits_per_second=10**9), scale=SCALE)
    return {**rules.files(settings), **dashboards.files(settings)}


@pytest.fixture(scope="module")
def loaded(files: dict[str, str]) -> dict[str, str]:
    """The rule files that Prometheus loads."""
    found = {}
    for name in ("natobs-recording.yml", "natobs-alerts.yml"):
        document = yaml.safe_load(files[f"alerts/{name}"])
        for group in document["groups"]:
            if group["name"] in HOURLY:
                group["interval"] = "5s"
        found[name] = yaml.safe_dump(document, sort_keys=False)
    return found


@pytest.fixture(scope="module")
def stack(loaded: dict[str, str]) -> Iterator[Stack]:
    stacked = cluster("expressions", topology.two_armed, timing=Timing(SCALE))
    with running(stacked, Inputs(rules=loaded)) as made:
        made.await_scrapes()
        yield made


def ask(
    stack: Stack, wanted: Iterable[Expression], seconds: float, excused: Mapping[str, str] | None = None
) -> list[Expression]:
    """Ask for each until it returns something; give back what has not within so many seconds.

    Args:
        stack: with Prometheus.
        wanted: asked once where several are alike.
        seconds: at most.
        excused: words of expressions that nobody waits for.
    """
    left = {one.text: one for one in wanted}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not all(reasons(one, excused or {}) for one in left.values()):
        stack.check()
        left = {text: one for text, one in left.items() if not stack.prometheus.query(text)}
        time.sleep(0.5)
    return list(left.values())


@contextmanager
def trouble(stack: Stack, name: str) -> Iterator[None]:
    """Something is wrong while the block runs, or from then on."""
    nat, internet = stack.lab.host("nat"), stack.lab.host("internet")
    if name == GARBLED:
        internet.run(["nft", "-f", "-"], stdin=_GARBLE)
        yield
        internet.run(["nft", "delete", "table", "inet", "garbled"])
    elif name == MAINTAINED:
        start = nat.python("natobs", "maintenance", "start", "--for", "1h", "--config", "/run/stack/nat1.toml")
        nat.run(start)
        nat.run([*start, "--cluster", stack.plan.cluster])
        yield
    elif name == DEAD:
        for part in ("agent nat1", "prober nat1-client1"):
            stack.parts.pop(part).kill()
        yield
    else:
        with find(name)(stack.lab):
            yield


def reasons(one: Expression, known: Mapping[str, str]) -> list[str]:
    return [reason for words, reason in known.items() if words in one.text]


def test_every_expression_of_every_panel_and_rule_returns_a_series(
    stack: Stack, files: dict[str, str], loaded: dict[str, str], figure: Figure
) -> None:
    panels, ruled = list(of_panels(files, LENGTHS)), list(of_rules(loaded))
    everything = list({one.text: one for one in (*panels, *ruled)}.values())
    possible = [one for one in everything if not reasons(one, IMPOSSIBLE)]
    quiet = ask(stack, possible, SECONDS, QUIET)
    assert [one for one in quiet if not reasons(one, QUIET)] == []

    conditions = {one.whole: Expression(one.place, one.whole) for one in ruled if one.whole}
    left, silent, held = quiet, list(conditions.values()), set[str]()
    for names, ended, alerts in STAGES:
        with ExitStack() as faults:
            for name in names:
                faults.enter_context(trouble(stack, name))
            left = ask(stack, left, PATIENCE, {words: why for words, why in QUIET.items() if why not in ended})
            deadline = time.monotonic() + PATIENCE
            while not alerts <= held and time.monotonic() < deadline:
                silent = ask(stack, silent, 0.1)
                held = {one.place for one in conditions.values() if one not in silent}
            assert alerts <= held, left
    assert left == []

    figure(
        f"{len(panels)} expressions of panels and {len(ruled)} of rules, {len(everything)} different: "
        f"{len(possible) - len(quiet)} return series while all is well, {len(quiet)} under faults, "
        f"{len(everything) - len(possible)} not in a lab; "
        f"conditions held under these faults of {', '.join(sorted(held))}"
    )
    assert len(everything) > 400


def test_reasons_are_of_expressions_that_are_there(files: dict[str, str], loaded: dict[str, str]) -> None:
    everything = [*of_panels(files, LENGTHS), *of_rules(loaded)]
    for words in (*QUIET, *IMPOSSIBLE):
        assert any(words in one.text for one in everything), words


def test_an_expression_that_returns_nothing_is_found(stack: Stack) -> None:
    dead, alive = Expression("misspelt", "natobs_conntrack_entry"), Expression("alive", "up")
    assert ask(stack, [dead, alive], 1.5) == [dead]


def test_operands_are_what_is_compared() -> None:
    tree = promql_parser.parse("(a / (b > 5) > 3 and on (x) (c == bool 2)) unless on (x) d or e < f")
    assert [one.prettify().split() for one in operands(tree)] == [
        ["a", "/", "(b", ">", "5)"],
        ["c", "==", "bool", "2"],
        ["e"],
        ["f"],
    ]
