"""The objectives as OpenSLO documents: of the right shape, whole, and the same as those that alerts are made of."""

from collections.abc import Callable
from typing import Any

import promql_parser
import pytest
import yaml

from natobs.catalogue.objectives import ALL, TIERS
from natobs.config.fleet import Fleet, Service
from natobs.generate.openslo import files, name
from natobs.generate.settings import plan
from tests.conftest import Figure
from tests.openslo_schema import check

SERVICES = (Service(name="shop"), Service(name="Shop.Example:443"), Service(name="x" * 63))
MADE = plan(Fleet(services=SERVICES))


def documents() -> list[Any]:
    return [one for text in files(MADE).values() for one in yaml.safe_load_all(text)]


def test_each_objective_has_an_indicator_and_a_policy_for_each_speed(figure: Figure) -> None:
    tiers = sum(len(objective.tiers()) for objective in MADE.objectives)
    counted = check(documents())
    figure(dict(counted))
    number = len(ALL) + len(SERVICES)
    assert counted == {
        "Service": 1,
        "AlertNotificationTarget": 3,
        "SLI": number,
        "SLO": number,
        "AlertCondition": tiers,
        "AlertPolicy": tiers,
    }
    assert len(files(MADE)) == number + 1


def test_targets_windows_and_speeds_are_those_of_the_catalogue() -> None:
    by_kind: dict[str, dict[str, Any]] = {}
    for one in documents():
        by_kind.setdefault(one["kind"], {})[one["metadata"]["name"]] = one["spec"]
    for objective in ALL:
        slo = by_kind["SLO"][objective.id]
        assert slo["objectives"][0]["target"] == objective.target
        assert slo["timeWindow"] == [{"duration": "30d", "isRolling": True}]
        assert slo["budgetingMethod"] == ("Timeslices" if objective.slices else "Occurrences")
        conditions = [by_kind["AlertCondition"][one["alertPolicyRef"]] for one in slo["alertPolicies"]]
        speeds = [(one["condition"]["threshold"], one["condition"]["lookbackWindow"]) for one in conditions]
        assert speeds == [(tier.factor, tier.long) for tier in TIERS if tier in objective.tiers()]


def test_queries_are_promql_and_name_their_objective() -> None:
    queries = [
        ratio[part]["metricSource"]["spec"]["query"]
        for one in documents()
        if one["kind"] == "SLI"
        for ratio in [one["spec"]["ratioMetric"]]
        for part in ("bad", "total")
    ]
    assert len(queries) == 2 * len(MADE.objectives)
    for query in queries:
        promql_parser.parse(query)
        assert 'sloth_id="nat-' in query


def test_names_are_labels_of_dns_and_stay_apart() -> None:
    given = ["nat-cpu", "nat-service-a.b", "nat-service-a:b", "nat-service-A-b", "nat-service-" + "x" * 63]
    made = [name(one) for one in given]
    assert made[0] == "nat-cpu"
    assert len(set(made)) == len(given)
    assert all(len(one) <= 63 and one.replace("-", "").isalnum() and one == one.lower() for one in made)


def test_a_labs_hurry_changes_nothing() -> None:
    assert files(plan(Fleet(), 30)) == files(plan(Fleet()))


Change = Callable[[list[Any]], object]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda all_of: all_of[0].update(apiVersion="openslo/v2"), "openslo/v2"),
        (lambda all_of: all_of[0]["metadata"].update(name="Not a name"), "matching regex"),
        (lambda all_of: _first(all_of, "SLO")["objectives"][0].update(target=99.9), "< 1"),
        (lambda all_of: _first(all_of, "SLO")["objectives"][0].update(timeSliceWindow="1m"), "time slices"),
        (lambda all_of: _first(all_of, "SLO").update(window="30d"), "unknown field"),
        (lambda all_of: _first(all_of, "AlertCondition")["condition"].update(alertAfter="300s"), "matching regex"),
        (lambda all_of: _first(all_of, "AlertPolicy")["conditions"][0].update(conditionRef="gone"), "not there"),
        (lambda all_of: all_of.append(all_of[0]), "twice"),
        (lambda all_of: all_of.pop(0), "not there"),
    ],
)
def test_what_is_wrong_with_a_document_is_found(change: Change, complaint: str) -> None:
    broken = documents()
    change(broken)
    with pytest.raises(ValueError, match=complaint):
        check(broken)


def _first(all_of: list[Any], kind: str) -> Any:  # noqa: ANN401 - any part of a document
    return next(one["spec"] for one in all_of if one["kind"] == kind)
