"""OpenSLO v1 as far as natobs writes it: kinds, fields, types and bounds, and references that must lead somewhere.

A check of our own, after the specification: OpenSLO's validator is a Go library,
and its JSON schemas leave budgets and time windows open. A field that is not here
is refused.

Source: https://github.com/OpenSLO/OpenSLO, README.md and ``pkg/openslo/v1``.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(pattern="^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")]
Text = Annotated[str, Meta(min_length=1, max_length=1050)]
Label = Annotated[str, Meta(pattern="^[a-zA-Z0-9][a-zA-Z0-9._-]*$", max_length=63)]
Share = Annotated[float, Meta(gt=0, le=1)]
Duration = Annotated[str, Meta(pattern="^[1-9][0-9]*[mhdwMQY]$")]


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A field that is not known is an error."""


class Metadata(Strict):
    name: Name
    displayName: Text | None = None  # noqa: N815 - the name in the document
    labels: dict[str, Label] = {}


class Service(Strict):
    description: Text


class AlertNotificationTarget(Strict):
    description: Text
    target: Text


class Query(Strict):
    query: Text


class Source(Strict):
    type: Literal["Prometheus"]
    spec: Query


class Metric(Strict):
    metricSource: Source  # noqa: N815 - the name in the document


class Ratio(Strict):
    counter: bool
    bad: Metric
    total: Metric


class Sli(Strict):
    ratioMetric: Ratio  # noqa: N815 - the name in the document


class Window(Strict):
    duration: Duration
    isRolling: Literal[True]  # noqa: N815 - the name in the document


class Objective(Strict):
    displayName: Text  # noqa: N815 - the name in the document
    target: Annotated[float, Meta(gt=0, lt=1)]
    timeSliceTarget: Share | None = None  # noqa: N815 - the name in the document
    timeSliceWindow: Duration | None = None  # noqa: N815 - the name in the document


class PolicyRef(Strict):
    alertPolicyRef: Name  # noqa: N815 - the name in the document


class Slo(Strict):
    description: Text
    service: Name
    indicatorRef: Name  # noqa: N815 - the name in the document
    timeWindow: Annotated[list[Window], Meta(min_length=1, max_length=1)]  # noqa: N815 - the name in the document
    budgetingMethod: Literal["Occurrences", "Timeslices"]  # noqa: N815 - the name in the document
    objectives: Annotated[list[Objective], Meta(min_length=1)]
    alertPolicies: list[PolicyRef]  # noqa: N815 - the name in the document

    def __post_init__(self) -> None:
        sliced = self.budgetingMethod == "Timeslices"
        for one in self.objectives:
            if sliced != (one.timeSliceTarget is not None) or sliced != (one.timeSliceWindow is not None):
                raise ValueError("time slices need a target and a window, and occurrences have neither")


class Condition(Strict):
    kind: Literal["burnrate"]
    op: Literal["lte", "gte", "lt", "gt"]
    threshold: Annotated[float, Meta(gt=0)]
    lookbackWindow: Duration  # noqa: N815 - the name in the document
    alertAfter: Duration  # noqa: N815 - the name in the document


class AlertCondition(Strict):
    severity: Text
    condition: Condition


class ConditionRef(Strict):
    conditionRef: Name  # noqa: N815 - the name in the document


class TargetRef(Strict):
    targetRef: Name  # noqa: N815 - the name in the document


class AlertPolicy(Strict):
    description: Text
    alertWhenBreaching: bool  # noqa: N815 - the name in the document
    alertWhenResolved: bool  # noqa: N815 - the name in the document
    alertWhenNoData: bool  # noqa: N815 - the name in the document
    conditions: Annotated[list[ConditionRef], Meta(min_length=1, max_length=1)]
    notificationTargets: Annotated[list[TargetRef], Meta(min_length=1)]  # noqa: N815 - the name in the document


SPECS: dict[str, type[Strict]] = {
    "Service": Service,
    "SLI": Sli,
    "SLO": Slo,
    "AlertCondition": AlertCondition,
    "AlertPolicy": AlertPolicy,
    "AlertNotificationTarget": AlertNotificationTarget,
}


class _Document(Strict):
    apiVersion: Literal["openslo/v1"]  # noqa: N815 - the name in the document
    kind: Literal["Service", "SLI", "SLO", "AlertCondition", "AlertPolicy", "AlertNotificationTarget"]
    metadata: Metadata
    spec: dict[str, Any]


def check(documents: Iterable[object]) -> Counter[str]:
    """How many there are of each kind.

    Raises:
        ValueError: one is wrong, two have the same name, or a reference leads nowhere.
    """
    seen: set[tuple[str, str]] = set()
    wanted: set[tuple[str, str]] = set()
    for raw in documents:
        document = msgspec.convert(raw, _Document)
        spec = msgspec.convert(document.spec, SPECS[document.kind])
        own = (document.kind, document.metadata.name)
        if own in seen:
            raise ValueError(f"{own}: twice")
        seen.add(own)
        if isinstance(spec, Slo):
            wanted |= {("Service", spec.service), ("SLI", spec.indicatorRef)}
            wanted |= {("AlertPolicy", one.alertPolicyRef) for one in spec.alertPolicies}
        if isinstance(spec, AlertPolicy):
            wanted |= {("AlertCondition", one.conditionRef) for one in spec.conditions}
            wanted |= {("AlertNotificationTarget", one.targetRef) for one in spec.notificationTargets}
    if wanted - seen:
        raise ValueError(f"{sorted(wanted - seen)}: referred to, and not there")
    return Counter(kind for kind, _name in seen)
