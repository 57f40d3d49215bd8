"""What Alertmanager gets to see of the alerts: one notice for each name and severity, with its labels.

Knows which labels an alert has and which of their values never change. Refuses to
know expressions, and what becomes of a notice.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from natobs.catalogue.naming import ACTION, FAULT, SEVERITY, SLI, Action
from natobs.catalogue.promql import Scope
from natobs.generate.rules import alerting
from natobs.generate.rules.model import Alerting
from natobs.generate.settings import Plan

ALERTNAME = "alertname"


@dataclass(frozen=True, slots=True)
class Notice:
    """An alert of one severity, as Alertmanager sees it.

    Args:
        name: of the alert.
        scope: the labels that say whose it is.
        extra: more labels whose values the expression gives.
        action: what becomes of it.
        severity: value of the label.
        sli: value of the label; empty where there is none.
        fault: the same.
    """

    name: str
    scope: Scope
    extra: tuple[str, ...]
    action: Action
    severity: str
    sli: str
    fault: str

    @property
    def fixed(self) -> Mapping[str, str]:
        """The labels whose values are always the same, that of the name included."""
        given = {SEVERITY: self.severity, ACTION: self.action.value, SLI: self.sli, FAULT: self.fault}
        return {ALERTNAME: self.name, **{label: value for label, value in given.items() if value}}


def notices(plan: Plan) -> tuple[Notice, ...]:
    """All of them, in the order of the rules; rules that differ in nothing of this are one."""
    shapes = {alert.name: (alert.scope, alert.extra) for alert in plan.alerts}
    shapes |= {objective.alert: (objective.scope, objective.extra) for objective in plan.objectives}
    found = [
        _notice(rule, *shapes[rule.alert])
        for group in alerting.groups(plan)
        for rule in group.rules
        if isinstance(rule, Alerting)
    ]
    return tuple(dict.fromkeys(found))


def _notice(rule: Alerting, scope: Scope, extra: tuple[str, ...]) -> Notice:
    labels = rule.labels
    action = Action(labels[ACTION])
    return Notice(rule.alert, scope, extra, action, labels[SEVERITY], labels.get(SLI, ""), labels.get(FAULT, ""))
