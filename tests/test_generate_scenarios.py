"""Every alert has a scenario, and promtool agrees with what the scenarios expect."""

from dataclasses import replace
from pathlib import Path

import pytest

from natobs.catalogue.alerting import Unit
from natobs.catalogue.metrics import conntrack
from natobs.config.fleet import AlertSettings, Fleet, Service
from natobs.errors import CatalogueError
from natobs.generate import scenarios
from natobs.generate.proofs import files as proofs
from natobs.generate.proofs import notation
from natobs.generate.proofs.expect import spoken
from natobs.generate.proofs.firing import fires, holds, turns
from natobs.generate.rules import files as rules
from natobs.generate.scenarios import shapes
from natobs.generate.scenarios.model import Clock, Signal, burst, events, growing, level, stamp
from natobs.generate.settings import Plan, plan
from tests.conftest import Figure
from tests.mutation.corpus import load
from tests.mutation.plain import complaint
from tests.mutation.run import unnoticed
from tests.promtool import ROOT, promtool

WINDOW = Clock(step=30, lead=60, length=90, tail=60)


def written(made: Plan, folder: Path) -> Path:
    """The rules and their tests in a folder; gives that of the rules."""
    for path, text in {**rules.files(made), **proofs.files(made)}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder / "alerts"


def test_every_alert_of_the_catalogue_has_a_scenario() -> None:
    names = [alert.name for alert in plan(Fleet()).alerts]
    assert set(scenarios.ALL) == set(names)
    assert len(scenarios.ALL) == sum(len(module.SCENARIOS) for module in scenarios.SUBJECTS), "one stands there twice"


def test_every_committed_rule_is_proven_by_a_committed_test(tmp_path: Path, figure: Figure) -> None:
    corpus = load(ROOT / "alerts")
    assert unnoticed(corpus) == []
    assert complaint(corpus, corpus.tests, tmp_path) == ""
    alerts = sum("alert" in rule.body for rule in corpus.rules)
    kinds = ("alert_rule_test", "promql_expr_test")
    asked = sum(len(test.body.get(kind, ())) for test in corpus.tests for kind in kinds)
    assert alerts > 80
    line = f"{alerts} alerts, {len(corpus.rules) - alerts} records, {len(corpus.tests)} tests, {asked} expectations"
    figure(line)


@pytest.mark.parametrize("name", ["values-2", "budget-3"])
def test_a_file_of_tests_can_be_run_as_it_is(name: str) -> None:
    status, output = promtool("test", "rules", ROOT / "alerts" / "tests" / f"{name}.yml")
    assert status == 0, output


def test_a_laboratory_has_the_same_alerts_sixty_times_as_fast(tmp_path: Path) -> None:
    corpus = load(written(plan(Fleet(), scale=60), tmp_path))
    assert complaint(corpus, corpus.tests, tmp_path) == ""


def test_a_threshold_of_the_fleet_is_what_is_tested(tmp_path: Path) -> None:
    lower = Fleet(alerts={"NatSoftirqSaturated": AlertSettings(warning=0.8)})
    folder = written(plan(lower), tmp_path)
    changed = [test for test in load(folder).tests if "NatSoftirqSaturated" in test.names]
    assert complaint(load(folder), changed, tmp_path) == ""
    assert "NatSoftirqSaturated" in complaint(load(ROOT / "alerts"), changed, tmp_path)


def test_a_service_of_the_fleet_has_tests_of_its_own(tmp_path: Path) -> None:
    corpus = load(written(plan(Fleet(services=(Service(name="payments", target=0.99),))), tmp_path))
    mine = [test for test in corpus.tests if test.body["name"] == "nat-service-payments"]
    assert len(mine) == 2
    assert complaint(corpus, mine, tmp_path) == ""


def test_series_carry_on_where_they_were() -> None:
    well, broken = events(conntrack.EARLY_DROP, 0, 300), events(conntrack.EARLY_DROP, 20, 300)
    assert notation.samples(WINDOW, well, broken) == "0+0x1 2+2x2 6+0x2"
    assert notation.samples(WINDOW, growing(conntrack.EARLY_DROP, 0.5), growing(conntrack.EARLY_DROP, 0.5)) == "0+15x7"
    assert notation.samples(WINDOW, well, burst(conntrack.EARLY_DROP, 7)) == "0+0x1 7+0x2 7+0x2"


def test_gauges_jump_and_vanish() -> None:
    assert notation.samples(WINDOW, level(conntrack.ENTRIES, 3), level(conntrack.ENTRIES, 9)) == "3+0x1 9+0x2 3+0x2"
    assert notation.samples(WINDOW, level(conntrack.ENTRIES, 3), None) == "3+0x1 stale _x2 3+0x2"
    assert notation.samples(WINDOW, None, level(conntrack.ENTRIES, 9)) == "_x2 9+0x2 stale _x2"
    growing_gauge = Signal(conntrack.ENTRIES, level=5, growth=1, carries=True)
    assert notation.samples(WINDOW, level(conntrack.ENTRIES, 5), growing_gauge) == "5+0x1 35+30x2 5+0x2"


def test_a_faster_clock_divides_times_and_nothing_else() -> None:
    fast = WINDOW._replace(scale=60)
    assert notation.samples(fast, None, stamp(conntrack.ENTRIES, 600)) == "_x2 10+0x2 stale _x2"
    assert growing(conntrack.EARLY_DROP, 10).increment(fast) == 5
    assert events(conntrack.EARLY_DROP, 20, 300).increment(fast) == events(conntrack.EARLY_DROP, 20, 300).increment(
        WINDOW
    )


def test_an_alert_waits_and_goes_on() -> None:
    active = [False, True, True, True, False, False, False, True, False]
    assert fires(active, 30, 60, 60) == [False, False, False, True, True, True, False, False, False]
    assert fires(active, 30, 0, 0) == active
    assert turns([False, True, True, False]) == {0, 1, 2, 3}
    assert holds([None, 0.5, 0.1 + 0.2], ">", 0.3) == [False, True, False]


def test_an_alert_that_comes_back_while_it_goes_on_has_never_ended() -> None:
    assert fires([True, False, True, False, False, False], 30, 0, 60) == [True, True, True, True, True, False]


def test_windows_in_python_are_those_of_prometheus() -> None:
    values = [0.0, 0.0, 6.0, 6.0, 6.0, 0.0, 0.0, 0.0]
    assert shapes.mean(60)(values, WINDOW) == [0, 0, 3, 6, 6, 3, 0, 0]
    assert shapes.highest(60)(values, WINDOW) == [0, 0, 6, 6, 6, 6, 6, 0]
    assert shapes.lowest(60)(values, WINDOW) == [0, 0, 0, 0, 6, 0, 0, 0]
    assert shapes.once(60)(values, WINDOW) == [0, 0, 6, 6, 0, 0, 0, 0]
    assert shapes.lasting(60)(values, WINDOW) == [None, None, 6, 6, None, None, None, None]
    assert shapes.forecast(1, 60, 300)([1, 1, 11, 11, 11], WINDOW)[-1] == pytest.approx(4 + 10)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.765, "ratio", "76.5%"),
        (0.00102, "ratio", "0.102%"),
        (0.0102, "seconds", "10.2ms"),
        (1.02, "seconds", "1.02s"),
        (10.2, "per_second", "10.2"),
        (3060, "count", "3060"),
        (0, "state", ""),
    ],
)
def test_values_are_spoken_as_templates_do(value: float, unit: Unit, text: str) -> None:
    assert spoken(value, unit) == text


def test_a_scenario_that_cannot_fire_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan(Fleet())
    scenario = scenarios.ALL["NatTableEvicting"]
    monkeypatch.setitem(scenarios.ALL, "NatTableEvicting", replace(scenario, bad={"warning": 0.0}))
    with pytest.raises(CatalogueError, match="NatTableEvicting: warning never fires"):
        proofs.files(made)
