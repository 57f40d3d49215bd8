"""The files of promtool's unit tests, one a subject."""

from collections.abc import Iterable, Mapping

from natobs.catalogue import alerts as catalogue
from natobs.generate import scenarios
from natobs.generate.proofs import operational
from natobs.generate.rules import alerting, recording
from natobs.generate.rules.model import Alerting, to_yaml
from natobs.generate.settings import Plan

COMMAND = "natobs generate tests"


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text."""
    rules = _rules(plan)
    order = [group.name for group in (*recording.groups(plan), *alerting.groups(plan))]
    known = {alert.name: alert for alert in plan.alerts}
    made: dict[str, str] = {}
    for subject, rows in catalogue.SUBJECTS.items():
        by_step: dict[int, list[dict[str, object]]] = {}
        for row in rows:
            if row.name in known:
                scenario = scenarios.ALL[row.name]
                group = operational.group(known[row.name], scenario, rules[row.name], plan.rendering)
                by_step.setdefault(scenario.step, []).append(group)
        for number, (step, groups) in enumerate(sorted(by_step.items())):
            made[f"alerts/tests/{subject}{f'-{number + 1}' if number else ''}.yml"] = to_yaml(
                document(plan.rendering.duration(step), order, groups), COMMAND
            )
    return made


def document(interval: str, order: Iterable[str], groups: Iterable[dict[str, object]]) -> dict[str, object]:
    """A test file as plain values.

    Args:
        interval: between two evaluations.
        order: of the groups of rules: those that others read come first.
        groups: the tests.
    """
    return {
        "rule_files": ["../natobs-recording.yml", "../natobs-alerts.yml"],
        "evaluation_interval": interval,
        "group_eval_order": list(order),
        "tests": list(groups),
    }


def _rules(plan: Plan) -> dict[str, dict[str, Alerting]]:
    """By name and severity."""
    found: dict[str, dict[str, Alerting]] = {}
    for group in alerting.groups(plan):
        for rule in group.rules:
            if isinstance(rule, Alerting):
                found.setdefault(rule.alert, {})[rule.labels["severity"]] = rule
    return found
