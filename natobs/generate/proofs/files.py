"""The files of promtool's unit tests, one a subject."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from natobs.catalogue import alerts as catalogue
from natobs.catalogue import naming
from natobs.catalogue.objectives import TIERS
from natobs.generate import scenarios
from natobs.generate.proofs import budgets, burning, explained, operational, overview, recorded
from natobs.generate.rules import alerting, recording
from natobs.generate.rules.model import Alerting, to_yaml
from natobs.generate.settings import Plan

COMMAND = "natobs generate tests"
Tests = dict[int, list[dict[str, object]]]
"""Tests of one subject, by the seconds between two evaluations: a file has one such number."""


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text."""
    of_alerts = {
        **_operational(plan),
        "burn": _burning(plan),
        "values": _by_step((*recorded.tests(plan.rendering), *overview.tests(plan))),
    }
    of_records = {
        "budget": _by_step(budgets.tests(plan.objectives, plan.rendering)),
        "explained": _by_step(explained.tests(plan.objectives, plan.alerts, plan.rendering)),
    }
    # promtool computes everything that it is given at every step, and these need no alerts.
    first, *rest = (group.name for group in recording.groups(plan))
    # In Prometheus what is kept lags behind what keeps it; here, where all groups have the same pace, by a step.
    records = {"recording": [*rest, first]}
    every = records | {"alerts": [group.name for group in alerting.groups(plan)]}
    return dict((*_files(of_alerts, every, plan), *_files(of_records, records, plan)))


def _files(parts: Mapping[str, Tests], rules: Mapping[str, Sequence[str]], plan: Plan) -> Iterator[tuple[str, str]]:
    for subject, by_step in parts.items():
        for number, (step, groups) in enumerate(sorted(by_step.items())):
            text = to_yaml(document(plan.rendering.duration(step), rules, groups), COMMAND)
            yield f"alerts/tests/{subject}{f'-{number + 1}' if number else ''}.yml", text


def _operational(plan: Plan) -> dict[str, Tests]:
    rules = _rules(plan, lambda rule: rule.labels[naming.SEVERITY])
    known = {alert.name: alert for alert in plan.alerts}
    made: dict[str, Tests] = {}
    for subject, rows in catalogue.SUBJECTS.items():
        for name in (row.name for row in rows if row.name in known):
            scenario = scenarios.ALL[name]
            group = operational.group(known[name], scenario, rules[name], plan.rendering)
            made.setdefault(subject, {}).setdefault(scenario.step, []).append(group)
    return made


def _burning(plan: Plan) -> Tests:
    found = alerting.burning(plan)
    rules = {
        objective.id: {rule.labels[naming.ACTION]: rule for one, rule in found if one is objective}
        for objective in plan.objectives
    }
    made: Tests = {}
    for objective in plan.objectives:
        test = burning.group(objective, rules[objective.id], plan.rendering)
        made.setdefault(burning.STEPS["1h"], []).append(test)
    for tier in TIERS:
        window = burning.windows(tier, plan.objectives, rules, plan.rendering)
        if window is not None:
            made.setdefault(burning.STEPS[tier.long], []).append(window)
    return made


def _by_step(tests: Iterable[tuple[int, dict[str, object]]]) -> Tests:
    made: Tests = {}
    for step, test in tests:
        made.setdefault(step, []).append(test)
    return made


def document(
    interval: str, rules: Mapping[str, Sequence[str]], groups: Iterable[dict[str, object]]
) -> dict[str, object]:
    """A test file as plain values.

    Args:
        interval: between two evaluations.
        rules: the files of rules by their last words, and the groups in each: those that others read come first.
        groups: the tests.
    """
    return {
        "rule_files": [f"../natobs-{part}.yml" for part in rules],
        "evaluation_interval": interval,
        "group_eval_order": [name for names in rules.values() for name in names],
        "tests": list(groups),
    }


def _rules(plan: Plan, key: Callable[[Alerting], str]) -> dict[str, dict[str, Alerting]]:
    """By name, and by what tells those of one name apart."""
    found: dict[str, dict[str, Alerting]] = {}
    for group in alerting.groups(plan):
        for rule in group.rules:
            if isinstance(rule, Alerting):
                found.setdefault(rule.alert, {})[key(rule)] = rule
    return found
