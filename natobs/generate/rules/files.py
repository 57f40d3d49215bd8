"""The rule files: for Prometheus, and in a flavour for VictoriaMetrics."""

from collections.abc import Mapping

from natobs.generate.rules import alerting, recording
from natobs.generate.rules.model import Group, document, to_yaml
from natobs.generate.settings import Plan

COMMAND = "natobs generate rules"


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text."""
    parts: dict[str, tuple[Group, ...]] = {
        "recording": tuple(recording.groups(plan)),
        "alerts": tuple(alerting.groups(plan)),
    }
    made = {
        f"alerts/natobs-{part}.yml": to_yaml(document(groups, plan.rendering), COMMAND)
        for part, groups in parts.items()
    }
    for part, groups in parts.items():
        plain = document(groups, plan.rendering, keeps_firing=False)
        made[f"alerts/victoriametrics/natobs-{part}.yml"] = to_yaml(plain, COMMAND)
    return made
