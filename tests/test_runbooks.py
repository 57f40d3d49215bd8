"""Runbooks: complete, with commands and queries that exist, and links that lead somewhere."""

import re
from pathlib import Path

import pytest

from natobs.catalogue import alerts, objectives
from natobs.catalogue import faults as fault_rows
from natobs.catalogue.metrics import agent, flows, kernel_log, nic, probes
from natobs.catalogue.types import Metric
from natobs.config.fleet import AlertSettings, Fleet, ObjectiveSettings
from natobs.errors import CatalogueError
from natobs.generate import fault_reference, files
from natobs.generate.alertmanager.inhibition import inhibitions
from natobs.generate.alertmanager.notices import notices
from natobs.generate.runbooks import files as runbooks
from natobs.generate.runbooks import fragments, relations
from natobs.generate.settings import plan
from tests import promql_names, runbook_commands

DOCS = Path(__file__).parent.parent / "docs"
PAGES = {Path(path).stem: text for path, text in runbooks.files(plan(Fleet())).items()}
WRITTEN = {name: text for name, text in PAGES.items() if name != "README"}
EXPECTED = {
    *(alert.name for alert in alerts.ALL),
    *(objective.alert for objective in objectives.ALL),
    "NatServiceBurn",
    *(fault.id for fault in fault_rows.ALL),
}


def domain(metric: Metric, name: str) -> tuple[str, ...]:
    return next(label.domain for label in metric.labels if label.name == name)


def test_there_is_a_runbook_for_every_alert_and_failure_mode_and_no_other() -> None:
    assert set(WRITTEN) == EXPECTED
    assert set(fragments.names()) == EXPECTED
    assert len(EXPECTED) == 52 + 11 + 9


@pytest.mark.parametrize("name", WRITTEN)
def test_the_headings_are_the_four(name: str) -> None:
    assert re.findall(r"^## (.+)$", WRITTEN[name], re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]


@pytest.mark.parametrize("name", WRITTEN)
def test_every_command_exists(name: str) -> None:
    found = [runbook_commands.problem(command) for command in runbook_commands.commands(WRITTEN[name])]
    assert [problem for problem in found if problem] == []


@pytest.mark.parametrize("name", WRITTEN)
def test_every_query_parses_and_names_what_there_is(name: str) -> None:
    found = [promql_names.problem(query) for query in runbook_commands.blocks(WRITTEN[name], "promql")]
    assert found
    assert [problem for problem in found if problem] == []


def test_the_checks_have_looked_at_something() -> None:
    commands = [command for page in WRITTEN.values() for command in runbook_commands.commands(page)]
    queries = [query for page in WRITTEN.values() for query in runbook_commands.blocks(page, "promql")]
    programs = {words[0] for words in commands}
    assert len(commands) > 250
    assert len(queries) > 180
    assert {"natobs", "nft", "iptables", "conntrack", "ip", "ethtool", "sysctl", "tcpdump"} <= programs
    asked = {program for program in programs if program != "natobs" and runbook_commands.help_text(program)}
    assert asked >= {"nft", "iptables", "conntrack", "ethtool", "sysctl", "ip", "curl"}  # scripts/programs.sh has them


def test_installed_programs_are_those_of_the_packages_in_the_table() -> None:
    owners = {program: runbook_commands.owner(program) for program in runbook_commands.PACKAGES}
    found = {program: package for program, package in owners.items() if package}
    assert found or not Path("/etc/debian_version").exists()
    assert {
        program: package for program, package in found.items() if runbook_commands.PACKAGES[program] != package
    } == {}


@pytest.mark.parametrize(
    "text",
    [
        "`natobs censsus --by host`",
        "`natobs census --by planet`",
        "`natobs census --depth 3`",
        "`natobs accounting repair`",
        "`natobs accounting status please`",
        "`natobs gate`",
        "```sh\nnatobs maintenance start --until tomorrow\n```\n",
        "```sh\nconntrack --wipe\n```\n",
        "```sh\nnetstat -an\n```\n",
        "```sh\nls | frobnicate -x\n```\n",
        "`iptables -t nat -A POSTROUTING -j MASQUERADE --quite-random`",
        "```sh\nsudo ethtool --fix eth0\n```\n",
        "   ```sh\n   journalctl --sincee -1h\n   ```\n",
    ],
)
def test_a_command_that_does_not_exist_is_found(text: str) -> None:
    commands = list(runbook_commands.commands(text))
    assert commands
    assert any(map(runbook_commands.problem, commands))


@pytest.mark.parametrize(
    "query",
    [
        "sum by (nat (natobs_nat_flows)",
        "natobs_conntrack_entires",
        "nat:conntrack_usage:ratios",
        'natobs_new_flow_drops_total{reason="full"}',
        'natobs_nat_flows{protocol="tcp"}',
        "sum by (nat, planet) (natobs_nat_flows)",
        "rate(natobs_nat_residence_seconds[5m])",
        "1 + 1",
    ],
)
def test_a_query_of_what_does_not_exist_is_found(query: str) -> None:
    assert promql_names.problem(query)


@pytest.mark.parametrize(
    "text",
    [
        "## Meaning\n\na\n\n## Impact\n\nb\n\n## Diagnosis\n\nc\n",
        "## Meaning\n\na\n\n## Impact\n\nb\n\n## Mitigation\n\nc\n\n## Diagnosis\n\nd\n",
        "## Meaning\n\na\n\n## Impact\n\n\n## Diagnosis\n\nc\n\n## Mitigation\n\nd\n",
        "hello\n\n## Meaning\n\na\n\n## Impact\n\nb\n\n## Diagnosis\n\nc\n\n## Mitigation\n\nd\n",
        "## Meaning\n\na\n\n## Impact\n\nb\n\n## Diagnosis\n\nc\n\n## Mitigation\n\nd\n\n## More\n\ne\n",
    ],
)
def test_other_headings_are_refused(text: str) -> None:
    with pytest.raises(CatalogueError, match="Meaning, Impact, Diagnosis, Mitigation"):
        fragments.sections("X", text)


def test_an_alert_without_words_is_refused() -> None:
    with pytest.raises(CatalogueError, match=r"text/NatNothing\.md"):
        fragments.read("NatNothing")


def test_thresholds_are_those_of_the_fleet_and_what_is_switched_off_keeps_its_page() -> None:
    fleet = Fleet(
        alerts={"NatConntrackUsage": AlertSettings(warning=0.613), "NatTableFull": AlertSettings(enabled=False)},
        objectives={"nat-cpu": ObjectiveSettings(enabled=False)},
    )
    made = runbooks.files(plan(fleet))
    assert "above 61.3 %" in made["docs/runbooks/NatConntrackUsage.md"]
    assert len(made) == len(PAGES)


def words(matcher: str) -> set[str]:
    """The values that a matcher of inhibition names."""
    return set(re.findall(r"[A-Za-z]+", matcher.partition("=")[2]))


def test_what_a_page_says_of_silence_is_what_alertmanager_is_told() -> None:
    everything = plan(Fleet())
    told = {
        (cause, symptom, action)
        for rule in inhibitions(everything)
        if rule.why.startswith(("Causes silence", "The only ticket"))
        for cause in words(rule.source[0])
        for symptom in words(rule.target[0])
        for action in words(rule.target[1])
    }
    actions: dict[str, set[str]] = {}
    for notice in notices(everything):
        actions.setdefault(notice.name, set()).add(notice.action.value)
    known = {alert.name: alert for alert in everything.alerts}
    said = {
        (one.name, name, action)
        for name in actions
        for one in relations.silencers(name, known)
        for action in ("page", "ticket")
        if action in actions[name] and (action == "ticket" or one.pages)
    }
    assert len(said) > 100
    assert said == {one for one in told if one[2] in actions[one[1]]}


def test_tickets_that_a_page_is_not_silenced_with_are_told_apart() -> None:
    assert "Its tickets, and not its pages, are silenced by [Nat" in WRITTEN["NatOutboundSuccessBurn"]
    assert "in the same subnet: work on those first." in WRITTEN["NatOutboundSuccessBurn"]
    assert "Silenced by" not in WRITTEN["NatTableFull"]


def test_queries_keep_apart_what_a_fleet_keeps_apart() -> None:
    """Names of NATs are their cluster's; a fleet may tell clusters apart by more labels."""
    made = runbooks.files(plan(Fleet(group_labels=("region",))))
    for page in (*made.values(), fault_reference.page(plan(Fleet(group_labels=("region",))))):
        for query in runbook_commands.blocks(page, "promql"):
            for labels in re.findall(r"(?:by|on) \(([^)]*)\)", query):
                assert "region, nat_cluster" in labels or "instance" in labels, query
        assert "«" not in page


def test_no_words_repeat_a_threshold() -> None:
    """What people wrote must stay true for a fleet with other thresholds."""
    for alert in alerts.ALL:
        text = " ".join(fragments.read(alert.name).values())
        if alert.unit == "ratio" and alert.name not in {"NatPortsExhausted", "NatTupleClashes"}:
            for level in alert.levels:
                assert not re.search(rf"(above|below|than) {level.threshold * 100:g} %", text), alert.name


CASES = {
    "NatProbeFailing": probes.REASONS,
    "NatAllowanceExceeded": nic.ALLOWANCES,
    "NatCensusIncomplete": tuple(result for result in flows.RESULTS if result != "complete"),
    "NatCollectorFailing": domain(agent.COLLECTOR_UNAVAILABLE, "reason"),
    "NatKernelTrouble": tuple(e for e in domain(kernel_log.EVENTS, "event") if e != "conntrack_table_full"),
}
"""Pages that tell cases apart by the values of a label."""


@pytest.mark.parametrize("name", CASES)
def test_every_case_that_a_label_can_show_is_explained(name: str) -> None:
    assert len(CASES[name]) > 3
    assert [case for case in CASES[name] if f"`{case}`" not in WRITTEN[name]] == []


def test_every_anchor_of_a_generated_page_leads_somewhere() -> None:
    checked = 0
    for path, text in files.docs(plan(Fleet())).items():
        for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", re.sub(r"`[^`]*`", "", text)):
            page = (DOCS.parent / path).parent / target if target else DOCS.parent / path
            assert anchor in anchors(page.read_text()), f"{path}: {target}#{anchor}"
            checked += 1
    assert checked > 100


def anchors(page: str) -> set[str]:
    """Where links into a page can lead: headings as GitHub writes them, and anchors of its own."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return slugs | set(re.findall(r'<a id="([^"]+)">', page))
