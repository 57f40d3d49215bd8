"""No alert is silenced by one that does not concern it; every cause silences its symptoms: proven from the rules."""

from dataclasses import replace

import pytest
import yaml

from natobs.catalogue import alerts as catalogue
from natobs.catalogue.alerting import Alert
from natobs.catalogue.objectives import ALL as OBJECTIVES
from natobs.catalogue.promql import Scope
from natobs.config.fleet import AlertSettings, Fleet, Service
from natobs.errors import CatalogueError
from natobs.generate.alertmanager.files import configuration
from natobs.generate.alertmanager.inhibition import MAINTENANCE, inhibitions
from natobs.generate.alertmanager.notices import notices
from natobs.generate.settings import Plan, plan
from tests import inhibiting
from tests.conftest import Figure
from tests.inhibiting import HERE, Matcher, Rule, alert, silenced

DEFAULT = plan(Fleet())
PLANS = {
    "default": DEFAULT,
    "services": plan(Fleet(services=(Service(name="shop"), Service(name="bank")))),
    "group labels, in a hurry": plan(Fleet(group_labels=("region", "tenant")), 30),
    "some alerts only": plan(
        Fleet(
            alerts={name: AlertSettings(enabled=False) for name in ("NatMaintenance", "NatTableFull", "NatAgentDown")}
        )
    ),
}
SLEEPERS = {("NatDestinationFailing", "NatOutboundSuccessBurn")}
"""The only alert that wakes nobody and silences a page: a third party that is dead is not the NAT's trouble."""


def rules_of(made: Plan) -> list[Rule]:
    return inhibiting.parse(yaml.safe_load(configuration(made)))


RULES = rules_of(DEFAULT)


@pytest.mark.parametrize("name", PLANS)
def test_the_rules_silence_what_they_are_meant_to_and_nothing_else(name: str, figure: Figure) -> None:
    made = PLANS[name]
    rules = rules_of(made)
    universe = inhibiting.everywhere(made)
    pairs = sum(len(causes) for causes in silenced(rules, universe).values())
    assert len(universe) > 500
    assert pairs > 1000
    figure(f"{name}: {len(rules)} rules, {len(universe)} alerts, {pairs} pairs that silence")
    assert list(inhibiting.crossings(rules, made)) == []
    assert list(inhibiting.omissions(rules, made)) == []
    assert list(inhibiting.surpluses(rules, made)) == []
    assert list(inhibiting.circles(rules, made)) == []
    assert inhibiting.sleepers(rules, made) == SLEEPERS


def test_the_watchdog_is_never_silenced_and_a_freeze_only_by_maintenance() -> None:
    kinds = {alert(notice): notice for notice in notices(DEFAULT)}
    causes = {kinds[one].name: {kinds[by].name for by in found} for one, found in silenced(RULES, kinds).items()}
    frozen = [notice for notice in notices(DEFAULT) if notice.action.value == "freeze"]
    assert "NatWatchdog" not in causes
    assert len(frozen) == len(OBJECTIVES)
    for notice in frozen:
        assert {kinds[by].name for by in silenced(RULES, kinds)[alert(notice)]} == {MAINTENANCE}


def test_what_a_subnet_lives_through_does_not_silence_the_nat_or_another_subnet() -> None:
    subnet, other = HERE, HERE._replace(subnet="10.0.2.0/24")
    kinds = {(notice.name, notice.action.value): notice for notice in notices(DEFAULT)}
    cause = alert(kinds["NatSubnetRouteMissing", "page"], subnet)
    near = alert(kinds["NatOutboundSuccessBurn", "page"], subnet)
    far = alert(kinds["NatOutboundSuccessBurn", "page"], other)
    whole = alert(kinds["NatOutboundAnsweredBurn", "ticket"])
    assert silenced(RULES, [cause, near, far, whole]) == {near: {cause}}


def test_every_relation_of_the_catalogue_has_an_effect() -> None:
    known = {row.name for row in catalogue.ALL} | {objective.alert for objective in OBJECTIVES} | {"NatServiceBurn"}
    made = PLANS["services"]
    kinds = {alert(notice): notice for notice in notices(made)}
    effects = {
        (kinds[cause].name, kinds[target].name)
        for target, causes in silenced(rules_of(made), kinds).items()
        for cause in causes
    }
    for row in catalogue.ALL:
        assert set(row.silences) <= known
        assert {(row.name, symptom) for symptom in row.silences} <= effects


def without(rules: list[Rule], label: str) -> list[Rule]:
    """Sources need not have a label any more."""
    return [rule._replace(source=tuple(m for m in rule.source if m != Matcher(label, "!=", ""))) for rule in rules]


def test_a_guard_or_an_equal_label_that_is_missing_is_found() -> None:
    for label in ("nat_cluster", "nat", "subnet"):
        assert list(inhibiting.crossings(without(RULES, label), DEFAULT))
        loose = [rule._replace(equal=tuple(one for one in rule.equal if one != label)) for rule in RULES]
        assert list(inhibiting.crossings(loose, DEFAULT))
    strict = [rule._replace(equal=(*rule.equal, "device")) for rule in RULES]
    assert list(inhibiting.omissions(strict, DEFAULT))


def test_each_rule_is_needed() -> None:
    for position in range(len(RULES)):
        rest = [*RULES[:position], *RULES[position + 1 :]]
        kinds = [alert(notice) for notice in notices(DEFAULT)]
        assert silenced(rest, kinds) != silenced(RULES, kinds)


def planted(source: str, target: str, *, equal: tuple[str, ...] = ("nat_cluster", "nat")) -> list[Rule]:
    text = {"inhibit_rules": [{"source_matchers": [source], "target_matchers": [target], "equal": list(equal)}]}
    return [*RULES, *inhibiting.parse(text)]


def test_planted_faults_of_every_kind_are_found() -> None:
    symptom_first = planted('alertname="NatConntrackUsage"', 'alertname="NatTableFull"')
    assert any("circle" in found for found in inhibiting.circles(symptom_first, DEFAULT))
    assert any("nobody has said so" in found for found in inhibiting.surpluses(symptom_first, DEFAULT))
    both_sides = planted('severity="critical"', 'natobs_action="page"')
    assert any("both sides" in found for found in inhibiting.circles(both_sides, DEFAULT))
    asleep = planted('alertname="NatResets"', 'alertname="NatLinkDown"')
    assert inhibiting.sleepers(asleep, DEFAULT) == {*SLEEPERS, ("NatResets", "NatLinkDown")}
    for_all = planted('alertname="NatProbeFailing"', 'alertname="NatProbesSilent"')
    assert list(inhibiting.crossings(for_all, DEFAULT))


def test_an_alert_of_a_subnet_may_not_silence_one_of_the_whole_nat() -> None:
    rows = tuple(
        replace(row, silences=(*row.silences, "NatResets")) if row.name == "NatProbeFailing" else row
        for row in catalogue.ALL
    )
    with pytest.raises(CatalogueError, match="NatProbeFailing: it silences NatResets, of a wider scope"):
        list(inhibitions(replace(DEFAULT, alerts=rows)))


def test_an_alert_explains_only_what_it_silences() -> None:
    row = catalogue.ALL[0]
    assert isinstance(row, Alert)
    assert row.scope is Scope.NAT
    with pytest.raises(CatalogueError, match="what it explains it silences"):
        replace(row, explains=("NatWatchdog",))


def test_an_alert_that_matches_both_sides_is_not_silenced_by_another_that_does() -> None:
    """The rule of Alertmanager that the model would be wrong without."""
    one, other, third = (frozenset({("alertname", name), ("a", "1"), ("b", b)}) for name, b in ("x1", "y1", "z2"))
    rule = Rule((Matcher("a", "=", "1"),), (Matcher("b", "=", "1"),), ())
    assert silenced([rule], [one, other, third]) == {one: {third}, other: {third}}
