"""What Alertmanager's rules of inhibition do, as a pure function, and what must hold of natobs' rules.

The semantics are those of package ``inhibit`` of Alertmanager 0.25: a target is
silenced by any source with equal values of some labels, a missing label being the
empty value; one that matches both sides of a rule is not silenced by others that
do. That a source is silenced itself changes nothing.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType
from typing import NamedTuple

from natobs.catalogue.promql import Scope
from natobs.generate.alertmanager.inhibition import MAINTENANCE
from natobs.generate.alertmanager.notices import Notice, notices
from natobs.generate.settings import Plan

_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')

Labels = frozenset[tuple[str, str]]
"""Of one alert."""
Silenced = Mapping[Labels, Collection[Labels]]
"""Alerts to those that silence them."""


class Matcher(NamedTuple):
    label: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        same = re.fullmatch(self.value, value) is not None if "~" in self.operator else value == self.value
        return same != self.operator.startswith("!")


class Rule(NamedTuple):
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...]


def parse(document: Mapping[str, list[dict[str, list[str]]]]) -> list[Rule]:
    """The rules of a configuration as YAML has it."""
    return [
        Rule(_matchers(rule["source_matchers"]), _matchers(rule["target_matchers"]), tuple(rule["equal"]))
        for rule in document["inhibit_rules"]
    ]


def _matchers(texts: Iterable[str]) -> tuple[Matcher, ...]:
    parsed = [_MATCHER.fullmatch(text) for text in texts]
    assert all(parsed)
    return tuple(Matcher(match[1], match[2], match[3]) for match in parsed if match)


def silenced(rules: Iterable[Rule], alerts: Collection[Labels]) -> dict[Labels, set[Labels]]:
    """Each alert that is silenced, with all that silence it."""
    found: dict[Labels, set[Labels]] = defaultdict(set)
    plain = {alert: dict(alert) for alert in alerts}
    for rule in rules:
        sources = {alert for alert in alerts if all(one.matches(plain[alert]) for one in rule.source)}
        targets = {alert for alert in alerts if all(one.matches(plain[alert]) for one in rule.target)}
        by_values: dict[tuple[str, ...], set[Labels]] = defaultdict(set)
        for source in sources:
            by_values[_values(rule, plain[source])].add(source)
        for target in targets:
            causes = by_values[_values(rule, plain[target])]
            found[target] |= causes - targets if target in sources else causes
    return {target: causes for target, causes in found.items() if causes}


def _values(rule: Rule, labels: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(labels.get(label, "") for label in rule.equal)


class Place(NamedTuple):
    """Where an alert fires, and about which of several devices and the like."""

    nat_cluster: str
    nat: str
    subnet: str
    thing: str = "one"


HERE = Place("egress-a", "nat-1", "10.0.1.0/24")
PLACES = tuple(
    Place(*one)
    for one in itertools.product(
        ("egress-a", "egress-b"), ("nat-1", "nat-2"), ("10.0.1.0/24", "10.0.2.0/24"), ("one", "other")
    )
)
"""Names recur in the other cluster and on the other NAT: only all of them together tell places apart."""


def alert(
    notice: Notice, place: Place = HERE, without: Collection[str] = (), group: Mapping[str, str] = MappingProxyType({})
) -> Labels:
    """An alert as it fires somewhere, or with labels missing that a scrape configuration has forgotten.

    ``group`` are the labels that a fleet adds.
    """
    scope = {label: getattr(place, label) for label in notice.scope.value}
    extra = dict.fromkeys(notice.extra, place.thing)
    return frozenset(item for item in {**notice.fixed, **group, **scope, **extra}.items() if item[0] not in without)


def everywhere(plan: Plan) -> dict[Labels, Notice]:
    """Every notice in every place, and with each label of its scope missing."""
    groups = [dict.fromkeys(plan.rendering.group_labels, value) for value in ("eu", "us")]
    return {
        alert(notice, place, without, group): notice
        for group in groups
        for notice in notices(plan)
        for place in PLACES
        for without in ((), *((label,) for label in notice.scope.value))
    }


def crossings(rules: list[Rule], plan: Plan) -> Iterator[str]:
    """Pairs that have nothing to do with one another: another place, or a label that is missing on both sides."""
    universe = everywhere(plan)
    for target, causes in silenced(rules, universe).items():
        for cause in causes:
            one, other = dict(cause), dict(target)
            labels = plan.rendering.labels(universe[cause].scope)
            if any(not one.get(label) or one[label] != other.get(label) for label in labels):
                yield f"{_name(cause)} silences {_name(target)} elsewhere: {sorted(cause)} and {sorted(target)}"


def omissions(rules: list[Rule], plan: Plan) -> Iterator[str]:
    """Symptoms that their cause does not silence in the same place, and milder notices that the worse does not."""
    found = silenced(rules, [alert(notice) for notice in notices(plan)])
    for cause, symptom in _meant(plan):
        if alert(cause) not in found.get(alert(symptom), ()):
            yield f"{cause.name} ({cause.action.value}) does not silence {symptom.name} ({symptom.action.value})"


def _meant(plan: Plan) -> Iterator[tuple[Notice, Notice]]:
    """Causes and symptoms as the catalogue has them."""
    rows = {row.name: row for row in plan.alerts}
    for cause, symptom in itertools.permutations(notices(plan), 2):
        actions = (cause.action.value, symptom.action.value)
        row = rows.get(cause.name)
        named = row is not None and symptom.name in row.silences
        explained = row is not None and symptom.name in row.explains
        weighs = actions in {("page", "page"), ("page", "ticket"), ("ticket", "ticket")}
        maintained = cause.name == MAINTENANCE and symptom.scope is not Scope.CLUSTER
        worse = cause.name == symptom.name and actions == ("page", "ticket")
        if maintained or worse or (named and weighs) or (explained and actions == ("ticket", "page")):
            yield cause, symptom


def surpluses(rules: list[Rule], plan: Plan) -> Iterator[str]:
    """Pairs in the same place that nobody has meant: neither in the catalogue, nor a page over a ticket of its SLI."""
    kinds = {alert(notice): notice for notice in notices(plan)}
    meant = {(alert(cause), alert(symptom)) for cause, symptom in _meant(plan)}
    for target, causes in silenced(rules, kinds).items():
        for cause in causes:
            one, other = kinds[cause], kinds[target]
            same = one.sli == other.sli and (one.scope, one.extra) == (other.scope, other.extra)
            general = same and (one.action.value, other.action.value) == ("page", "ticket")
            if (cause, target) not in meant and not general:
                yield f"{_name(cause)} silences {_name(target)}, and nobody has said so"


def circles(rules: list[Rule], plan: Plan) -> Iterator[str]:
    """Alerts that silence one another, so that nobody is told; and rules that match an alert on both sides."""
    alerts = [alert(notice, place) for notice in notices(plan) for place in PLACES]
    try:
        TopologicalSorter(silenced(rules, alerts)).prepare()
    except CycleError as error:
        yield f"circle: {' <- '.join(_name(one) for one in error.args[1])}"
    for rule, one in itertools.product(rules, everywhere(plan)):
        if all(matcher.matches(dict(one)) for matcher in (*rule.source, *rule.target)):
            yield f"{_name(one)} matches both sides of a rule"


def sleepers(rules: list[Rule], plan: Plan) -> set[tuple[str, str]]:
    """Causes and pages that they silence although they themselves wake nobody, maintenance aside."""
    kinds = {alert(notice): notice for notice in notices(plan)}
    return {
        (kinds[cause].name, kinds[target].name)
        for target, causes in silenced(rules, kinds).items()
        for cause in causes
        if kinds[target].action.value == "page"
        and kinds[cause].action.value != "page"
        and kinds[cause].name != MAINTENANCE
    }


def _name(labels: Labels) -> str:
    plain = dict(labels)
    return f"{plain['alertname']} ({plain['natobs_action']})"
