"""A server that a test has started is gone when the test is, even when that is killed."""

import signal
import subprocess
import sys
from pathlib import Path

from tests.loopback import eventually

STARTS = """
import sys, time
from pathlib import Path
from tests.owned import server
folder = Path(sys.argv[1])
(folder / "prometheus.yml").write_text("{}")
words = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}")
with server("prometheus", *words, log=folder / "log"):
    print("up", flush=True)
    time.sleep(60)
"""


def running(mark: str) -> list[int]:
    """Processes that have a word in their command line."""
    found = []
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            words = (directory / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"prometheus") and any(mark in word.decode() for word in words):
            found.append(int(directory.name))
    return found


def test_a_server_ends_with_the_test_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTS, str(tmp_path)], stdout=subprocess.PIPE) as test:
        assert test.stdout is not None
        assert test.stdout.readline() == b"up\n"
        assert running(str(tmp_path))
        test.send_signal(signal.SIGKILL)
    assert eventually(lambda: not running(str(tmp_path)))
