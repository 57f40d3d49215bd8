"""The servers of the tests: they listen on loopback alone, and do not outlive a test that is killed."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.loopback import eventually

CODE = """
import sys
from pathlib import Path
from tests import monitoring
with getattr(monitoring, sys.argv[1])(Path(sys.argv[2])) as server:
    print(server.address, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("name", ["prometheus", "alertmanager"])
def test_a_server_listens_on_loopback_alone_and_ends_with_a_test_that_is_killed(tmp_path: Path, name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CODE, name, str(tmp_path)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as test:
        assert test.stdout
        address = test.stdout.readline().strip()
        started = psutil.Process(test.pid).children(recursive=True)
        listening = {
            f"{found.laddr.ip}:{found.laddr.port}"
            for process in started
            for found in process.net_connections()
            if found.status == psutil.CONN_LISTEN or not found.raddr
        }
        test.kill()
    assert listening == {address}
    assert eventually(lambda: not any(process.is_running() for process in started), within=10)
