"""One program of a stack: in which host it runs, what it said, and how it is ended and begun again.

Knows processes; refuses to know what they are for.
"""

import signal
import subprocess
import time
from pathlib import Path

from natobs.errors import LabError
from natobs.lab.lab import Host, HostProcess

_TAIL_BYTES = 2000
_LAST_LINES = 4


class Part:
    """A program that runs in a host of a lab, or will.

    Args:
        name: for a person.
        host: where it runs.
        argv: program and arguments.
        log: file that takes all it prints; made anew by the first start, and gone with the lab.

    Attributes:
        argv: with which it is started the next time.
        log: as given.
    """

    def __init__(self, name: str, host: Host, argv: list[str], log: Path) -> None:
        self.name = name
        self._host = host
        self.argv = argv
        self.log = log
        self._process: HostProcess | None = None

    def start(self, pass_fds: tuple[int, ...] = ()) -> None:
        """Start it; when it runs already, nothing happens."""
        if self._process is None or self._process.poll() is not None:
            with self.log.open("a") as log:
                self._process = self._host.popen(self.argv, stdout=log, stderr=subprocess.STDOUT, pass_fds=pass_fds)

    @property
    def process(self) -> HostProcess:
        """The process.

        Raises:
            LabError: it was never started.
        """
        if self._process is None:
            raise LabError(f"{self.name} was not started")
        return self._process

    def kill(self) -> None:
        """End it by SIGKILL and wait."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        """End it in order and start it again."""
        self.process.close()
        self.start()

    def check(self) -> None:
        """Raise LabError when it has ended; the message has its last words."""
        status = self.process.poll()
        if status is not None:
            raise LabError(f"{self.name} ended with status {status}: {self.words()}")

    def await_word(self, word: str, seconds: float) -> None:
        """Wait until it has printed a word.

        Raises:
            LabError: it ended, or did not in time.
        """
        deadline = time.monotonic() + seconds
        while word not in self.log.read_text("utf-8", "replace"):
            self.check()
            if time.monotonic() > deadline:
                raise LabError(f"{self.name} was not ready within {seconds:.0f} s: {self.words()}")
            time.sleep(0.05)

    def words(self) -> str:
        """Give the last that it said, on one line."""
        text = self.log.read_bytes()[-_TAIL_BYTES:].decode("utf-8", "replace")
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        return " ".join(lines[-_LAST_LINES:]) or "it said nothing"
