"""Several faults at a time, each played by a process of its own: ``python -m natobs.lab.gameday.together FAULT ...``.

Knows processes, what they tell, and how they are ended: by one SIGINT, upon
which each takes down its lab; and by the kernel, when the process that began
them dies. Refuses to know what is played.

CPU is the machine's, and whoever is played beside it is a neighbour: alerts about
CPU are switched off as on a busy machine, and faults that must raise one are no
matter for this module.
"""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import msgspec

from natobs.errors import LabError
from natobs.lab import launch
from natobs.lab.faults.base import Fault
from natobs.lab.faults.expected import EXPECTED
from natobs.lab.faults.registry import find
from natobs.lab.gameday.day import Play, Say
from natobs.lab.gameday.model import Outcome
from natobs.lab.gameday.setting import ABOUT_CPU, Setting
from natobs.lab.topology import TOPOLOGIES


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of what a process tells: progress, or in the end what came of the fault, or why it could not be played."""

    progress: str = ""
    outcome: Outcome | None = None
    error: str = ""


def alone(kind: type[Fault]) -> bool:
    """Whether a fault has to have the machine for itself: it must raise an alert about CPU."""
    return any(one.alert in ABOUT_CPU for one in EXPECTED[kind.name])


class Together:
    """Plays faults side by side.

    Args:
        jobs: how many at a time.
        setting: with what.
        say: takes progress, from several threads.
    """

    def __init__(self, jobs: int, setting: Setting, say: Say) -> None:
        self._jobs = jobs
        self._setting = setting
        self._say = say
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._ending = False

    def outcomes(self, kinds: Sequence[type[Fault]]) -> Iterator[tuple[type[Fault], Outcome | LabError]]:
        """Play them; give what came of each, in their order; when the caller stops, everything is taken down."""
        with ThreadPoolExecutor(self._jobs) as pool:
            played: list[Future[Outcome | LabError]] = [pool.submit(self._play, kind) for kind in kinds]
            try:
                for kind, future in zip(kinds, played, strict=True):
                    yield kind, future.result()
            finally:
                self._ending = True
                pool.shutdown(wait=False, cancel_futures=True)
                for process in tuple(self._processes):
                    process.send_signal(signal.SIGINT)

    def _play(self, kind: type[Fault]) -> Outcome | LabError:
        words = (kind.name, self._setting.topology, f"{self._setting.scale:g}")
        with subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", __name__, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=launch.environment(),
            start_new_session=True,  # Ctrl-C is for the owner, who then ends all in order
        ) as process:
            self._processes.add(process)
            if self._ending:  # it began while the others were told
                process.send_signal(signal.SIGINT)
            try:
                return self._heard(kind, process)
            finally:
                self._processes.discard(process)

    def _heard(self, kind: type[Fault], process: "subprocess.Popen[bytes]") -> Outcome | LabError:
        assert process.stdout is not None
        for line in process.stdout:
            told = msgspec.json.decode(line, type=Told)
            if told.outcome is not None:
                return told.outcome
            if told.error:
                return LabError(told.error)
            self._say(told.progress)
        return LabError(f"the process that played {kind.name} ended with status {process.wait()}")


def _tell(told: Told) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    """Play the fault that the command line names, on this topology, at this time scale."""
    name, topology, scale = sys.argv[1:]
    setting = Setting(TOPOLOGIES[topology], topology, float(scale), any_load=True)
    say: Callable[[str], None] = lambda line: _tell(Told(progress=line))  # noqa: E731  a line of its own says no more
    with suppress(KeyboardInterrupt):
        try:
            _tell(Told(outcome=Play(find(name), setting, say).outcome()))
        except LabError as error:
            _tell(Told(error=str(error)))


if __name__ == "__main__":
    main()
