"""The agent as a process of its own, as a user starts it, and what the kernel says of that process."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from natobs.exposition.listen import Address, parse_listen


class AgentProcess:
    def __init__(self, popen: "subprocess.Popen[bytes]", address: Address, log: Path) -> None:
        self.popen = popen
        self.address = address
        self._log = log

    @property
    def said(self) -> str:
        return self._log.read_text("utf-8")

    @property
    def threads(self) -> int:
        return self._status("Threads")

    @property
    def resident_kib(self) -> int:
        return self._status("VmRSS")

    @property
    def descriptors(self) -> int:
        return sum(1 for _link in Path(f"/proc/{self.popen.pid}/fd").iterdir())

    def _status(self, field: str) -> int:
        lines = Path(f"/proc/{self.popen.pid}/status").read_text("utf-8").splitlines()
        return int(next(line for line in lines if line.startswith(f"{field}:")).split()[1])


@contextmanager
def agent_process(*arguments: str, listen: str = "127.0.0.1:0") -> Iterator[AgentProcess]:
    """Run an agent, by default on a free port of loopback, while the block runs, from the moment when it is ready."""
    reading, writing = os.pipe()
    command = [sys.executable, "-m", "natobs", "agent", "--listen", listen, "--ready-fd", str(writing)]
    # A file: an agent would wait for ever for somebody to read what it says into a pipe.
    with tempfile.NamedTemporaryFile("w+") as log:
        popen = subprocess.Popen([*command, *arguments], stderr=log, pass_fds=[writing])
        os.close(writing)
        with popen:
            try:
                with os.fdopen(reading) as ready:
                    url = ready.read().partition("\n\n")[0]
                assert url, Path(log.name).read_text("utf-8")
                yield AgentProcess(popen, parse_listen(url.removeprefix("http://").removesuffix("/")), Path(log.name))
            finally:
                popen.kill()
