"""The objectives as OpenSLO documents, for tools that read them: services, indicators, objectives, alert policies.

Knows OpenSLO v1. It has one window for a burn rate and no least number of bad
events: the alerts themselves, with both, are those of
:mod:`natobs.generate.rules`, and these documents describe them.

Source: https://github.com/OpenSLO/OpenSLO, README.md, at version v1.
"""

import re
import zlib
from collections.abc import Iterator, Mapping

from natobs.catalogue import naming
from natobs.catalogue.naming import Action
from natobs.catalogue.objectives import PERIOD_DAYS, Objective, Tier
from natobs.catalogue.promql import Recorded, Rendering, series
from natobs.generate import words
from natobs.generate.rules.alerting import BURN_HOLD
from natobs.generate.rules.model import to_yaml_documents
from natobs.generate.rules.recording import SLICE_ALL, SLICE_BAD
from natobs.generate.settings import Plan

COMMAND = "natobs generate openslo"
_LONGEST = 63
"""Characters of a name: it is a label of DNS."""
_TARGETS = {
    Action.PAGE: "Somebody is woken.",
    Action.TICKET: "A ticket is written.",
    Action.FREEZE: "Risky changes stop.",
}

Document = dict[str, object]


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text: what all share, and a file for each objective. A lab's time scale changes nothing here."""
    made = {"alerts/openslo/nat.yaml": to_yaml_documents(_shared(), COMMAND)}
    for objective in plan.objectives:
        path = f"alerts/openslo/{name(objective.id)}.yaml"
        made[path] = to_yaml_documents(_documents(objective), COMMAND)
    return made


def name(text: str) -> str:
    """A name as OpenSLO takes it: small letters, digits and dashes. What had to be changed gets a mark of its own."""
    plain = re.sub("[^a-z0-9-]", "-", text.lower()).strip("-")
    if plain == text and len(plain) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST - 9]}-{zlib.crc32(text.encode()):08x}"


def _shared() -> Iterator[Document]:
    about = "Network address translation on Linux: what private hosts reach through it, and how it fares."
    yield _document("Service", naming.SERVICE, "NAT", {"description": about})
    for action, text in _TARGETS.items():
        # The receivers of alerts/alertmanager.yml have the same names.
        yield _document("AlertNotificationTarget", action.value, "", {"description": text, "target": "alertmanager"})


def _documents(objective: Objective) -> Iterator[Document]:
    """Indicator, objective, and a policy with its condition for each speed."""
    indicator, tiers = name(objective.id), objective.tiers()
    yield _document("SLI", indicator, objective.title, {"ratioMetric": _ratio(objective)}, objective)
    sentence = f"{words.percent(objective.target)} of {objective.good}."
    policies = [(f"{indicator[: _LONGEST - 12]}-{tier.action.value}-{tier.long}", tier) for tier in tiers]
    yield _document(
        "SLO",
        indicator,
        objective.title,
        {
            "description": sentence,
            "service": naming.SERVICE,
            "indicatorRef": indicator,
            "timeWindow": [{"duration": f"{PERIOD_DAYS}d", "isRolling": True}],
            "budgetingMethod": "Timeslices" if objective.slices else "Occurrences",
            "objectives": [
                {"displayName": objective.title, "target": objective.target}
                # A minute is good when nothing in it was bad.
                | ({"timeSliceTarget": 1.0, "timeSliceWindow": "1m"} if objective.slices else {})
            ],
            "alertPolicies": [{"alertPolicyRef": policy} for policy, _tier in policies],
        },
        objective,
    )
    for policy, tier in policies:
        yield _condition(policy, tier, objective)
        yield _policy(policy, tier, objective)


def _ratio(objective: Objective) -> Document:
    """Bad and all events; counts of the last step, not counters that grow."""

    def source(recorded: Recorded) -> Document:
        query = series(recorded, sloth_id=objective.id).text(Rendering())
        return {"metricSource": {"type": "Prometheus", "spec": {"query": query}}}

    bad, total = (SLICE_BAD, SLICE_ALL) if objective.slices else (naming.BAD_STEP, naming.TOTAL_STEP)
    return {"counter": False, "bad": source(bad), "total": source(total)}


def _condition(policy: str, tier: Tier, objective: Objective) -> Document:
    condition = {
        "kind": "burnrate",
        "op": "gte",
        "threshold": tier.factor,
        "lookbackWindow": tier.long,
        "alertAfter": Rendering().duration(BURN_HOLD[tier.long]),
    }
    return _document("AlertCondition", policy, "", {"severity": tier.severity.value, "condition": condition}, objective)


def _policy(policy: str, tier: Tier, objective: Objective) -> Document:
    sentence = (
        f"{objective.alert}: the budget is spent {tier.factor:g} times as fast as it lasts, over {tier.long} and still "
        f"over {tier.short}."
    )
    return _document(
        "AlertPolicy",
        policy,
        "",
        {
            "description": sentence,
            "alertWhenBreaching": True,
            "alertWhenResolved": True,
            "alertWhenNoData": False,  # alerts on absent agents and probers tell of that, once
            "conditions": [{"conditionRef": policy}],
            "notificationTargets": [{"targetRef": tier.action.value}],
        },
        objective,
    )


def _document(kind: str, called: str, shown: str, spec: Document, objective: Objective | None = None) -> Document:
    metadata: Document = {"name": called}
    if shown:
        metadata["displayName"] = shown
    if objective is not None:
        metadata["labels"] = {naming.SLI: objective.sli}
    return {"apiVersion": "openslo/v1", "kind": kind, "metadata": metadata, "spec": spec}
