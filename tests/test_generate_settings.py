"""What a fleet sets changes the catalogue, and what cannot be is refused with its dotted path."""

import re

import pytest

from natobs.catalogue.objectives import LEAST_FAILURES
from natobs.catalogue.promql import Rendering
from natobs.config.fleet import AlertSettings, Fleet, ObjectiveSettings, Service
from natobs.errors import ConfigError
from natobs.generate import explain
from natobs.generate.rules.overview import LIMITED, limits, strain
from natobs.generate.settings import plan

DEFAULT = plan(Fleet())


def fleet_with(objective: str, **settings: float | bool) -> Fleet:
    return Fleet(objectives={objective: ObjectiveSettings(**settings)})  # type: ignore[arg-type]  # each by its own name


def test_a_target_and_a_pace_are_taken_over() -> None:
    made = plan(fleet_with("nat-outbound-success", target=0.995, per_minute=30.0))
    one = next(one for one in made.objectives if one.id == "nat-outbound-success")
    assert (one.target, one.per_minute, one.budget) == (0.995, 30, 0.005)
    assert len(made.objectives) == len(DEFAULT.objectives)


def test_an_objective_can_be_switched_off() -> None:
    made = plan(fleet_with("nat-cpu", enabled=False))
    assert {one.id for one in DEFAULT.objectives} - {one.id for one in made.objectives} == {"nat-cpu"}


def test_a_service_gets_an_objective_of_its_own() -> None:
    made = plan(Fleet(services=(Service(name="payments", target=0.99, per_minute=90.0),)))
    one = made.objectives[-1]
    assert (one.id, one.alert, one.target) == ("nat-service-payments", "NatServiceBurn", 0.99)
    assert 'destination="payments"' in one.bad.text(Rendering())


def test_thresholds_are_taken_over_and_alerts_switched_off() -> None:
    settings = {"NatConntrackUsage": AlertSettings(critical=0.95), "NatCpuSteal": AlertSettings(enabled=False)}
    made = {alert.name: alert for alert in plan(Fleet(alerts=settings)).alerts}
    assert [level.threshold for level in made["NatConntrackUsage"].levels] == [0.75, 0.95]
    assert "NatCpuSteal" not in made


@pytest.mark.parametrize(
    ("fleet", "message"),
    [
        (
            fleet_with("nat-outbound", target=0.9),
            r"objectives\.nat-outbound: unknown; there are .*nat-cpu",
        ),
        (Fleet(alerts={"NatTable": AlertSettings()}), r"alerts\.NatTable: unknown; there are .*NatTableFull"),
        (
            Fleet(alerts={"NatTableFull": AlertSettings(warning=1.0)}),
            r"alerts\.NatTableFull\.warning: it has only critical",
        ),
        (
            Fleet(alerts={"NatConntrackUsage": AlertSettings(warning=0.95)}),
            r"alerts\.NatConntrackUsage: thresholds must become worse: warning 0\.95, critical 0\.9",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_refused(fleet: Fleet, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(fleet)


def test_too_few_failures_are_refused_with_the_interval_that_would_do() -> None:
    with pytest.raises(
        ConfigError, match=r"objectives\.nat-outbound-success: .*1\.7 failures within 1h would page"
    ) as it:
        plan(fleet_with("nat-outbound-success", per_minute=2.0))
    assert "fewer than 3" in str(it.value)
    least = 3 / (14.4 * 0.001 * 60)
    assert f"it takes {least:.1f} events a minute (an attempt every {60 / least:.1f} s)" in str(it.value)
    enough = plan(fleet_with("nat-outbound-success", per_minute=3.5))
    assert enough.objectives[0].per_minute == 3.5


def test_an_objective_that_wakes_nobody_may_have_few_events() -> None:
    assert plan(fleet_with("nat-resets", per_minute=0.01)).objectives


def test_a_link_capacity_stands_in_where_an_agent_knows_none() -> None:
    made = plan(Fleet(link_capacity_bits_per_second=8_000_000_000))
    load = next(value for value in made.values if value.recorded.name == "nat:link_load:ratio")
    assert "1e+09" in load.query.text(Rendering()) or "1000000000" in load.query.text(Rendering())


def test_an_address_that_is_not_reserved_shows_whatever_the_prober_expects() -> None:
    made = plan(Fleet(public_addresses=("192.0.2.7",)))
    alert = next(alert for alert in made.alerts if alert.name == "NatPublicAddressUnexpected")
    text = alert.value.text(Rendering())
    assert text.startswith("min by")
    assert r'address!~"192\\.0\\.2\\.7|' in text


@pytest.mark.parametrize(
    ("reserved", "right", "wrong"),
    [
        (("192.0.2.7",), ("192.0.2.7", "2001:db8::1"), ("192.0.2.8", "192.0.247")),
        (("2001:DB8:0:0::7",), ("2001:db8::7", "192.0.2.7"), ("2001:db8::8",)),
        (("192.0.2.7", "2001:db8::7"), ("192.0.2.7", "2001:db8::7"), ("192.0.2.8", "2001:db8::8")),
    ],
)
def test_addresses_are_judged_by_those_of_their_ip_version(
    reserved: tuple[str, ...], right: tuple[str, ...], wrong: tuple[str, ...]
) -> None:
    alert = next(alert for alert in plan(Fleet(public_addresses=reserved)).alerts if alert.fault == "F7")
    (pattern,) = re.findall(r'address!~"([^"]+)"', alert.value.text(Rendering()))
    passes = re.compile(pattern.replace("\\\\", "\\")).fullmatch
    assert [address for address in (*right, *wrong) if not passes(address)] == list(wrong)


def test_strain_is_a_share_of_the_fleets_own_thresholds() -> None:
    settings = {"NatCpuUsage": AlertSettings(critical=0.7), "NatConntrackUsage": AlertSettings(enabled=False)}
    made = plan(Fleet(alerts=settings))
    assert limits(made) == {**limits(DEFAULT), "cpu": 0.7}
    text = strain(made).query.text(Rendering())
    assert "nat:cpu_busy:ratio / 0.7" in text
    assert all(value.recorded.name in text for value, _ in LIMITED.values())


def test_labels_of_the_command_line_come_before_those_of_the_file() -> None:
    assert plan(Fleet(group_labels=("region",))).rendering.group_labels == ("region",)
    assert plan(Fleet(group_labels=("region",)), group_labels=("zone",)).rendering.group_labels == ("zone",)


def test_failures_to_page_are_told_for_each_objective_and_tier() -> None:
    rows = explain.rows(DEFAULT)
    assert len(rows) == sum(len(one.tiers()) for one in DEFAULT.objectives)
    fast = next(row for row in rows if row.objective == "nat-outbound-success")
    assert (fast.tier, fast.action, fast.failures, fast.guard) == ("14.4x over 1h and 5m", "page", 51.8, LEAST_FAILURES)
    assert all(row.failures >= LEAST_FAILURES for row in rows if row.action == "page")
