"""``natobs maintenance``: windows by hand, and silences in Debian's Alertmanager."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from natobs.cli.main import natobs
from natobs.cli.parameters import local
from natobs.errors import MonitoringError
from natobs.operations.file import JournalFile
from natobs.operations.journal import Journal, Silence, Window
from tests.loopback import eventually
from tests.monitoring import Server, alertmanager
from tests.web_answers import answer, web

NOWHERE = "http://127.0.0.1:1"
NAT_1 = ("--cluster", "a", "--nat", "nat-1")


class Command:
    def __init__(self, state: Path) -> None:
        self.state = state

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(natobs, ["maintenance", *words, "--state", str(self.state)], prog_name="natobs")

    def good(self, *words: str) -> str:
        result = self(*words)
        assert (result.exit_code, result.exception) == (0, None), result.output
        return result.stdout

    @property
    def journal(self) -> Journal:
        return JournalFile(self.state).read()

    @property
    def window(self) -> Window:
        assert self.journal.nat is not None
        return self.journal.nat

    def silence(self) -> Silence | None:
        return self.window.silence


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path / "operations.json")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with alertmanager(tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


def test_a_window_has_a_beginning_an_end_and_a_past(command: Command) -> None:
    before = time.time()
    said = command.good("start", "--for", "1h30m", "--reason", "kernel update", "--by", "somebody")
    assert said.startswith("this NAT: in maintenance until 20")
    window = command.window
    assert before <= window.begin <= time.time()
    assert window.until - window.begin == pytest.approx(5400)
    assert (window.reason, window.by, window.cluster, window.silence) == ("kernel update", "somebody", "", None)
    assert "  reason   kernel update" in command.good("status")
    assert json.loads(command.good("status", "--json"))["active"] is True

    assert command.good("stop") == "this NAT: maintenance is over\n"
    assert before <= command.window.until <= time.time()
    assert "this NAT: no maintenance; the last one ended at 20" in command.good("status")
    assert json.loads(command.good("status", "--json"))["active"] is False
    ended = command.window.until
    assert command.good("stop") == "no maintenance to end\n"
    assert command.window.until == ended  # a past time stamp stays what it is


def test_the_later_end_counts_so_that_a_restart_cuts_nothing_short(command: Command) -> None:
    command.good("start", "--for", "2h", "--reason", "new disks")
    long = command.window
    said = command.good("start", "--for", "10m", "--reason", "restart")
    assert said == f"this NAT: in maintenance until {local(long.until)}, as declared before\n"
    assert command.window == long
    command.good("start", "--for", "3h", "--reason", "new disks again")
    assert command.window.reason == "new disks again"
    command.good("stop")
    command.good("start", "--for", "10m")
    assert command.window.until < long.until


def test_the_cluster_s_window_is_another_one(command: Command) -> None:
    command.good("start", "--for", "2h", "--cluster", "a")
    assert command.journal.nat is None
    assert command.journal.cluster is not None
    assert command.journal.cluster.cluster == "a"
    assert command.good("stop") == "no maintenance to end here; the cluster's goes on: --cluster a\n"
    assert command("stop", "--cluster", "b").exit_code == 2
    command.good("start", "--for", "1h", *NAT_1)
    assert command.good("stop", "--cluster", "a") == "cluster a: maintenance is over\n"
    assert command.window.active(time.time())
    assert command.good("stop", "--cluster", "a") == "no maintenance to end; this NAT's goes on\n"


@pytest.mark.parametrize(
    "words",
    [
        ["start"],
        ["start", "--for", "soon"],
        ["start", "--for", "0m"],
        ["start", "--for", "9" * 400 + "d"],
        ["start", "--for", "14d1s"],
        ["start", "--for", "1h", "--nat", "nat-1"],
        ["start", "--for", "1h", "--alertmanager", NOWHERE],
        ["start", "--for", "1h", "--reason", "x" * 201],
        ["start", "--for", "1h", "--reason", "two\nlines"],
    ],
)
def test_wrong_usage_declares_nothing(command: Command, words: list[str]) -> None:
    assert command(*words).exit_code == 2
    assert not command.state.exists()


def silences(server: Server, state: str) -> dict[str, dict[str, str]]:
    """Matchers of the silences in a state, by id."""
    status, found = server.ask("GET", "/api/v2/silences")
    assert status == 200
    return {
        one["id"]: {matcher["name"]: matcher["value"] for matcher in one["matchers"]}
        for one in found
        if one["status"]["state"] == state
    }


def quiet(server: Server) -> dict[str, bool]:
    """Whether the alert of each NAT is silenced."""
    alerts = [
        {"labels": {"alertname": "NatTest", "nat_cluster": "a", "nat": nat}, "endsAt": later()}
        for nat in ("nat-1", "nat-2")
    ]
    assert server.ask("POST", "/api/v2/alerts", alerts)[0] == 200
    found: dict[str, bool] = {}

    def listed() -> bool:
        for alert in server.ask("GET", "/api/v2/alerts")[1]:
            found[alert["labels"]["nat"]] = alert["status"]["state"] == "suppressed"
        return len(found) == 2

    assert eventually(listed)
    return found


def later() -> str:
    return (datetime.now(UTC) + timedelta(hours=1)).isoformat()


def test_a_silence_is_made_moved_and_ended(command: Command, server: Server) -> None:
    said = command.good("start", "--for", "30m", "--reason", "new image", *NAT_1, "--alertmanager", server.url + "/")
    first = command.silence()
    assert first is not None
    assert f"silenced nat_cluster=a nat=nat-1: {first.id}" in said
    assert (first.url, first.until) == (server.url, command.window.until)
    assert silences(server, "active") == {first.id: {"nat_cluster": "a", "nat": "nat-1"}}
    _status, made = server.ask("GET", f"/api/v2/silence/{first.id}")
    assert made["comment"] == "new image (natobs maintenance)"
    assert datetime.fromisoformat(made["endsAt"]).timestamp() == pytest.approx(first.until, abs=0.002)
    assert quiet(server) == {"nat-1": True, "nat-2": False}
    assert f"  silence  {first.id} at {server.url} until" in command.good("status")

    command.good("start", "--for", "2h", *NAT_1, "--alertmanager", server.url)
    second = command.silence()
    assert second is not None
    assert list(silences(server, "active")) == [second.id]

    result = command("start", "--for", "3h", *NAT_1)
    assert f"silence {second.id} at {server.url} still ends at" in result.stderr
    assert command.silence() == second

    assert f"ended silence {second.id}" in command.good("stop")
    assert silences(server, "active") == {}
    assert command.silence() is None
    assert eventually(lambda: quiet(server) == {"nat-1": False, "nat-2": False})

    # What has ended is replaced by a new one, and ending what has ended already is good.
    command.good("start", "--for", "30m", "--cluster", "a", "--alertmanager", server.url)
    assert command.journal.cluster is not None
    third = command.journal.cluster.silence
    assert third is not None
    assert quiet(server) == {"nat-1": True, "nat-2": True}
    assert server.ask("DELETE", f"/api/v2/silence/{third.id}")[0] == 200
    command.good("stop", "--cluster", "a")


def test_an_alertmanager_that_forgot_the_silence_makes_a_new_one(command: Command, server: Server) -> None:
    command.good("start", "--for", "30m", *NAT_1, "--alertmanager", server.url)
    text = command.state.read_text("utf-8")
    silence = command.silence()
    assert silence is not None
    forgotten = "0" * 8 + silence.id[8:]
    command.state.write_text(text.replace(silence.id, forgotten), "utf-8")
    command.good("start", "--for", "30m", *NAT_1, "--alertmanager", server.url)
    made = command.silence()
    assert made is not None
    assert made.id in silences(server, "active")
    command.state.write_text(text.replace(silence.id, forgotten), "utf-8")
    assert f"ended silence {forgotten}" in command.good("stop")
    for left in silences(server, "active"):
        server.ask("DELETE", f"/api/v2/silence/{left}")


def test_without_alertmanager_the_maintenance_is_declared_and_ended_even_so(command: Command, server: Server) -> None:
    result = command("start", "--for", "1h", *NAT_1, "--alertmanager", NOWHERE)
    assert isinstance(result.exception, MonitoringError)  # which main() makes into one line and status 1
    assert (
        "declared, but nothing is silenced: Alertmanager at http://127.0.0.1:1 does not answer: Connection refused"
        in (str(result.exception))
    )
    assert command.window.active(time.time())

    command.good("start", "--for", "1h", *NAT_1, "--alertmanager", server.url)
    silence = command.silence()
    assert silence is not None
    result = command("stop", "--alertmanager", NOWHERE)
    assert isinstance(result.exception, MonitoringError)
    assert f"silence {silence.id} may last until" in str(result.exception)
    assert not command.window.active(time.time())
    assert command.silence() == silence  # kept, to be ended by another try
    assert f"ended silence {silence.id}" in command.good("stop")
    assert silences(server, "active") == {}


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("400 Bad Request", b'"bad matcher"', 'answers 400 "bad matcher"'),
        ("401 Unauthorized", b"", "--http.config.file names who is asking"),
        ("200 OK", b"<html>", "answers something else"),
        ("404 Not Found", b"no such page", "does its URL lack a path?"),
    ],
)
def test_what_is_no_silence(command: Command, status: str, body: bytes, said: str) -> None:
    with web() as served:
        served.paths["/api/v2/silences"] = answer(body, status)
        result = command("start", "--for", "1h", *NAT_1, "--alertmanager", served.url("/", "u:secret@127.0.0.1"))
    assert isinstance(result.exception, MonitoringError)
    assert said in str(result.exception)
    assert "secret" not in str(result.exception) + command.state.read_text("utf-8")
    assert command.silence() is None


def test_another_service_s_404_does_not_end_a_silence(command: Command, server: Server) -> None:
    command.good("start", "--for", "30m", *NAT_1, "--alertmanager", server.url)
    silence = command.silence()
    assert silence is not None
    with web() as served:
        served.paths[f"/api/v2/silence/{silence.id}"] = answer(b"", "404 Not Found")
        served.paths["/api/v2/silences"] = answer(b"", "404 Not Found")
        assert isinstance(command("stop", "--alertmanager", served.url("")).exception, MonitoringError)
    assert command.silence() == silence
    command.good("stop")
