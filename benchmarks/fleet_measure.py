"""Measures one Prometheus with the rules and a fleet of a size: memory, evaluation of groups, panels.

Knows what is asked of Prometheus and how the answers make figures; refuses to
know how they are shown.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import median

import psutil

from benchmarks import fleet_history
from benchmarks.fleet_needs import DAY, ROOT, SCRAPE_SECONDS, STEP_SECONDS, Need, Panel, Rule, needs, panels, rules
from benchmarks.fleet_scrapes import cluster_of
from benchmarks.fleet_servers import Running, fleet, prometheus, scrape_jobs
from natobs.config.fleet import load_fleet
from natobs.errors import LabError
from natobs.generate.rules.files import files
from natobs.generate.settings import plan

_LEARN_SCALE = 60.0
_LEARN_SECONDS = 90.0  # an hour at the scale of learning, and a half
_BEFORE = 2 * DAY  # of the present, the simulation begins
_POLL_SECONDS = 3.0
_SLOWEST_RULES = 8
_SLOWEST = 3  # of each dashboard, that are asked for again
_TRIES = 3  # of which the cheapest counts: the first may read from disk, or meet a collection of garbage


@dataclass(frozen=True)
class Group:
    """A group of rules: how long its evaluations took, in seconds; ``asked`` where it was no evaluation of its own.

    A group that did not come up while somebody looked has its expressions asked
    for, one after the other: that takes longer, because answers are written out. So does ``cpu``: seconds of CPU that
    asking takes, which others on the machine do not prolong.
    """

    name: str
    rules: int
    seconds: list[float]
    asked: bool
    cpu: float = 0.0

    @property
    def usual(self) -> float:
        """The median evaluation: one alone may have met something else on the machine."""
        return median(self.seconds)

    @property
    def worst(self) -> float:
        """The longest evaluation."""
        return max(self.seconds)


@dataclass(frozen=True)
class Timed:
    """A query of a panel, and the median of how long it took, in seconds, and the CPU time of it."""

    panel: Panel
    seconds: float
    series: int
    cpu: float = 0.0


@dataclass
class Result:
    """What a fleet of a size cost.

    Args:
        nats: its size.
        scraped: series that are scraped, for each NAT.
        recorded: series that rules record, for each NAT.
        samples: of history.
        backfill: seconds that it took to write them.
        groups: of rules.
        slowest: rules whose last evaluation took longest, the worst first: group and name, and seconds.
        resident: memory of Prometheus at the end, in bytes, and the most there was.
        cpu: share of one CPU that Prometheus took while it scraped.
        simulation: the same of the simulated NATs.
        late: share of targets that were not up.
        busy: share of all CPUs that other processes took meanwhile: it makes every time too long.
        panels: the slowest query of each dashboard.
        failed: queries of panels that were refused.
    """

    nats: int
    scraped: float = 0.0
    recorded: float = 0.0
    samples: int = 0
    backfill: float = 0.0
    groups: list[Group] = field(default_factory=list)
    slowest: list[tuple[str, float]] = field(default_factory=list)
    resident: int = 0
    peak: int = 0
    cpu: float = 0.0
    simulation: float = 0.0
    late: float = 0.0
    busy: float = 0.0
    panels: dict[str, Timed] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Subject:
    """What is measured: the rules and dashboards of the project."""

    paths: Sequence[Path]
    rules: list[Rule]
    panels: list[Panel]
    recorded: list[dict[str, str]]

    @property
    def needs(self) -> list[Need]:
        """What has to have a history."""
        return needs(self.rules, self.panels)


def subject() -> Subject:
    """Read rules and dashboards, and learn from one cluster at a high time scale which series the rules record."""
    paths = sorted((ROOT / "alerts").glob("natobs-*.yml"))
    shown = panels(sorted((ROOT / "dashboards").glob("*.json")), cluster_of(0))
    with tempfile.TemporaryDirectory(prefix="natobs-fleet-") as directory:
        where = Path(directory)
        quick = []
        for name, text in files(plan(load_fleet(None), _LEARN_SCALE)).items():
            if Path(name).parent.name == "alerts":
                quick.append(where / Path(name).name)
                quick[-1].write_text(text, "utf-8")
        with (
            fleet(1, time.time() - _BEFORE) as (port, _process),
            prometheus(where, scrape_jobs(port, 1), quick, 1.0) as running,
        ):
            time.sleep(_LEARN_SECONDS)
            found = [series.labels for series in running.api.query('{__name__=~".+:.+"}')]
    return Subject(paths, rules(paths), shown, found)


def measure(what: Subject, nats: int, seconds: float, say: Callable[[str], None]) -> Result:
    """Measure a fleet.

    Args:
        what: rules and dashboards.
        nats: size of the fleet.
        seconds: how long it is scraped; the evaluations of the last third count.
        say: takes a line about what happens now.
    """
    result = Result(nats)
    with tempfile.TemporaryDirectory(prefix="natobs-fleet-") as directory:
        where = Path(directory)
        say("writing the past")
        begun = time.monotonic()
        past = fleet_history.Past(what.needs, what.recorded, nats, time.time() - _BEFORE, time.time())
        (where / "data").mkdir()
        result.samples = fleet_history.backfill(past, where, where / "data")
        result.backfill = time.monotonic() - begun
        with (
            fleet(nats, past.begin) as (port, simulation),
            prometheus(where, scrape_jobs(port, nats), what.paths, SCRAPE_SECONDS) as running,
        ):
            begun, cpu, own = time.monotonic(), running.cpu_seconds(), _cpu(simulation.cpu_times())
            before = psutil.cpu_times()
            result.groups = _watch(what, running, seconds, say)
            elapsed = time.monotonic() - begun
            result.slowest = _slowest(running)
            result.cpu = (running.cpu_seconds() - cpu) / elapsed
            result.simulation = (_cpu(simulation.cpu_times()) - own) / elapsed
            idle = sum(getattr(psutil.cpu_times(), name) - getattr(before, name) for name in ("idle", "iowait"))
            cpus = psutil.cpu_count() or 1
            result.busy = max(0.0, 1 - idle / elapsed / cpus - (result.cpu + result.simulation) / cpus)
            _count(result, running)
            say("asking what panels ask")
            _panels(result, what, running)
            result.resident, result.peak = running.resident(), running.peak
            say("asking what takes CPU")
            _cost(result, what, running)
    return result


def _cost(result: Result, what: Subject, running: Running) -> None:
    """Measure the CPU time of each group and of the slowest panels while nothing else is done."""
    now = time.time()
    end = now // STEP_SECONDS * STEP_SECONDS
    running.rest()

    def cost(ask: Callable[[], object]) -> float:
        taken = []
        for _try in range(_TRIES):
            before = running.cpu_seconds()
            ask()
            taken.append(running.cpu_seconds() - before)
        return min(taken)

    def evaluate(name: str) -> None:
        for rule in what.rules:
            if rule.group == name:
                running.api.query(rule.expression, now)

    result.groups = [replace(group, cpu=cost(partial(evaluate, group.name))) for group in result.groups]
    for name, timed in result.panels.items():
        result.panels[name] = replace(timed, cpu=cost(partial(_ask, running, timed.panel, end)))


def _cpu(times: object) -> float:
    return float(getattr(times, "user", 0.0) + getattr(times, "system", 0.0))


def _count(result: Result, running: Running) -> None:
    api, nats = running.api, result.nats
    result.scraped = (api.value("sum(scrape_samples_scraped)") or 0) / nats
    result.recorded = (api.value('count({__name__=~".+:.+"})') or 0) / nats
    result.late = 1 - (api.value("avg(avg_over_time(up[2m]))") or 0)


def _watch(what: Subject, running: Running, seconds: float, say: Callable[[str], None]) -> list[Group]:
    """Look at the groups until time is up; then ask for those that did not come up."""
    seen: dict[str, dict[str, float]] = {}
    begun = time.monotonic()
    while (passed := time.monotonic() - begun) < seconds:
        say(f"scraping, {seconds - passed:.0f} s more, {running.resident() / 1e9:.1f} GB")
        time.sleep(_POLL_SECONDS)
        for group in running.api.rules():
            if not group["lastEvaluation"].startswith("0001"):  # never
                seen.setdefault(group["name"], {})[group["lastEvaluation"]] = float(group["evaluationTime"])
    found = []
    for name in dict.fromkeys(rule.group for rule in what.rules):
        own = [rule for rule in what.rules if rule.group == name]
        times = list(seen.get(name, {}).values())
        count = max(1, round(seconds / 3 / own[0].interval))  # windows of 5 min are full in the last third alone
        if times:
            found.append(Group(name, len(own), times[-count:], asked=False))
        else:
            say(f"asking for {name}")
            asked = [_timed(partial(_value, running, rule.expression))[0] for rule in own]
            found.append(Group(name, len(own), [sum(asked)], asked=True))
    return found


def _slowest(running: Running) -> list[tuple[str, float]]:
    found = [
        (f"{group['name']}, {rule['name']}", float(rule["evaluationTime"]))
        for group in running.api.rules()
        for rule in group["rules"]
    ]
    return sorted(found, key=lambda one: one[1], reverse=True)[:_SLOWEST_RULES]


def _panels(result: Result, what: Subject, running: Running) -> None:
    end = time.time() // STEP_SECONDS * STEP_SECONDS
    once: dict[str, list[Timed]] = {}
    for panel in what.panels:
        try:
            seconds, series = _timed(partial(_ask, running, panel, end))
        except LabError as error:
            result.failed.append(f"{panel.dashboard}, {panel.title}: {str(error).rpartition('?')[2][-120:]}")
        else:
            once.setdefault(panel.dashboard, []).append(Timed(panel, seconds, series))
    for dashboard, timed in once.items():
        slow = sorted(timed, key=lambda one: one.seconds)[-_SLOWEST:]
        again = [replace(one, seconds=median(_again(running, one, end))) for one in slow]
        result.panels[dashboard] = max(again, key=lambda one: one.seconds)


def _again(running: Running, timed: Timed, end: float) -> list[float]:
    """Ask twice more; all three times."""
    return [timed.seconds, *(_timed(partial(_ask, running, timed.panel, end))[0] for _try in range(2))]


def _ask(running: Running, panel: Panel, end: float) -> int:
    if panel.instant:
        return _value(running, panel.expression)
    return len(running.api.query_range(panel.expression, end - DAY, end, STEP_SECONDS))


def _value(running: Running, expression: str) -> int:
    return len(running.api.query(expression))


def _timed(ask: Callable[[], int]) -> tuple[float, int]:
    begun = time.perf_counter()
    series = ask()
    return time.perf_counter() - begun, series
