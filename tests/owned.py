"""Servers of others as children of a test: on loopback, and gone with the test, even when it is killed."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_UNTIL_STDIN_ENDS = '"$@" </dev/null & child=$!; read -r _; kill -KILL "$child"; wait "$child" 2>/dev/null'
_LISTENING = re.compile(r'msg="Listening on" address=(127\.0\.0\.1:\d+)')
_SECONDS = 60.0


def program(name: str) -> str:
    """Its path.

    Raises:
        AssertionError: it is not there.
    """
    path = shutil.which(name)
    assert path, f"{name} is missing; `make programs` fetches it"
    return path


@contextmanager
def server(name: str, *arguments: str, log: Path) -> Iterator[str]:
    """Run a program of the Prometheus family while the block runs; gives its URL, without a slash at the end.

    It listens on a free port of loopback. A shell stands between, which ends it as soon as the test's end of a pipe is
    closed, by whatever.
    """
    command = [program(name), "--web.listen-address=127.0.0.1:0", *arguments]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            ["/bin/sh", "-c", _UNTIL_STDIN_ENDS, "sh", *command], stdin=subprocess.PIPE, stdout=out, stderr=out
        ) as shell,
    ):
        yield f"http://{_address(shell, log)}"


def _address(shell: "subprocess.Popen[bytes]", log: Path) -> str:
    deadline = time.monotonic() + _SECONDS
    while not (found := _LISTENING.search(log.read_text("utf-8"))):
        assert shell.poll() is None, log.read_text("utf-8")
        assert time.monotonic() < deadline, log.read_text("utf-8")
        time.sleep(0.05)
    return found[1]
