"""Queries that people put into runbooks, asked of a Prometheus that scrapes two NATs: each has an answer."""

import re
import time
from collections.abc import Iterator

import pytest

from natobs.catalogue.promql import Query, Rendering
from natobs.config.fleet import Fleet
from natobs.generate.rules import files as rules
from natobs.generate.runbooks import fragments
from natobs.generate.settings import plan
from natobs.lab import topology
from natobs.lab.stack.plan import Timing, cluster
from natobs.lab.stack.stack import Inputs, Stack, running
from tests.promql_names import selected
from tests.runbook_commands import blocks

pytestmark = pytest.mark.lab

SCALE = 15
SECONDS = 90.0
QUERIES = sorted(
    {
        " ".join(query.split())
        for name in fragments.names()
        for section in fragments.read(name).values()
        for query in blocks(Query(section).text(Rendering()), "promql")
    }
)
NOT_IN_A_LAB = {
    "natobs_network_capacity_bytes_per_second": "its interfaces have no speed, and none is configured",
    "nat:link_load:ratio": "the same",
    "natobs_maintenance_until_timestamp_seconds": "nobody has declared any",
    "natobs_cluster_maintenance_until_timestamp_seconds": "the same",
    "natobs_scaling_events_total": "nothing scales",
    "natobs_nic_allowance_exceeded_total": "no cloud",
    "natobs_nic_conntrack_allowance_available": "the same",
    "natobs_probe_discovery_success": "its targets come from no document",
    "natobs_qdisc_drops_total": "its interfaces have no queue",
    "natobs_probe_failures_total": "no probe fails",
    "slo:period_error_budget_remaining:ratio": "made of counts of hours; an hour of this lab is four minutes",
}
"""Series that are absent while all is well there, and why."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    made = rules.files(plan(Fleet(), SCALE))
    recorded = {"natobs-recording.yml": made["alerts/natobs-recording.yml"]}
    with running(cluster("asked", topology.two_armed, nats=2, timing=Timing(SCALE)), Inputs(rules=recorded)) as up:
        up.await_scrapes(3)
        yield up


def excused(query: str) -> bool:
    """Whether nothing is what a query gives in a lab that is well."""
    compared = re.search(r"[<>] \d+$", query) is not None
    return compared or bool(selected(query) & NOT_IN_A_LAB.keys())


def test_every_query_has_an_answer(stack: Stack) -> None:
    wanted = [query for query in QUERIES if not excused(query)]
    assert len(wanted) > 80
    deadline = time.monotonic() + SECONDS
    while (wanted := [query for query in wanted if not stack.prometheus.query(query)]) and time.monotonic() < deadline:
        time.sleep(1.0)
    assert wanted == []


def test_what_is_excused_is_understood_and_in_use(stack: Stack) -> None:
    for query in filter(excused, QUERIES):
        stack.prometheus.query(query)  # raises where Prometheus does not understand it
    assert {name for query in QUERIES for name in selected(query)} >= NOT_IN_A_LAB.keys()


def test_a_query_of_nothing_has_no_answer(stack: Stack) -> None:
    assert stack.prometheus.query("natobs_nothing") == []
