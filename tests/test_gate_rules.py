"""``natobs gate`` on what natobs' own rules record, in a hundredth of the time, from a table that fills up."""

import shutil
from pathlib import Path

from click.testing import CliRunner, Result

from natobs.catalogue.metrics import agent, conntrack
from natobs.cli.main import natobs
from natobs.exposition.encode import encode
from natobs.exposition.messages import Request, Response
from tests.loopback import eventually, serving
from tests.monitoring import prometheus

SLO = "nat-conntrack-usage"
SCALE = "100"


def test_a_table_that_fills_up_closes_the_gate(tmp_path: Path) -> None:
    entries = 10.0
    full = 100.0

    def expose(request: Request) -> Response:
        table = [conntrack.ENTRIES.sample(entries), conntrack.LIMIT.sample(full)]
        encoded = encode([agent.BUILD.sample(1, "0", "3"), *table])
        return Response(200, encoded.body, encoded.content_type)

    made = CliRunner().invoke(natobs, ["generate", "rules", "--out", str(tmp_path), "--time-scale", SCALE])
    assert made.exit_code == 0, made.output
    shutil.copy(tmp_path / "alerts" / "natobs-recording.yml", tmp_path / "rules-recording.yml")
    with serving(expose) as target:
        host, port = target.addresses[0]
        labels = {"nat_cluster": "a", "nat": "nat-1"}
        with prometheus(tmp_path, [f"{host}:{port}"], labels) as server:

            def gate(*options: str) -> Result:
                words = ["gate", "--prometheus", server.url, "--slo", SLO, *options]
                return CliRunner().invoke(natobs, words)

            def free() -> bool:
                found = gate("--cluster", "a")
                return found.exit_code == 0 and f"{SLO}  a        nat-1" in found.stdout

            assert eventually(free, within=120), gate().output
            assert gate("--cluster", "b").exit_code == 1  # nothing is known of it
            entries = 90.0
            assert eventually(lambda: "BURNING: hold" in gate().stdout, within=120), gate().output
            assert gate("--cluster", "a").exit_code == 1
            # The other SLOs have a budget and no source.
            everything = CliRunner().invoke(natobs, ["gate", "--prometheus", server.url]).stdout
            assert everything.count("UNKNOWN: no error ratio") > 3
