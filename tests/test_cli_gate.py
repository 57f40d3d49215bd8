"""``natobs gate`` against Debian's Prometheus, and against servers that do not answer as they should."""

import base64
import json
import socket
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from click.testing import CliRunner, Result

from natobs.cli.main import natobs
from natobs.errors import ConfigError
from tests.loopback import Certificates, eventually
from tests.monitoring import Server, prometheus
from tests.web_answers import Answering, answer, web

SHORT, LONG, BUDGET = "slo:sli_error:ratio_rate30m", "slo:sli_error:ratio_rate6h", "slo:error_budget:ratio"
ALL = f'{{__name__=~"{SHORT}|{LONG}|{BUDGET}"}}'
TURNS = count()


def gate(url: str, *options: str) -> Result:
    return CliRunner().invoke(natobs, ["gate", "--prometheus", url, *options], prog_name="natobs")


def rule(record: str, value: str, **labels: str) -> dict[str, Any]:
    return {"record": record, "expr": f"vector({value})", "labels": {"sloth_id": "nat-m1", **labels}}


def slo(short: str, long: str, **labels: str) -> list[dict[str, Any]]:
    return [
        rule(SHORT, short, sloth_window="30m", nat_cluster="a", **labels),
        rule(LONG, long, sloth_window="6h", nat_cluster="a", **labels),
    ]


def record(server: Server, *rules: dict[str, Any]) -> None:
    """Have rules recorded, and wait until these are and no others."""
    turn = next(TURNS)
    server.use_rules([*rules, {"record": "turn", "expr": f"vector({turn})"}])

    def done() -> bool:
        seen = server.query("turn")
        return bool(seen) and seen[0]["value"][1] == str(turn) and len(server.query(ALL)) == len(rules)

    assert eventually(done, within=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with prometheus(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def test_free_burning_and_unknown_as_prometheus_records_them(server: Server) -> None:
    budget = rule(BUDGET, "0.01")
    record(server, budget, *slo("0.01", "0.02", nat="nat-1"))
    free = gate(server.url)
    assert (free.exit_code, free.stderr) == (0, "")
    assert free.stdout.splitlines() == [
        "SLO     cluster  NAT    subnet  burn 30m  burn 6h  verdict",
        "nat-m1  a        nat-1             1.00x    2.00x  FREE",
        "FREE: no SLO is burning",
    ]
    record(server, budget, *slo("0.01", "0.02", nat="nat-1"), *slo("0.05", "0.07", subnet="private-a"))
    burning = gate(server.url)
    assert burning.exit_code == 1
    assert burning.stdout.splitlines()[1:] == [
        "nat-m1  a               private-a     5.00x    7.00x  BURNING",
        "nat-m1  a        nat-1                1.00x    2.00x  FREE",
        "BURNING: hold risky changes back",
    ]
    assert gate(server.url, "--factor", "6").exit_code == 0
    assert gate(server.url, "--cluster", "b").exit_code == 1
    # An idle half hour is 0/0.
    record(server, budget, *slo("0/0", "0.07", nat="nat-1"))
    unknown = gate(server.url, "--json")
    assert unknown.exit_code == 1
    found = json.loads(unknown.stdout)
    assert (found["verdict"], found["factor"]) == ("unknown", 4.0)
    assert found["slos"] == [
        {
            "labels": {"nat": "nat-1", "nat_cluster": "a", "sloth_id": "nat-m1"},
            "budget": 0.01,
            "burn_30m": None,
            "burn_6h": pytest.approx(7),
            "verdict": "unknown",
            "why": "no error ratio over 30 minutes",
        }
    ]


def test_the_documented_example_is_of_the_form_that_is_printed(server: Server) -> None:
    record(server, rule(BUDGET, "0.01"), *slo("0.05", "0.07", subnet="private-a"))
    page = (Path(__file__).parent.parent / "docs/operations.md").read_text("utf-8")
    example = json.loads(page.partition("```json\n")[2].partition("```")[0])
    printed = json.loads(gate(server.url, "--json").stdout)
    assert list(printed) == list(example)
    assert list(printed["slos"][0]) == list(example["slos"][0])
    assert set(printed["slos"][0]["labels"]) == set(example["slos"][0]["labels"])


def test_a_budget_without_errors_and_an_empty_prometheus_are_unknown(server: Server) -> None:
    record(server, rule(BUDGET, "0.01"))
    assert gate(server.url).exit_code == 1
    assert "UNKNOWN: no error ratio over 30 minutes and 6 hours" in gate(server.url).stdout
    assert gate(server.url, "--slo", "nat-m9").exit_code == 1
    record(server)
    empty = gate(server.url)
    assert empty.exit_code == 1
    assert empty.stdout.startswith("UNKNOWN: whether an SLO is burning: no SLO is recorded (slo:sli_error:")


def test_waiting_ends_when_nothing_burns_any_more(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = rule(BUDGET, "0.01")
    record(server, budget, *slo("0.05", "0.07", nat="nat-1"))
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        monkeypatch.undo()
        record(server, budget, *slo("0.01", "0.07", nat="nat-1"))

    monkeypatch.setattr("natobs.cli.gate.time.sleep", sleep)
    result = gate(server.url, "--wait", "10m")
    assert (result.exit_code, slept) == (0, [15.0])
    assert "natobs: BURNING: hold risky changes back (nat-m1 a nat-1); asking again until" in result.stderr
    assert result.stdout.endswith("FREE: no SLO is burning\n")


def test_waiting_ends_with_its_time(server: Server) -> None:
    record(server, rule(BUDGET, "0.01"), *slo("0.05", "0.07", nat="nat-1"))
    result = gate(server.url, "--wait", "100ms")
    assert result.exit_code == 1
    assert result.stdout.endswith("BURNING: hold risky changes back\n")


def test_tls_and_a_password(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    web_config = {
        "tls_server_config": {"cert_file": "server.pem", "key_file": "server.key"},
        "basic_auth_users": {"pipeline": hashed},
    }
    (tmp_path / "web.yml").write_text(json.dumps(web_config))
    (tmp_path / "password").write_text("secret\n")
    basic = {"username": "pipeline", "password_file": "password"}
    good, other = tmp_path / "http.yml", tmp_path / "other.yml"
    good.write_text(json.dumps({"basic_auth": basic, "tls_config": {"ca_file": "ca.pem"}}))
    other.write_text(json.dumps({"tls_config": {"ca_file": "ca.pem"}}))
    word = base64.b64encode(b"pipeline:secret").decode()
    access = certificates.client(), {"Authorization": f"Basic {word}"}
    with prometheus(tmp_path, arguments=[f"--web.config.file={tmp_path / 'web.yml'}"], access=access) as server:
        record(server, rule(BUDGET, "0.01"), *slo("0.01", "0.02"))
        assert gate(server.url, "--http.config.file", str(good)).exit_code == 0
        refused = gate(server.url, "--http.config.file", str(other))
        assert refused.exit_code == 1
        assert "answers 401 Unauthorized; --http.config.file names who is asking" in refused.stdout
        assert "its certificate is not good" in gate(server.url).stdout


def test_a_fleet_that_does_well_is_shown_in_part() -> None:
    rows = [
        {"metric": {"__name__": series, "sloth_id": "m1", "nat": f"nat-{number}"}, "value": [1, value]}
        for number in range(30)
        for series, value in ((SHORT, "0.01"), (LONG, "0.05" if number == 29 else "0.01"))
    ]
    rows.append({"metric": {"__name__": BUDGET, "sloth_id": "m1"}, "value": [1, "0.01"]})
    document = {"status": "success", "data": {"resultType": "vector", "result": rows}}
    with web() as served:
        served.paths["/api/v1/query"] = answer(json.dumps(document).encode())
        lines = gate(served.url()).stdout.splitlines()
        everything = json.loads(gate(served.url(), "--json").stdout)
    assert len(lines) == 1 + 20 + 2
    assert lines[-2:] == ["and 10 more that are FREE", "FREE: no SLO is burning"]
    assert lines[1].split()[:2] == ["m1", "nat-29"]
    assert len(everything["slos"]) == 30


def hang_up(client: socket.socket, _request: bytes) -> None:
    client.close()


VECTOR = '{"status":"success","data":{"resultType":"vector","result":[%s]}%s}'


@pytest.mark.parametrize(
    ("how", "why"),
    [
        (
            answer(b'{"status":"error","errorType":"x","error":"bad \\u001b[2J"}', "422 Unprocessable"),
            "refuses: bad  [2J",
        ),
        (answer(b"down\nfor now", "503 Service Unavailable", "text/plain"), "answers 503 down for now"),
        (answer(b"", "404 Not Found"), "answers 404; does its URL lack a path?"),
        (answer(b"<html>"), "answers something else"),
        (answer((VECTOR % ("", ',"warnings":["store is away"]')).encode()), "answers in part: store is away"),
        (answer((VECTOR % ('{"metric":{},"value":[1,"x"]}', "")).encode()), "answers something else"),
        (answer(b'{"status":"success","data":{"resultType":"matrix","result":[]}}'), "answers something else"),
        (hang_up, "does not answer"),
    ],
)
def test_what_is_no_answer_is_unknown(how: Answering, why: str) -> None:
    with web() as served:
        served.paths["/api/v1/query"] = how
        result = gate(served.url("/", "name:secret@127.0.0.1"))
    assert result.exit_code == 1
    assert result.stdout.startswith("UNKNOWN: whether an SLO is burning: Prometheus at http://127.0.0.1:")
    assert why in result.stdout
    assert result.stdout.strip().isprintable()
    assert "secret" not in result.stdout


@pytest.mark.parametrize(
    "options",
    [["--factor", "0"], ["--wait", "10"], ["--wait", "m10"], ["--colour"]],
)
def test_wrong_usage(options: list[str]) -> None:
    assert gate("http://127.0.0.1:1", *options).exit_code == 2


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "http://h/?x=1", "ftp://h/"])
def test_a_url_that_cannot_be_asked(url: str) -> None:
    assert isinstance(gate(url).exception, ConfigError)  # which main() makes into exit status 2
