"""The files: ``prometheus.yml`` for a plain Prometheus, and the resources of the operator.

Knows how often is scraped, and where a fleet's own labels are added. The words
stand in the templates beside this module, where ``«name»`` is filled in.

Sources: https://prometheus.io/docs/prometheus/latest/configuration/configuration/ and
https://prometheus-operator.dev/docs/api-reference/api/.
"""

from collections.abc import Mapping

from natobs.generate.rules import alerting, recording
from natobs.generate.rules.model import document, to_yaml
from natobs.generate.settings import Plan
from natobs.generate.template import fill

_PACKAGE = "natobs.generate.scraping"
EVERY, TIMEOUT = 15, 10
"""Between two scrapes, and the most that one may take, in seconds."""
_YOURS = "fill-in"
"""Value of a fleet's own label in an example."""


def prometheus(plan: Plan) -> Mapping[str, str]:
    """Path to text: for a plain Prometheus."""
    text = fill(_PACKAGE, "prometheus.yml", _times(plan) | {"group": _values(plan)}, "natobs generate prometheus")
    return {"alerts/prometheus.yml": text}


def operator(plan: Plan) -> Mapping[str, str]:
    """Path to text: for the operator."""
    command = "natobs generate operator"
    labels = "".join(
        f"        - {{ sourceLabels: [__meta_kubernetes_pod_label_{label}], targetLabel: {label} }}\n"
        for label in plan.rendering.group_labels
    )
    rules = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        # The Prometheus resource selects it by its labels (ruleSelector).
        "metadata": {"name": "natobs", "labels": {"app.kubernetes.io/name": "natobs"}},
        "spec": document((*recording.groups(plan), *alerting.groups(plan)), plan.rendering),
    }
    filled = _times(plan) | {"group": labels, "group_values": _values(plan)}
    return {
        "alerts/operator/prometheusrule.yaml": to_yaml(rules, command),
        "alerts/operator/servicemonitor.yaml": fill(_PACKAGE, "monitors.yaml", filled, command),
    }


def _times(plan: Plan) -> dict[str, str]:
    return {"every": plan.rendering.duration(EVERY), "timeout": plan.rendering.duration(TIMEOUT)}


def _values(plan: Plan) -> str:
    return "".join(f", {label}: {_YOURS}" for label in plan.rendering.group_labels)
