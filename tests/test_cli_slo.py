"""``natobs slo`` against Debian's Prometheus with recorded series, and its list against the catalogue."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from natobs.catalogue import objectives
from natobs.cli.main import natobs
from tests.loopback import eventually
from tests.monitoring import Server, prometheus

M1 = {"sloth_id": "nat-m1", "sloth_service": "nat", "sloth_slo": "m1"}
HERE = {**M1, "nat_cluster": "a", "nat": "nat-1"}


def slo(*words: str) -> Result:
    return CliRunner().invoke(natobs, ["slo", *words], prog_name="natobs")


def rule(record: str, value: str, **labels: str) -> dict[str, Any]:
    return {"record": record, "expr": f"vector({value})", "labels": labels}


def budget(nat: str, errors: str, left: str, burn: str) -> list[dict[str, Any]]:
    labels = {**HERE, "nat": nat}
    return [
        rule("slo:sli_error:ratio_rate30d", errors, sloth_window="30d", **labels),
        rule("slo:period_error_budget_remaining:ratio", left, **labels),
        rule("slo:current_burn_rate:ratio", burn, **labels),
    ]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def record(server: Server, *rules: dict[str, Any]) -> None:
    """Have rules recorded, and wait until these are and no others."""
    server.use_rules(rules)
    names = '{__name__=~"slo:.+|natobs_slo_info"}'
    values = sorted(one["expr"].removeprefix("vector(").removesuffix(")") for one in rules)
    assert eventually(lambda: sorted(one["value"][1] for one in server.query(names)) == values, within=60)


def test_budgets_as_prometheus_records_them(server: Server) -> None:
    about = [
        rule("slo:objective:ratio", "0.99", **M1),
        rule("natobs_slo_info", "1", **M1, title="Success"),
        rule("slo:objective:ratio", "0.95", **{**M1, "sloth_id": "nat-m6"}),
    ]
    record(server, *about, *budget("nat-1", "0.003", "0.7", "0.25"), *budget("nat-2", "0.006", "0.4", "5"))
    kept = slo("status", "--prometheus", server.url)
    assert (kept.exit_code, kept.stderr) == (0, "")
    assert kept.stdout.splitlines() == [
        "SLO     target  errors 30d  budget left  burn now  worst    budgets  spent  state",
        "nat-m6    95 %     no data      no data   no data                 0      0  no data",
        "nat-m1    99 %     0.600 %     40.000 %     5.00x  a nat-2        2      0  kept",
        "2 objectives, 0 with a budget that is spent, 1 without data",
    ]
    each = slo("status", "--prometheus", server.url, "--slo", "nat-m1")
    assert [line.split()[-5:-3] for line in each.stdout.splitlines()[1:3]] == [["a", "nat-2"], ["a", "nat-1"]]
    found = json.loads(slo("status", "--prometheus", server.url, "--json").stdout)
    assert found[1]["budgets"][0] == {
        "labels": {"nat_cluster": "a", "nat": "nat-2"},
        "error_ratio_30d": 0.006,
        "budget_left": 0.4,
        "burn_now": 5.0,
    }
    record(server, *about, *budget("nat-1", "0.013", "-0.3", "0.25"))
    spent = slo("status", "--prometheus", server.url)
    assert spent.exit_code == 1
    assert spent.stdout.splitlines()[1].split() == (
        ["nat-m1", "99", "%", "1.300", "%", "-30.000", "%", "0.25x", "a", "nat-1", "1", "1", "spent"]
    )


def test_nothing_that_is_known_is_not_good(server: Server) -> None:
    record(server, rule("slo:objective:ratio", "0.99", **M1))
    assert slo("status", "--prometheus", server.url).exit_code == 1
    missing = slo("status", "--prometheus", server.url, "--slo", "nat-m99")
    assert missing.exit_code == 1
    assert "nat-m99" in missing.stdout
    record(server)
    empty = slo("status", "--prometheus", server.url)
    assert (empty.exit_code, empty.stdout) == (
        1,
        "no objective is recorded: are the rules loaded, and are agents scraped?\n",
    )


def test_the_page_is_served_until_it_is_told_to_stop(server: Server) -> None:
    record(server, rule("slo:objective:ratio", "0.99", **M1), *budget("nat-1", "0.003", "0.7", "0.25"))
    command = [sys.executable, "-m", "natobs", "slo", "serve", "--prometheus", server.url, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"listening on (127\.0\.0\.1:\d+)", process.stderr.readline())
        assert found
        with urlopen(f"http://{found[1]}/", timeout=20) as answer:
            page = answer.read().decode()
        assert "a nat-1" in page
        assert "70.000 %" in page
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_list_is_that_of_the_catalogue_and_of_the_fleets_file(tmp_path: Path) -> None:
    text = slo("list").stdout.splitlines()
    assert [line.split()[0] for line in text[1:]] == [one.id for one in objectives.ALL]
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(
        '[objectives.nat-cpu]\ntarget = 0.93\n[objectives.nat-resets]\nenabled = false\n[[services]]\nname = "pay"\n'
    )
    found = {one["id"]: one for one in json.loads(slo("list", "--config", str(fleet), "--json").stdout)}
    assert found["nat-cpu"]["target"] == 0.93
    assert "nat-resets" not in found
    assert found["nat-service-pay"]["labels"] == ["nat_cluster", "nat", "destination"]
