"""Budgets and burn rates of the recording rules in a real Prometheus, against plain Python, over random histories.

The history is written by remote write. Each recording rule is then evaluated as
Prometheus would have, at the interval of its group, and what it records is
written too, with the marks of series that end: the rules are the committed ones,
and a month need not be waited for.
"""

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import pytest
import yaml

from natobs.catalogue.naming import ERROR_RATIO, WINDOWS
from natobs.catalogue.objectives import ALL, Objective
from natobs.slo.budget import Events, burn_rate, increments, remaining, share
from tests.monitoring import Server, prometheus
from tests.promtool import ROOT
from tests.remote_write import ARGUMENT, STALE, Series, write

MINUTE, FIVE, HOUR = 60, 300, 3600
HOURS = 30
SUCCESS = next(one for one in ALL if one.id == "nat-outbound-success")
TABLE = next(one for one in ALL if one.id == "nat-conntrack-usage")
STEPS = {"30s": MINUTE, "1m": MINUTE, "150s": FIVE, "5m": FIVE, "1h": HOUR}
"""Seconds between evaluations by the interval of a group; what is scraped every minute needs no more."""
PHASES = dict.fromkeys((f"natobs-slo-{name}" for name in ("windows", "day", "days", "month", "budget", "worst")), 150)
"""Seconds after the steps: the groups of a real Prometheus are evaluated at different times."""
LIMIT = 1000
ONE_BLOCK = ("--storage.tsdb.min-block-duration=40d", "--storage.tsdb.max-block-duration=40d")
"""Prometheus would else begin, with the first samples, to move old hours into blocks under what is written."""


class History(NamedTuple):
    """One NAT with one subnet.

    Args:
        name: of the NAT.
        attempts: readings of the counter.
        good: the same of successes, at the same times.
        entries: readings of the translation table.
    """

    name: str
    attempts: list[tuple[float, float]]
    good: list[tuple[float, float]]
    entries: list[tuple[float, float]]


def history(seed: int, begin: float, *, gaps: bool) -> History:
    """Bursts of errors, idle hours, counters that begin again; with gaps also scrapes that fail, for up to an hour."""
    chance = random.Random(seed)  # noqa: S311  no secret
    attempts = good = 0.0
    pace, bad, silent = 60, 0.0, 0
    made = History(f"nat-{seed}", [], [], [])
    for minute in range(HOURS * 60 + 1):
        if minute % 60 == 0:
            pace = chance.choice((0, 0, 30, 300, 6000))
        if minute % 10 == 0:
            bad = chance.choice((0, 0, 0, 0.002, 0.05, 0.5))
        if chance.random() < 0.002:
            attempts = good = 0.0
        failed = sum(chance.random() < bad for _ in range(min(pace, 60))) * max(1, pace // 60)
        attempts += pace
        good += pace - failed
        now = begin + minute * MINUTE
        if silent:
            silent -= 1
            continue
        if gaps and chance.random() < 0.005:
            silent = chance.choice((1, 3, 12, 60))
        made.attempts.append((now, attempts))
        made.good.append((now, good))
        made.entries.append((now, float(chance.choice((100, 650, 700, 701)) if bad else 200)))
    return made


def series_of(made: History, end: float) -> Iterator[Series]:
    """As a prober and an agent would be scraped, with marks where they are not."""
    prober = {"nat_cluster": "a", "nat": made.name, "subnet": "s", "instance": "p:9651", "probe": "web", "kind": "tcp"}
    host = {"nat_cluster": "a", "nat": made.name, "instance": "n:9650"}
    limits = [(now, float(LIMIT)) for now, _ in made.entries]
    for name, labels, samples in (
        ("natobs_probe_attempts_total", prober, made.attempts),
        ("natobs_probe_first_attempt_success_total", prober, made.good),
        ("natobs_conntrack_entries", host, made.entries),
        ("natobs_conntrack_entries_limit", host, limits),
    ):
        yield {"__name__": name, **labels}, marked(samples, MINUTE, end)


def marked(samples: list[tuple[float, float]], step: float, end: float) -> list[tuple[float, float]]:
    """With the marks that Prometheus writes when a series is not there any more, up to the end of the time."""
    found = []
    for (now, value), (following, _) in zip(samples, [*samples[1:], (end + step, 0.0)], strict=True):
        found.append((now, value))
        if following - now > step * 1.5:
            found.append((now + step, STALE))
    return found


def wanted(rule: Mapping[str, Any]) -> bool:
    """Whether a rule belongs to one of the two objectives, or to both."""
    objective = rule.get("labels", {}).get("sloth_id")
    return objective in {SUCCESS.id, TABLE.id} if objective else rule["record"] != "natobs_slo_info"


def evaluate(server: Server, begin: float, end: float) -> int:
    """Evaluate the committed rules over a span of time; gives how many there were."""
    groups = yaml.safe_load((ROOT / "alerts" / "natobs-recording.yml").read_text("utf-8"))["groups"]
    evaluated = 0
    for group in sorted(groups, key=lambda group: group["name"] in PHASES):
        step, phase = STEPS[group["interval"]], PHASES.get(group["name"], 0)
        for rule in (rule for rule in group["rules"] if wanted(rule)):
            record(server, rule, range(round(begin + phase), round(end + phase) + 1, step))
            evaluated += 1
    return evaluated


def record(server: Server, rule: Mapping[str, Any], times: range) -> None:
    """Evaluate a rule, and write what it records."""
    asked = {"query": rule["expr"], "start": times[0], "end": times[-1], "step": times.step}
    status, answer = server.ask("GET", f"/api/v1/query_range?{urlencode(asked)}")
    assert status == 200, (rule["record"], answer)
    made: list[Series] = []
    for one in answer["data"]["result"]:
        samples = [(float(now), float(value)) for now, value in one["values"]]
        labels = {**one["metric"], "__name__": rule["record"], **rule.get("labels", {})}
        made.append((labels, marked(samples, times.step, times[-1])))
    write(server.address, made)


def recorded(server: Server, name: str, at: float, **labels: str) -> float | None:
    """The value of a series at a time, None where it has none."""
    inside = ", ".join(f'{key}="{value}"' for key, value in labels.items())
    status, answer = server.ask("GET", f"/api/v1/query?{urlencode({'query': f'{name}{{{inside}}}', 'time': at})}")
    assert status == 200, answer
    found = answer["data"]["result"]
    assert len(found) <= 1, found
    return float(found[0]["value"][1]) if found else None


def alike(found: float | None, wanted: float | None, relative: float) -> bool:
    """Whether both are nothing, or the same but for rounding."""
    if found is None or wanted is None:
        return found is wanted
    return math.isclose(found, wanted, rel_tol=relative, abs_tol=1e-12)


def of_probes(made: History) -> list[Events]:
    """First attempts, and those that failed."""
    pairs = zip(increments(made.attempts), increments(made.good), strict=True)
    return [Events(now, attempts - good, attempts) for (now, attempts), (_, good) in pairs]


def of_minutes(made: History) -> list[Events]:
    """Minutes in which somebody looked, and those of which the five minutes before had a table that was too full."""
    return [
        Events(now, max(value for at, value in made.entries if now - FIVE <= at <= now) / LIMIT > 0.7, 1)
        for now, _ in made.entries
    ]


def overlapping(events: list[Events], end: float, window: float) -> float | None:
    """The share that counts of five minutes have that are taken every minute and overlap."""
    every = range(round(end - window), round(end) + 1, MINUTE)
    found = [one for now in every for one in events if now - FIVE < one.time <= now]
    return share(found, -math.inf, math.inf)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[History], list[History], float]]:
    """A Prometheus with six histories and all that the rules record of them: three without gaps, three with."""
    begin = (time.time() // HOUR - HOURS - 2) * HOUR
    end = begin + HOURS * HOUR
    whole = [history(seed, begin, gaps=False) for seed in (1, 2, 3)]
    holed = [history(seed, begin, gaps=True) for seed in (4, 5, 6)]
    settings = {"storage": {"tsdb": {"out_of_order_time_window": "90d"}}}
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, arguments=(ARGUMENT, *ONE_BLOCK), settings=settings) as server:
        write(server.address, (one for made in (*whole, *holed) for one in series_of(made, end)))
        assert evaluate(server, begin, end) > 30
        yield server, whole, holed, begin


def ends(begin: float) -> list[float]:
    """When the windows are looked at: at the end, and in the middle of an hour before."""
    return [begin + HOURS * HOUR, begin + (HOURS - 3) * HOUR + 5 * FIVE]


def expected(events: list[Events], begin: float, end: float) -> Iterator[tuple[str, float, float | None]]:
    """By window: when it is recorded, and what it must be."""
    yield "5m", end, share(events, end - FIVE, end)
    for window in ("30m", "1h"):
        yield window, end, overlapping(events, end, WINDOWS[window])
    for window in ("2h", "6h", "1d"):
        yield window, end + 150, share(events, end - WINDOWS[window], end)
    for window in ("3d", "30d"):
        yield window, end + 150, share(events, begin - 1, end // HOUR * HOUR)


@pytest.mark.parametrize(
    ("objective", "events"), [(SUCCESS, of_probes), (TABLE, of_minutes)], ids=["attempts", "minutes"]
)
def test_every_window_is_what_plain_python_says(
    world: tuple[Server, list[History], list[History], float],
    objective: Objective,
    events: Callable[[History], list[Events]],
) -> None:
    server, whole, _, begin = world
    compared = 0
    for made in whole:
        counted = events(made)
        for end in ends(begin):
            for window, at, wanted_share in expected(counted, begin, end):
                of = {"sloth_id": objective.id, "nat": made.name}
                found = recorded(server, ERROR_RATIO[window].name, at, **of)
                assert alike(found, wanted_share, 1e-9), (made.name, window, end - begin, found, wanted_share)
                compared += 1
                if window == "30d" and wanted_share is not None:
                    burn = recorded(server, "slo:period_burn_rate:ratio", at, **of)
                    assert burn == pytest.approx(burn_rate(wanted_share, objective))
                    left = recorded(server, "slo:period_error_budget_remaining:ratio", at, **of)
                    assert left == pytest.approx(remaining(wanted_share, objective))
                if window == "5m" and wanted_share is not None:
                    now = recorded(server, "slo:current_burn_rate:ratio", at, **of)
                    assert now == pytest.approx(burn_rate(wanted_share, objective))
    assert compared == 3 * 2 * len(WINDOWS)


def test_steps_and_hours_are_numbers_of_events(world: tuple[Server, list[History], list[History], float]) -> None:
    server, whole, _, begin = world
    end = begin + HOURS * HOUR
    for made in whole:
        events = of_probes(made)
        of = {"sloth_id": SUCCESS.id, "nat": made.name}
        for kind, number in (("bad", sum(one.bad for one in events)), ("total", sum(one.total for one in events))):
            inside = ", ".join(f'{key}="{value}"' for key, value in of.items())
            for step in ("step5m", "step1h"):
                summed = f"sum_over_time(slo:{kind}:{step}{{{inside}}}[{HOURS}h])"
                status, answer = server.ask("GET", f"/api/v1/query?{urlencode({'query': summed, 'time': end})}")
                assert status == 200
                assert float(answer["data"]["result"][0]["value"][1]) == pytest.approx(number)


def test_minutes_are_exact_with_gaps_too_and_attempts_nearly(
    world: tuple[Server, list[History], list[History], float],
) -> None:
    server, _, holed, begin = world
    end = begin + HOURS * HOUR
    for made in holed:
        for window, at, wanted_share in expected(of_minutes(made), begin, end):
            found = recorded(server, ERROR_RATIO[window].name, at, sloth_id=TABLE.id, nat=made.name)
            assert alike(found, wanted_share, 1e-9), (made.name, window, found, wanted_share)
        for window, at, wanted_share in expected(of_probes(made), begin, end):
            if WINDOWS[window] >= WINDOWS["6h"]:
                found = recorded(server, ERROR_RATIO[window].name, at, sloth_id=SUCCESS.id, nat=made.name)
                assert alike(found, wanted_share, 0.02), (made.name, window, found, wanted_share)


def test_an_average_of_ratios_would_be_found_out() -> None:
    begin = 0.0
    for seed in (1, 2, 3):
        events = of_probes(history(seed, begin, gaps=False))
        hourly = [share(events, hour * HOUR, (hour + 1) * HOUR) for hour in range(HOURS)]
        known = [one for one in hourly if one is not None]
        assert None in hourly, "no hour was idle"
        assert sum(known) / len(known) != pytest.approx(share(events, 0, HOURS * HOUR), rel=0.02)
