"""What a test expects, as promtool's files say it: alerts with their annotations, and the series of alerts that fire.

Source: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/.
"""

import re
from collections.abc import Iterable, Mapping

from natobs.catalogue.alerting import Unit
from natobs.generate.proofs import notation
from natobs.generate.rules.model import Alerting

_TEMPLATE = re.compile(r"{{ \$(?:value[^}]*|labels\.(?P<label>\w+)(?P<quoted> \| urlquery)?) }}")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.~-]")
Labels = Mapping[str, str]


def told(alert: str, at: str, fired: Iterable[tuple[Alerting, Labels, float]], unit: Unit) -> dict[str, object]:
    """The alerts of a name at a time: all of them, with labels and annotations."""
    expected = [
        {"exp_labels": dict(labels), "exp_annotations": annotations(rule, labels, value, unit)}
        for rule, labels, value in fired
    ]
    return {"alertname": alert, "eval_time": at, "exp_alerts": expected}


def states(alert: str, at: str, fired: Iterable[Labels], **only: str) -> dict[str, object]:
    """Which alerts of a name fire at a time, by labels alone: shorter."""
    return samples(notation.firing(alert, only), at, {notation.firing(alert, labels): 1 for labels in fired})


def samples(query: str, at: str, expected: Mapping[str, float]) -> dict[str, object]:
    """What a query gives at a time: series and values, or nothing."""
    return {
        "expr": query,
        "eval_time": at,
        "exp_samples": [{"labels": series, "value": value} for series, value in expected.items()],
    }


def annotations(rule: Alerting, labels: Labels, value: float, unit: Unit) -> dict[str, str]:
    """The annotations of an alert with these labels and this value."""

    def fill(match: re.Match[str]) -> str:
        if match["label"] is None:
            return spoken(value, unit)
        text = labels[match["label"]]
        return _UNSAFE.sub(lambda character: f"%{ord(character[0]):02X}", text) if match["quoted"] else text

    return {key: _TEMPLATE.sub(fill, text) for key, text in rule.annotations.items()}


def spoken(value: float, unit: Unit) -> str:
    """A value as Prometheus' templates write it."""
    if unit == "ratio":
        return f"{value * 100:.4g}%"
    if unit == "seconds":
        return f"{value:.4g}s" if value >= 1 else f"{value * 1000:.4g}ms"
    return "" if unit == "state" else f"{value:.{1 if unit == 'per_second' else 0}f}"
