"""Maintenance from the command to Prometheus: the mask that rules use, and what a restart leaves of it."""

from pathlib import Path

from click.testing import CliRunner

from natobs.cli.main import natobs
from tests.agent_process import agent_process
from tests.loopback import eventually
from tests.monitoring import Server, prometheus

NAT = "natobs_maintenance_until_timestamp_seconds"
CLUSTER = "natobs_cluster_maintenance_until_timestamp_seconds"


def mask(server: Server, metric: str, *group: str) -> list[dict[str, str]]:
    """Who is in maintenance, as Prometheus knows."""
    expression = f"max by ({', '.join(group)}) (last_over_time({metric}[1h])) > time()"
    return [found["metric"] for found in server.query(expression)]


def command(*words: str) -> None:
    result = CliRunner().invoke(natobs, list(words))
    assert result.exit_code == 0, result.output


def test_the_mask_outlives_the_agent_and_ends_with_the_maintenance(tmp_path: Path) -> None:
    state, config = tmp_path / "operations.json", tmp_path / "natobs.toml"
    config.write_text(f'[operations]\nstate_file = "{state}"\n', "utf-8")
    there = ("--state", str(state))
    nat_1, cluster = {"nat_cluster": "a", "nat": "nat-1"}, {"nat_cluster": "a"}
    with agent_process("--config", str(config)) as agent:
        host, port = agent.address
        address = f"{host}:{port}"
        with prometheus(tmp_path, [address], nat_1) as server:
            assert eventually(
                lambda: bool(server.query('natobs_collector_success{collector="operations"} == 1')), within=15
            )
            assert server.query(NAT) == []  # never declared: absent, and no zero
            command("maintenance", "start", "--for", "30m", *there)
            command("maintenance", "start", "--for", "2h", "--cluster", "a", *there)
            command("event", "record", "failover", "--reason", "drill", "--at", "1767225600", *there)
            assert eventually(lambda: mask(server, CLUSTER, "nat_cluster") == [cluster], within=10)
            assert mask(server, NAT, "nat_cluster", "nat") == [nat_1]
            time = 'natobs_scaling_event_timestamp_seconds{kind="failover"}'
            assert eventually(lambda: [one["value"][1] for one in server.query(time)] == ["1767225600"], within=10)
            # A new counter shows its zero first.
            counted = server.query('natobs_scaling_events_total{kind="failover",reason="drill"}')
            assert [one["value"][1] for one in counted] == ["0"]

            agent.popen.kill()  # the machine restarts
            assert eventually(lambda: server.query(NAT) == [], within=15)
            assert mask(server, NAT, "nat_cluster", "nat") == [nat_1]
            with agent_process("--config", str(config), listen=address):
                assert eventually(lambda: bool(server.query(NAT)), within=15)
                assert mask(server, NAT, "nat_cluster", "nat") == [nat_1]
                command("maintenance", "stop", *there)
                assert eventually(lambda: mask(server, NAT, "nat_cluster", "nat") == [], within=10)
                assert len(server.query(NAT)) == 1  # over, and still a time stamp
                assert mask(server, CLUSTER, "nat_cluster") == [cluster]
