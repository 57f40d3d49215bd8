"""Failure modes and indicators: whole, and tied to alerts, objectives and runbooks."""

import re
from dataclasses import replace

import pytest

from natobs.catalogue import alerts, crossref, faults, objectives, slis, values
from natobs.catalogue.alerting import Alert
from natobs.catalogue.failure import PLACES, Apart, Fault
from natobs.catalogue.metrics import agent, conntrack, probes
from natobs.catalogue.promql import Scope
from natobs.config.fleet import Fleet
from natobs.errors import CatalogueError
from natobs.generate import files
from natobs.generate.proofs import files as proofs
from natobs.generate.rules.alerting import groups
from natobs.generate.rules.model import Alerting
from natobs.generate.runbooks import fragments
from natobs.generate.settings import plan

F1 = faults.ALL[0]
RULES = [rule for group in groups(plan(Fleet())) for rule in group.rules if isinstance(rule, Alerting)]


def test_there_are_nine_failure_modes_and_each_alert_that_names_one_is_listed() -> None:
    assert [fault.id for fault in faults.ALL] == [f"F{number}" for number in range(1, 10)]
    listed = {(name, fault.id) for fault in faults.ALL for name in fault.alerts}
    named = {(alert.name, alert.fault) for alert in alerts.ALL if alert.fault}
    assert named
    assert named <= listed


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"id": "F10"}, "F1 to F9"),
        ({"signals": ()}, "needs signals"),
        ({"first": ()}, "first steps"),
        ({"symptom": "It fails"}, "sentences"),
        ({"mitigation": ("Restart it",)}, "sentences"),
        ({"alerts": ("NatTableFull", "NatNothing")}, "alerts that exist"),
        ({"alerts": ("NatPortsExhausted", *F1.alerts)}, "first of its alerts"),
        ({"alerts": F1.alerts[:2]}, "all alerts that bear its id"),
        ({"apart": (Apart("F99", "Because."),)}, "look-alikes are"),
        ({"apart": (Apart("F1", "Because."),)}, "not its own look-alike"),
    ],
)
def test_a_failure_mode_that_is_not_whole_is_refused(changes: dict[str, object], rule: str) -> None:
    with pytest.raises(CatalogueError, match=rule):
        replace(F1, **changes)  # type: ignore[arg-type]  # one wrong field at a time


def test_look_alikes_name_one_another() -> None:
    """Whoever reads the page of the wrong one of two must find the way to the other."""
    by_id = {fault.id: fault for fault in faults.ALL}

    def others(fault: Fault) -> set[str]:
        return {one.other for one in fault.apart}

    lonely = [fault.id for fault in faults.ALL if not any(fault.id in others(other) for other in by_id.values())]
    assert lonely == []


def test_the_table_of_places_names_alerts_and_failure_modes_that_exist() -> None:
    names, ids = {alert.name for alert in alerts.ALL}, {fault.id for fault in faults.ALL}
    assert len(PLACES) == 6
    for place in PLACES:
        assert place.alerts
        assert {*place.alerts} <= names
        assert {*place.faults} <= ids


@pytest.mark.parametrize("sli", slis.ALL, ids=lambda sli: sli.id)
def test_every_indicator_has_metrics_an_alert_an_objective_or_a_reason_and_runbooks(sli: slis.Sli) -> None:
    assert crossref.metrics_of(sli)
    named = crossref.alerts_of(sli)
    assert named
    promised = crossref.objectives_of(sli)
    assert bool(promised) != bool(sli.without_objective)
    for name in (*(alert.name for alert in named), *(objective.alert for objective in promised)):
        assert fragments.read(name)


SHOWN = " ".join(text for path, text in files.dashboards(plan(Fleet())).items() if path.endswith(".json"))


@pytest.mark.parametrize("sli", slis.ALL, ids=lambda sli: sli.id)
def test_every_indicator_is_on_a_dashboard(sli: slis.Sli) -> None:
    wanted = {metric.name for metric in sli.inputs}
    wanted |= {value.recorded.name for value in values.ALL if crossref.metrics_read(value.series) & {*sli.inputs}}
    assert [name for name in wanted if re.search(rf"\b{name}\b", SHOWN)]
    assert not re.search(r"\bnatobs_nothing\b", SHOWN)


PROVEN = " ".join(text for path, text in proofs.files(plan(Fleet())).items())


@pytest.mark.parametrize("alert", alerts.ALL, ids=lambda alert: alert.name)
def test_every_alert_has_a_test_for_promtool(alert: Alert) -> None:
    assert re.search(rf"alertname: {alert.name}\b", PROVEN)
    assert "alertname: NatNothing" not in PROVEN


def test_only_changes_have_no_objective() -> None:
    assert [sli.id for sli in slis.ALL if sli.without_objective] == ["M10"]


def test_every_alert_and_objective_is_about_an_indicator_that_exists() -> None:
    ids = {sli.id for sli in slis.ALL}
    assert {alert.sli for alert in alerts.ALL} == {*ids, ""}
    assert {objective.sli for objective in objectives.ALL} == ids - {"M10"}


def test_metrics_behind_recorded_values_belong_to_the_indicator_and_the_mask_of_maintenance_does_not() -> None:
    assert conntrack.ENTRIES in crossref.metrics_read(values.USAGE.series)
    assert crossref.metrics_read(values.MAINTENANCE.series) == frozenset()
    first = crossref.metrics_of(slis.ALL[0])
    assert probes.FIRST_ATTEMPT_SUCCESS in first
    assert agent.BUILD not in first
    assert len(set(first)) == len(first)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.alert}-{rule.labels['severity']}")
def test_every_alert_has_the_labels_that_grouping_and_routing_need(rule: Alerting) -> None:
    assert {"severity", "natobs_action"} <= rule.labels.keys()
    assert rule.annotations["runbook_url"].endswith(f"/{rule.alert}.md")
    known = {alert.name: alert for alert in alerts.ALL}
    if rule.alert in known:
        alert = known[rule.alert]
        assert "nat_cluster" in alert.labels
        assert rule.labels.get("fault", "") == alert.fault
        assert alert.scope is not Scope.SUBNET or "nat" in alert.labels
    else:
        assert rule.labels["sli"]
