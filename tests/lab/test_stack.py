"""A stack stands, everything in it is scraped, an alert reaches the pager, and nothing is left of it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from natobs.catalogue.metrics import accounting, conntrack, flows, probes, taps
from natobs.catalogue.types import Metric
from natobs.errors import LabError
from natobs.lab import sweep, topology
from natobs.lab.stack.api import Series
from natobs.lab.stack.plan import Timing, cluster
from natobs.lab.stack.stack import ALERTMANAGER, PROMETHEUS, Inputs, Stack, running
from tests.conftest import Figure
from tests.lab import people
from tests.lab.test_lab_lifetime import kill, read_until
from tests.loopback import eventually

pytestmark = pytest.mark.lab

SCALE = 15
RULES = yaml.safe_dump(
    {
        "groups": [
            {
                "name": "synthetic",
                "rules": [
                    {
                        "alert": "NatSeen",
                        "expr": "max_over_time(natobs_conntrack_entries[10s]) > 0",
                        "labels": {"severity": "critical"},
                        "annotations": {"summary": "The table has entries."},
                    },
                    {"alert": "NatNotSeen", "expr": "max_over_time(natobs_conntrack_entries[10s]) < 0"},
                ],
            }
        ]
    }
)
OWN = """
import sys, time
from natobs.lab import topology
from natobs.lab.stack.plan import Timing, cluster
from natobs.lab.stack.stack import running
with running(cluster("owned", topology.one_armed, timing=Timing(15))) as stack:
    stack.await_scrapes()
    print("stands", stack.urls, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def took() -> dict[str, float]:
    return {}


@pytest.fixture(scope="module")
def stack(took: dict[str, float]) -> Iterator[Stack]:
    began = time.monotonic()
    plan = cluster("stacked", topology.two_armed, nats=2, timing=Timing(SCALE))
    with running(plan, Inputs(rules={"synthetic.yml": RULES})) as made:
        took["start"] = time.monotonic() - began
        made.await_scrapes(3)
        yield made


def awaited(look: Callable[[], list[Series]], count: int = 1, seconds: float = 60.0) -> list[Series]:
    """Ask until so many series are the answer."""
    deadline = time.monotonic() + seconds
    while len(found := look()) < count and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def test_two_nats_are_up_and_every_target_answers(stack: Stack, took: dict[str, float], figure: Figure) -> None:
    figure(f"two NATs and what watches them stood after {took['start']:.1f} s")
    up = awaited(lambda: stack.prometheus.query("up == 1"), 6)
    found = {(series.labels["nat"], series.labels.get("subnet", "")) for series in up}
    assert found == {(nat, subnet) for nat in ("nat1", "nat2") for subnet in ("", "private1", "private2")}
    assert eventually(lambda: [one["lastError"] for one in stack.prometheus.targets()] == [""] * 6, 20)
    stack.check()


def test_the_database_begins_with_targets_that_answer(stack: Stack) -> None:
    answered, took = (
        {(series.labels["instance"], at): value for series in found for at, value in series.samples}
        for found in map(stack.prometheus.query, ("up[1h]", "scrape_duration_seconds[1h]"))
    )
    assert len(answered) >= 3 * 6
    # One that listens already may have to wait for a CPU until the time of its scrape is up.
    waited = 0.9 * stack.plan.timing.scrape
    assert [scrape for scrape, value in answered.items() if value != 1 and took[scrape] < waited] == []


AGENT = (
    *(conntrack.ENTRIES, conntrack.NEW_FLOW_DROPS, accounting.ATTEMPTS, accounting.ANSWERED),
    *(accounting.DESTINATION_ATTEMPTS, flows.FLOWS, flows.HOST_FLOWS, flows.SATURATION, taps.SEEN),
)
PROBER = (
    *(probes.ATTEMPTS, probes.FIRST_ATTEMPT_SUCCESS, probes.RTT, probes.ADDED_RTT, probes.ACCESS_RTT),
    *(probes.OBSERVED_ADDRESS, probes.ADDRESS_EXPECTED, probes.PATH_MTU),
)


@pytest.mark.parametrize("metric", AGENT, ids=lambda metric: metric.name)
def test_every_family_of_an_agent_has_series(stack: Stack, metric: Metric) -> None:
    found = awaited(lambda: stack.prometheus.query(f'group by (nat) ({{__name__=~"{metric.name}(_count)?"}})'), 2)
    assert sorted(one.labels["nat"] for one in found) == ["nat1", "nat2"]


@pytest.mark.parametrize("metric", PROBER, ids=lambda metric: metric.name)
def test_every_family_of_a_prober_has_series(stack: Stack, metric: Metric) -> None:
    name = f'{{__name__=~"{metric.name}(_count)?"}}'
    found = awaited(lambda: stack.prometheus.query(f"group by (nat_cluster, nat, subnet) ({name})"), 4)
    assert {one.labels["nat_cluster"] for one in found} == {"stacked"}
    assert len(found) == 4  # two subnets behind each of two NATs


def test_nothing_fails_while_all_is_well(stack: Stack) -> None:
    failed = stack.prometheus.query("sum by (nat, subnet, probe) (natobs_probe_failures_total) > 0")
    assert [series.labels for series in failed] == []
    assert {s.value for s in stack.prometheus.query("natobs_probe_address_expected")} == {1.0}


def test_an_alert_that_fires_reaches_the_pager_and_no_other_does(stack: Stack) -> None:
    assert eventually(lambda: {page.labels["nat"] for page in stack.pages()} >= {"nat1", "nat2"}, 60)
    pages = stack.pages()
    assert {(page.name, page.status, page.receiver) for page in pages} == {("NatSeen", "firing", "pager")}
    assert {page.labels["nat"] for page in pages} == {"nat1", "nat2"}
    assert pages[0].annotations == {"summary": "The table has entries."}
    assert {alert["labels"]["alertname"] for alert in stack.prometheus.alerts()} == {"NatSeen"}
    assert {alert["labels"]["alertname"] for alert in stack.alertmanager.alerts()} == {"NatSeen"}
    assert [rule["health"] for rule in stack.prometheus.rules()[0]["rules"]] == ["ok", "ok"]


def test_a_silence_is_known_to_alertmanager(stack: Stack) -> None:
    made = stack.alertmanager.silence({"nat": "nat9"}, 60, "a test")
    (silence,) = [one for one in stack.alertmanager.silences() if one["id"] == made]
    assert silence["status"]["state"] == "active"


def test_worlds_share_no_packet(stack: Stack) -> None:
    first, second = stack.lab.worlds
    names = {lab.host("nat").run(["ip", "netns", "identify"]).stdout.strip() for lab in (first, second)}
    assert names == {"natobs-stacked-nat", "natobs-stacked-2-nat"}
    links = stack.lab.host("monitor").run(["ip", "-o", "link"]).stdout.splitlines()
    assert [line.split(":")[1].strip() for line in links] == ["lo"]


def test_an_agent_that_is_killed_is_seen_down_and_after_its_restart_up(stack: Stack) -> None:
    agent = stack.parts["agent nat2"]
    agent.kill()
    with pytest.raises(LabError, match="agent nat2 ended with status -9"):
        stack.check()
    assert awaited(lambda: stack.prometheus.query('up{job="natobs-agent", nat="nat2"} == 0'))
    assert awaited(lambda: stack.prometheus.query('up{job="natobs-agent", nat="nat1"} == 1'))
    agent.restart()
    assert awaited(lambda: stack.prometheus.query('up{job="natobs-agent", nat="nat2"} == 1'))
    stack.check()


def test_a_part_that_ends_at_once_says_why(tmp_path: Path) -> None:
    plan = cluster("wrong", topology.two_armed)
    with (
        pytest.raises(LabError, match=r"Alertmanager ended with status 1: .*undefined receiver"),
        running(plan, Inputs(alertmanager="route: {receiver: nobody}")),
    ):
        pass


@pytest.fixture(params=[people.this_user, people.ordinary_user])
def person(request: pytest.FixtureRequest) -> Iterator[people.Person]:
    mounts, links = people.mounts(), people.links()
    with people.as_user(request.param) as who:
        who.environment["PATH"] = f"{who.environment['PATH']}:{os.environ['PATH']}"
        temporary = Path(who.environment["XDG_RUNTIME_DIR"]) / "tmp"
        temporary.mkdir()
        temporary.chmod(0o777)
        who.environment["TMPDIR"] = str(temporary)
        yield who
    assert people.mounts() == mounts
    assert people.links() == links


def left_on_disk(person: people.Person) -> list[Path]:
    """What is left in the person's temporary directory, and of a stack's files where they must never be."""
    return [*Path(person.environment["TMPDIR"]).iterdir(), *(path for path in [Path("/run/stack")] if path.exists())]


def test_kill_9_of_the_owner_leaves_nothing(person: people.Person) -> None:
    owner = person.popen("-c", OWN)
    said = read_until(owner, "stands", 90)
    members = [p for p in people.family_of(owner.pid) if p.pid != owner.pid]
    commands = [people.command(process) for process in members]
    for wanted in ("prometheus --config", "alertmanager --config", "pager", "relay", "natobs agent", "natobs probe"):
        assert any(wanted in command for command in commands), (wanted, said)
    kill(owner)
    assert eventually(lambda: people.living(members) == [])
    assert sweep.strays() == []
    assert left_on_disk(person) == []


def test_the_command_line_starts_shows_and_ends_a_stack(person: people.Person) -> None:
    lab = ("-m", "natobs", "lab")
    up = person.run(*lab, "up", "--stack", "--name", "shown", "--time-scale", "15", timeout=90)
    assert up.returncode == 0, up.stderr
    try:
        assert up.stdout.startswith("lab shown is up with its stack\n  time scale 15: scraped every 1 s")
        (status,) = json.loads(person.run(*lab, "status", "--json").stdout)
        assert list(status["urls"]) == [PROMETHEUS, ALERTMANAGER, "nat1", "nat1-client1", "nat1-client3"]
        members = people.family_of(status["pid"])
        page = person.run("-m", "natobs.lab.clients", "get", f"{status['urls'][PROMETHEUS]}api/v1/query?query=up")
        assert json.loads(page.stdout)["status"] == "success"
        agent = person.run("-m", "natobs.lab.clients", "get", f"{status['urls']['nat1']}metrics")
        assert "natobs_conntrack_entries" in agent.stdout
        rules = person.run("-m", "natobs.lab.clients", "get", f"{status['urls'][PROMETHEUS]}api/v1/rules")
        names = {group["name"] for group in json.loads(rules.stdout)["data"]["groups"]}
        assert {"natobs-table", "natobs-burn", "natobs-slo-hours"} <= names
        again = person.run(*lab, "up", "--stack", "--name", "shown", "--time-scale", "15")
        assert again.stdout.startswith("lab shown is already up with its stack\n")
        assert status["urls"][PROMETHEUS] in again.stdout
    finally:
        down = person.run(*lab, "down", "--name", "shown")
    assert down.stdout == "lab shown is down\n"
    assert eventually(lambda: people.living(members) == [])
    assert left_on_disk(person) == []


def test_a_stack_that_cannot_start_leaves_nothing(person: people.Person) -> None:
    taken = person.popen(
        "-c",
        "import socket, time; s = socket.create_server(('127.0.0.1', 0)); "
        "print('port', s.getsockname()[1], 'taken', flush=True); time.sleep(600)",
    )
    port = read_until(taken, "taken").split()[1]
    up = person.run("-m", "natobs", "lab", "up", "--stack", "--prometheus-port", port, timeout=90)
    taken.send_signal(signal.SIGTERM)
    assert up.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in up.stderr
    assert person.run("-m", "natobs", "lab", "status").stdout == "no lab is up\n"
