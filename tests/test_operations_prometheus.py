"""From the command to Prometheus: the mask that rules use, what a restart leaves of it, and the first of a kind."""

import shutil
import time
from pathlib import Path

from click.testing import CliRunner
from msgspec.structs import replace

from natobs.cli.main import natobs
from natobs.operations.file import JournalFile
from natobs.operations.journal import Event, Journal
from tests.agent_process import agent_process
from tests.loopback import eventually, reserved_port
from tests.monitoring import Server, prometheus

NAT = "natobs_maintenance_until_timestamp_seconds"
CLUSTER = "natobs_cluster_maintenance_until_timestamp_seconds"
NAT_1 = {"nat_cluster": "a", "nat": "nat-1"}


def command(*words: str) -> None:
    result = CliRunner().invoke(natobs, list(words))
    assert result.exit_code == 0, result.output


def masked(server: Server) -> list[dict[str, str]]:
    """Who is in maintenance by the rules of natobs, and for the grace that follows it."""
    found = [one["metric"] for one in server.query("nat:maintenance:active == 1")]
    return [{name: label for name, label in one.items() if name != "__name__"} for one in found]


def test_the_mask_of_the_rules_outlives_the_agent_and_ends_with_the_maintenance(tmp_path: Path) -> None:
    state, config = tmp_path / "operations.json", tmp_path / "natobs.toml"
    config.write_text(f'[operations]\nstate_file = "{state}"\n', "utf-8")
    there = ("--state", str(state))
    command("generate", "rules", "--out", str(tmp_path), "--time-scale", "100")
    shutil.copy(tmp_path / "alerts" / "natobs-recording.yml", tmp_path / "rules-recording.yml")
    # What held the port before holds it while nobody listens, too.
    with reserved_port() as port, agent_process("--config", str(config), listen=f"127.0.0.1:{port}") as agent:
        address = f"127.0.0.1:{port}"
        with prometheus(tmp_path, [address], NAT_1) as server:
            looked = 'natobs_collector_success{collector="operations"} == 1'
            assert eventually(lambda: bool(server.query(looked)))
            assert server.query(NAT) == []  # never declared: absent, and no zero
            assert masked(server) == []
            command("maintenance", "start", "--for", "30m", *there)
            assert eventually(lambda: masked(server) == [NAT_1])

            agent.popen.kill()  # the machine restarts
            assert eventually(lambda: server.query(NAT) == [])
            assert masked(server) == [NAT_1]
            with agent_process("--config", str(config), listen=address):
                assert eventually(lambda: bool(server.query(NAT)))
                assert masked(server) == [NAT_1]
                command("maintenance", "stop", *there)
                assert eventually(lambda: masked(server) == [])
                assert eventually(lambda: len(server.query(NAT)) == 1)  # over, and still a time stamp

                command("maintenance", "start", "--for", "2h", "--cluster", "a", *there)
                assert eventually(lambda: masked(server) == [NAT_1])
                assert eventually(lambda: len(server.query(CLUSTER)) == 1)


def long_ago(journal: Journal) -> Journal:
    """The same, of events that were recorded at other times."""
    return replace(journal, totals=tuple(replace(total, since=0.0) for total in journal.totals))


def test_prometheus_sees_the_first_event_of_a_series_as_an_increase(tmp_path: Path) -> None:
    state, config = tmp_path / "operations.json", tmp_path / "natobs.toml"
    config.write_text(f'[operations]\nstate_file = "{state}"\n', "utf-8")
    old, new = Event("deploy", "seen_at_once", 5.0), Event("deploy", "held_back", 5.0)
    with agent_process("--config", str(config)) as agent:
        host, port = agent.address
        with prometheus(tmp_path, [f"{host}:{port}"], {"nat": "nat-1"}) as server:
            assert eventually(lambda: bool(server.query("natobs_build_info")))
            JournalFile(state).change(lambda journal: journal.recorded(old, 0.0).recorded(new, time.time()))
            held = 'natobs_scaling_events_total{reason="held_back"} == 0'
            assert eventually(lambda: bool(server.query(held)))
            JournalFile(state).change(long_ago)  # so that the test need not wait for all of the time
            shown = 'natobs_scaling_events_total{reason="held_back"} == 1'
            assert eventually(lambda: bool(server.query(shown)))
            grown = "increase(natobs_scaling_events_total[1m]) > 0"
            assert eventually(lambda: bool(server.query(grown)))
            assert [one["metric"]["reason"] for one in server.query(grown)] == ["held_back"]
