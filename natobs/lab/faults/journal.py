"""What a fault has done to a lab and how to undo it, written down inside that very lab.

The file is in the lab's own ``/run``, which ends with the lab: there is never a
record of a lab that is gone, and every process that may enter the lab may heal
it. Knows commands and processes; refuses to know what they are for.
"""

import signal
import time
from contextlib import suppress
from pathlib import Path

import msgspec

from natobs.errors import LabError
from natobs.lab.lab import Lab
from natobs.rundir import Process, write_atomically

_END_SECONDS = 60.0  # what fills a table closes its connections first
_UNDO_SECONDS = 120.0


class Command(msgspec.Struct, frozen=True, tag=True):
    """A program to run in a host of a world of the lab, with text for its standard input.

    It must do no harm where what it undoes was never done: it is written down first.
    """

    world: str
    host: str
    argv: tuple[str, ...]
    stdin: str = ""


class Program(msgspec.Struct, frozen=True, tag=True):
    """A program that runs in a host and is to be ended."""

    world: str
    host: str
    argv: tuple[str, ...]
    process: Process


Undo = Command | Program


class Record(msgspec.Struct):
    """A fault that is injected.

    Args:
        fault: its name.
        world: name of the lab, or of the world beside it, that it is in.
        since: seconds after the epoch.
        undo: what undoes it, the oldest first.
    """

    fault: str
    world: str
    since: float
    undo: list[Undo]


class Journal:
    """The record of one fault in one lab.

    Args:
        lab: where; it must stand.
        fault: the fault's name.
    """

    def __init__(self, lab: Lab, fault: str) -> None:
        self._lab = lab
        self._fault = fault
        self._path = _directory(lab) / f"{lab.topology.name}.{fault}.json"

    def read(self) -> Record | None:
        """What is written down; None while the fault is not injected."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Record)
        except FileNotFoundError:
            return None

    def begin(self) -> None:
        """Write down that the fault is about to be injected.

        Raises:
            LabError: it is injected already.
        """
        self._path.parent.mkdir(exist_ok=True)
        try:
            with self._path.open("xb") as file:  # only one of two who try at once succeeds
                file.write(msgspec.json.encode(Record(self._fault, self._lab.topology.name, time.time(), [])))
        except FileExistsError:
            name = self._lab.topology.name
            raise LabError(f"{self._fault} is injected in lab {name} already; heal it first") from None

    def add(self, undo: Undo) -> None:
        """Write down how to undo what is about to be done."""
        record = self._require()
        record.undo.append(undo)
        self._write(record)

    def undo(self) -> None:
        """Undo everything, the latest first, and forget the fault.

        What cannot be undone does not keep the rest from being undone, and stays written down.

        Raises:
            LabError: the fault is not injected, or something could not be undone.
        """
        record = self._require()
        failed: list[Undo] = []
        said = []
        for undo in reversed(record.undo):
            try:
                _apply(self._lab, undo)
            except LabError as error:
                failed.insert(0, undo)
                said.append(str(error))
        if failed:
            record.undo = failed
            self._write(record)
            raise LabError(f"{self._fault} could not be healed: {'; '.join(said)}. Try again, or end the lab")
        self._path.unlink()

    def _require(self) -> Record:
        record = self.read()
        if record is None:
            others = ", ".join(found.fault for found in injected(self._lab)) or "nothing"
            raise LabError(f"{self._fault} is not injected in lab {self._lab.topology.name}; injected: {others}")
        return record

    def _write(self, record: Record) -> None:
        write_atomically(self._path, msgspec.json.encode(record))


def injected(lab: Lab) -> list[Record]:
    """What is injected in a lab and the worlds beside it at present, the oldest first."""
    found = []
    for path in _directory(lab).glob("*.json"):
        with suppress(FileNotFoundError):  # healed meanwhile
            found.append(msgspec.json.decode(path.read_bytes(), type=Record))
    return sorted(found, key=lambda record: record.since)


def _directory(lab: Lab) -> Path:
    return lab.scratch / "natobs-faults"


def _apply(lab: Lab, undo: Undo) -> None:
    if isinstance(undo, Command):
        (world,) = [found for found in lab.worlds if found.topology.name == undo.world]
        world.host(undo.host).run(list(undo.argv), stdin=undo.stdin, timeout=_UNDO_SECONDS)
    elif not undo.process.end(signal.SIGTERM, _END_SECONDS) and not undo.process.end(signal.SIGKILL, _END_SECONDS):
        raise LabError(f"{undo.host}: {' '.join(undo.argv)} (process {undo.process.pid}) does not end")
