"""The fleet of the benchmark: scrapes that move like real ones, and the past that rules and panels read."""

import io
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.fleet import missed
from benchmarks.fleet_history import Past, backfill
from benchmarks.fleet_measure import Group, Result, Timed
from benchmarks.fleet_needs import DAY, ROOT, Need, Panel, Rule, needs, panels, rules, selectors
from benchmarks.fleet_scrapes import KINDS, Scrape, Simulated
from benchmarks.fleet_server import Fleet
from benchmarks.fleet_victoria import RULES, dry_run

Values = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parsed(text: str) -> tuple[Values, set[str]]:
    """Values by name and labels, and the names of counters and of parts of histograms."""
    values: Values = {}
    growing: set[str] = set()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name, frozenset(sample.labels.items())] = sample.value
            if family.type in {"counter", "histogram"}:
                growing.add(sample.name)
    return values, growing


@pytest.mark.parametrize("kind", KINDS)
def test_a_simulated_scrape_has_the_series_of_the_recorded_one(kind: str) -> None:
    scrape = Scrape.recorded(kind)
    recorded, _ = parsed((ROOT / "benchmarks" / "fleet_scrape" / f"{kind}.prom").read_text("utf-8"))
    simulated, _ = parsed(Simulated(scrape, 7).text(100))
    assert simulated.keys() == recorded.keys()
    assert len(recorded) > {"agent": 500, "prober": 230}[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [3, 19])
def test_no_counter_falls_and_most_move(kind: str, number: int) -> None:
    nat = Simulated(Scrape.recorded(kind), number)
    scrapes = [parsed(nat.text(seconds)) for seconds in range(0, 2000, 130)]
    growing = scrapes[0][1]
    for (one, _), (other, _) in pairwise(scrapes):
        assert [key for key in one if key[0] in growing and other[key] < one[key]] == []
    first, last = scrapes[0][0], scrapes[-1][0]
    traffic = [key for key in first if key[0].endswith("_total") and first[key] > 10]
    assert traffic
    assert all(last[key] > first[key] for key in traffic)


@pytest.mark.parametrize("seconds", [0, 1234.5])
def test_buckets_are_never_above_the_next(seconds: float) -> None:
    for family in text_string_to_metric_families(Simulated(Scrape.recorded("prober"), 19).text(seconds)):
        found: dict[frozenset[tuple[str, str]], list[float]] = {}
        for sample in family.samples:
            if sample.name.endswith("_bucket"):
                rest = frozenset((name, value) for name, value in sample.labels.items() if name != "le")
                found.setdefault(rest, []).append(sample.value)
        assert all(values == sorted(values) for values in found.values())


def test_one_nat_in_twenty_is_worse_and_the_others_differ_in_traffic() -> None:
    scrape = Scrape.recorded("agent")
    fleet = [Simulated(scrape, number) for number in range(40)]
    assert [number for number, nat in enumerate(fleet) if nat.worse] == [19, 39]
    name = ("natobs_outbound_attempts_total", frozenset({("proto", "tcp")}))
    grown = {parsed(nat.text(1000))[0][name] - parsed(nat.text(0))[0][name] for nat in fleet}
    assert len(grown) == 40
    assert 0.5 < max(grown) / min(grown) / 4 < 1.5  # from half the recorded traffic to double


@pytest.mark.parametrize("text", ["natobs_x{a=1", "natobs_x"])
def test_what_is_no_scrape_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no sample"):
        Scrape.parse(text)


def test_the_server_answers_for_each_nat_and_nobody_else() -> None:
    fleet = Fleet(2, 0)
    head, _, body = fleet.answer(b"GET /prober/1 HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"natobs_probe_attempts_total" in body
    for path in (b"/prober/2", b"/other/1", b"/"):
        assert fleet.answer(b"GET " + path + b" HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")


def test_selectors_are_found_wherever_they_stand() -> None:
    text = "topk(3, a_b{x='y'}) / on (z) -(c:d:e > 0) unless max_over_time(rate(f_g[5m])[1h:1m]) or h_i[1d] offset 1h"
    assert selectors(text.replace("h_i[1d] offset 1h", "count_over_time(h_i[1d])")) == [
        ("a_b", 0),
        ("c:d:e", 0),
        ("f_g", 3900),
        ("h_i", DAY),
    ]


def test_what_rules_and_panels_read_far_back_needs_a_past() -> None:
    made = needs(
        [
            Rule("a:b:c", "rate(raw_total[5m])", "quick", 30),
            Rule("d:e:f", "sum_over_time(a:b:c[30d]) + sum(last_over_time(raw_info[1d]))", "slow", 3600),
        ],
        [
            Panel("natobs-fleet", "recorded", "max(d:e:f) / raw_total", instant=False),
            Panel("natobs-fleet", "now", "max(a:b:c)", instant=True),
            Panel("natobs-debug", "raw", "rate(raw_total[5m])", instant=False),
        ],
    )
    assert made == [
        Need("a:b:c", 30 * DAY, 30, everywhere=True),
        Need("d:e:f", DAY, 3600, everywhere=True),
        Need("raw_info", DAY, 15, everywhere=True),
        Need("raw_total", DAY + 300, 30, everywhere=False),
    ]


def test_the_rules_and_dashboards_of_the_project_are_read() -> None:
    of_rules = rules(sorted((ROOT / "alerts").glob("natobs-*.yml")))
    of_panels = panels(sorted((ROOT / "dashboards").glob("*.json")), "fleet-000")
    made = {(need.name, need.everywhere): need for need in needs(of_rules, of_panels)}
    assert made["slo:bad:step1h", True].seconds == 30 * DAY
    assert not [panel for panel in of_panels if "$" in re.sub(r"\$(?=[\"|)])", "", panel.expression)]
    assert {panel.dashboard for panel in of_panels} == {
        f"natobs-{n}" for n in ("debug", "executive", "fleet", "on-call")
    }


def read_raw(of_rules: list[Rule]) -> set[str]:
    """Scraped series that rules read more than two hours of."""
    return {
        name
        for rule in of_rules
        for name, seconds in selectors(rule.expression)
        if seconds > 7200 and name.startswith("natobs_")
    }


def test_long_windows_read_recorded_series_only() -> None:
    of_rules = rules(sorted((ROOT / "alerts").glob("natobs-*.yml")))
    assert read_raw(of_rules) == set()
    assert read_raw([Rule("", "count(last_over_time(natobs_build_info[1d]))", "one", 30)]) == {"natobs_build_info"}


PAST = Past(
    [
        Need("natobs_build_info", 7200, 15, everywhere=True),
        Need("nat:cpu_busy:ratio", 3 * DAY, 3600, everywhere=True),
        Need("nat:cpu_busy:ratio", 3 * DAY, 1800, everywhere=False),
        Need("slo:error_budget:ratio", DAY, 300, everywhere=True),
    ],
    [
        {"__name__": "nat:cpu_busy:ratio", "nat_cluster": "fleet-000", "nat": "nat0000"},
        {"__name__": "slo:error_budget:ratio", "sloth_id": "nat-cpu"},
    ],
    6,
    1_700_000_000,
    1_700_200_000,
)


def test_the_past_has_every_sample_once_and_in_its_chunk() -> None:
    seen: dict[str, list[int]] = {}
    written = 0
    for start, end, _length in PAST.chunks():
        file = io.StringIO()
        written += PAST.write(file, start, end)
        *lines, last = file.getvalue().splitlines()
        assert last == "# EOF"
        for line in lines:
            series, _value, stamp = line.rsplit(" ", 2)
            assert start <= int(stamp) < end
            seen.setdefault(series, []).append(int(stamp))
    assert all(one < other for stamps in seen.values() for one, other in pairwise(stamps))
    assert sum(map(len, seen.values())) == written
    by_nat = {
        re.findall(r'nat="(\w+)"', series)[0]: len(found) for series, found in seen.items() if "cpu_busy" in series
    }
    assert by_nat == {**dict.fromkeys(("nat0000", "nat0001", "nat0002", "nat0003"), 144), "nat0004": 72, "nat0005": 72}
    assert sum("natobs_build_info" in series for series in seen) == 6  # agents alone
    assert sum("error_budget" in series for series in seen) == 1


def test_what_is_recorded_in_trouble_is_the_past_of_nats_in_trouble() -> None:
    need = Need("slo:explained:active", DAY, 300, everywhere=True)
    labels = {"__name__": need.name, "nat_cluster": "fleet-000", "nat": "nat0000"}
    past = Past([need], [labels], 45, 1_700_000_000, 1_700_200_000)
    file = io.StringIO()
    for start, end, _length in past.chunks():
        past.write(file, start, end)
    assert set(re.findall(r'nat="(\w+)"', file.getvalue())) == {"nat0019", "nat0039"}


def test_promtool_makes_blocks_of_the_past(tmp_path: Path) -> None:
    assert shutil.which("promtool"), "promtool is missing; `make programs` fetches it"
    written = backfill(PAST, tmp_path, tmp_path / "data")
    said = subprocess.run(
        ["promtool", "tsdb", "list", str(tmp_path / "data")], capture_output=True, text=True, check=True
    ).stdout
    samples = [int(line.split()[4]) for line in said.splitlines()[1:]]
    assert sum(samples) == written
    assert list(tmp_path.glob("*.om")) == []


def test_promtool_that_refuses_is_quoted(tmp_path: Path) -> None:
    nonsense = replace(PAST, needs=[Need("no name", DAY, 300, everywhere=True)], recorded=[{"__name__": "no name"}])
    with pytest.raises(RuntimeError, match=r"promtool: .*invalid syntax"):
        backfill(nonsense, tmp_path, tmp_path / "data")


def test_vmalert_takes_the_flavour_for_it_and_no_other(tmp_path: Path) -> None:
    assert shutil.which("vmalert"), "vmalert is missing; `make programs` fetches it"
    assert dry_run(RULES)[0]
    rule = "{alert: A, expr: up, keep_firing_for: 5m}"
    (tmp_path / "wrong.yml").write_text(f"groups: [{{name: one, rules: [{rule}]}}]")
    passed, said = dry_run(tmp_path)
    assert not passed
    assert "keep_firing_for" in said


def result(nats: int, seconds: float, panel: float = 0.1, **more: float) -> Result:
    timed = Timed(Panel("natobs-fleet", "Strain", "up", instant=False), panel, 1, cpu=panel / 2)
    made = Result(
        nats,
        scraped=600,
        groups=[Group("one", 3, [0.01, seconds, 9.0], asked=False, cpu=seconds / 2)],
        panels={"fleet": timed},
    )
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_goals_that_are_missed_are_named_with_their_figures() -> None:
    assert missed([result(10, 0.02), result(100, 0.2), result(1000, 0.9)]) == []
    assert missed([result(1000, 1.5)]) == ["group one: 1.50 s at 1000 NATs (0.75 s of CPU), the goal is 1 s"]
    assert missed([result(1000, 0.5, panel=2)]) == [
        "fleet, panel Strain: 2.00 s at 1000 NATs (1.00 s of CPU), the goal is 1 s"
    ]
    assert missed([result(10, 0.2), result(100, 2.6)]) == [
        "group one: from 0.100 s of CPU at 10 NATs to 1.300 s at 100, more than linear"
    ]
    assert missed([result(10, 0.1, scraped=701)]) == ["series: 701 for each NAT, the goal is 700"]
    assert missed([result(10, 0.1, busy=0.5)]) == [
        "a quiet machine: others took 50% of the CPUs at 10 NATs, and times are too long"
    ]
    assert missed([result(10, 0.1, late=0.25)]) == ["25.0% of scrapes failed at 10 NATs"]
