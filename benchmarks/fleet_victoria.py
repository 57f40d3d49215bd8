"""The flavour of the rules for VictoriaMetrics: vmalert takes the files, and evaluates them on a real database.

``vmalert -dryRun`` reads the files. Then a single-node VictoriaMetrics scrapes a
few simulated NATs, and a live vmalert evaluates every rule against it and writes
back what it records. Both are Debian's. Knows nothing of what the rules mean.
"""

import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import yaml

from benchmarks.fleet_needs import ROOT
from benchmarks.fleet_servers import fleet, free_port, scrape_jobs
from natobs.lab.stack.api import Prometheus, answers, read

RULES = ROOT / "alerts" / "victoriametrics"
_READY_SECONDS = 30.0
_LIVE_SECONDS = 75.0
_SCRAPE = "15s"


def dry_run(rules: Path) -> tuple[bool, str]:
    """Have vmalert read a directory of rule files; whether it is content, and its words."""
    done = subprocess.run(
        ["vmalert", "-dryRun", f"-rule={rules / '*.yml'}"], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode == 0, done.stderr


def check(nats: int) -> str:
    """Run both checks; gives a line for a person.

    Raises:
        RuntimeError: vmalert refused a file or a rule, or a program did not start.
    """
    content, said = dry_run(RULES)
    if not content:
        raise RuntimeError(f"vmalert refuses {RULES}: {said[-1000:]}")
    groups, recorded = _live(nats)
    rules = [rule for group in groups for rule in group["rules"]]
    wrong = [f"{rule['name']}: {rule['lastError']}" for rule in rules if rule["lastError"]]
    if wrong or not rules or not recorded:
        raise RuntimeError(f"vmalert, {len(rules)} rules, {recorded:.0f} recorded series: {'; '.join(wrong)[:1000]}")
    return (
        f"VictoriaMetrics: vmalert read {len(list(RULES.glob('*.yml')))} files and evaluated {len(rules)} rules in "
        f"{len(groups)} groups over {nats} NATs without an error; {recorded:.0f} recorded series were written back"
    )


def _live(nats: int) -> tuple[list[dict[str, Any]], float]:
    """Give vmalert's groups after a while, and the number of series that it wrote back."""
    with ExitStack() as stack:
        where = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="natobs-fleet-")))
        port, _process = stack.enter_context(fleet(nats, time.time()))
        config = where / "scrape.yml"
        jobs = {"global": {"scrape_interval": _SCRAPE}, "scrape_configs": scrape_jobs(port, nats)}
        config.write_text(yaml.safe_dump(jobs), "utf-8")
        database, alerting = (f"127.0.0.1:{free_port()}" for _one in range(2))
        _start(
            stack,
            f"http://{database}/health",
            "victoria-metrics",
            *(f"-httpListenAddr={database}", f"-storageDataPath={where / 'data'}", f"-promscrape.config={config}"),
        )
        _start(
            stack,
            f"http://{alerting}/health",
            "vmalert",
            *(f"-httpListenAddr={alerting}", f"-rule={RULES / '*.yml'}", f"-datasource.url=http://{database}"),
            *(f"-remoteWrite.url=http://{database}", f"-remoteRead.url=http://{database}"),
            f"-notifier.url=http://{database}",  # somebody who listens; what is sent there is refused and forgotten
        )
        time.sleep(_LIVE_SECONDS)
        groups: list[dict[str, Any]] = msgspec.json.decode(read(f"http://{alerting}/api/v1/rules"))["data"]["groups"]
        written = Prometheus(f"http://{database}/").value('count({__name__=~".+:.+"})')
    return groups, written or 0


def _start(stack: ExitStack, health: str, *command: str) -> None:
    process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    stack.callback(process.terminate)
    deadline = time.monotonic() + _READY_SECONDS
    while not answers(health):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{command[0]} did not start")
        time.sleep(0.1)
