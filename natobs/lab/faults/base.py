"""What a fault is: a thing that is wrong in a lab, said for a person, brought about and taken away again.

Knows how what is done is written down and undone; refuses to know any subject.
A subclass says what it does in :meth:`Fault.act`, by means of ``change``,
``rules`` and ``start``, each of which is told at once how to undo it.
"""

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Self

from natobs.errors import LabError
from natobs.lab import launch
from natobs.lab.faults.expected import EXPECTED, Expectation
from natobs.lab.faults.journal import Command, Journal, Program, Record
from natobs.lab.lab import Host, HostProcess, Lab
from natobs.lab.plan import plan
from natobs.lab.traffic import first_line
from natobs.rundir import Process

Evidence = Mapping[str, float]
"""Plain facts of the kernel by name, counted or read without natobs; a change of one of them shows the fault."""

_READY_SECONDS = 120.0


class Fault(ABC):
    """One fault in one lab; as a context manager it is injected while the block runs.

    Args:
        lab: a lab that stands, with its servers running.

    Raises:
        LabError: it cannot happen in a lab of this shape.
    """

    name: ClassVar[str]
    """As on a command line."""
    mode: ClassVar[str] = ""
    """The failure mode that it is an example of, ``F1`` to ``F9``; empty where it is none of the NAT's."""
    title: ClassVar[str]
    """In a few words."""
    sentence: ClassVar[str]
    """What is done, for a person."""
    arms: ClassVar[tuple[int, ...]] = (1, 2)
    """Labs in which it can happen, by the number of the NAT's interfaces."""
    nats: ClassVar[int] = 1
    """How many NATs it takes, each with a world of its own."""
    history: ClassVar[float] = 0.0
    """Seconds of health, at time scale 1, without which what it breaks for a moment would look like much."""
    programs: ClassVar[tuple[str, ...]] = ()
    """What it needs beyond what every lab needs."""

    scrape_seconds = 1.0
    """How often somebody looks at the lab; a fault that wants to be seen in the making waits for it."""
    any_load = False
    """Whether it may be brought about on a machine that is busy with other things."""

    def __init__(self, lab: Lab) -> None:
        if lab.topology.nat.arms not in self.arms:
            raise LabError(f"{self.name} cannot happen on a NAT with {lab.topology.nat.arms} interfaces")
        self.lab = lab
        self._journal = Journal(lab, self.name)
        self._started: list[HostProcess] = []

    @property
    def expects(self) -> tuple[Expectation, ...]:
        """What it must raise, and nothing else."""
        return EXPECTED[self.name]

    @property
    def record(self) -> Record | None:
        """What is written down about it; None while it is not injected."""
        return self._journal.read()

    @property
    def nat(self) -> Host:
        """The NAT of the lab."""
        return self.lab.host("nat")

    def inject(self) -> None:
        """Bring it about; when that fails, what was done is undone.

        Raises:
            LabError: it is injected already, a program is missing, or the lab does not let it happen.
        """
        launch.require(*self.programs)
        self.check()
        self._journal.begin()
        try:
            self.act()
        except BaseException:
            self.heal()
            raise

    def heal(self) -> None:
        """Undo everything, in any process, also after a part of it was undone.

        Raises:
            LabError: it is not injected, or something cannot be undone.
        """
        self._journal.undo()
        for process in self._started:
            process.close()  # it has ended; only its way in is left
        self._started.clear()

    def detach(self) -> None:
        """Let the programs of this fault run on when this process ends; they end with the fault or with its lab."""
        for process in self._started:
            process.release()
        self._started.clear()

    def __enter__(self) -> Self:
        self.inject()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()

    def check(self) -> None:  # noqa: B027 - most faults are possible at any time
        """Raise a LabError where the fault would prove nothing now."""

    @abstractmethod
    def act(self) -> None:
        """Do what is wrong."""

    @abstractmethod
    def evidence(self) -> Evidence:
        """What the kernel says that shows this fault, without natobs."""

    def part(self, fault: "Fault") -> None:
        """Inject another fault as a part of this one: what it does is written down here."""
        fault._journal = self._journal  # noqa: SLF001 - its own class
        fault._started = self._started  # noqa: SLF001 - its own class
        fault.act()

    def change(self, host: str, do: Sequence[str], undo: Sequence[str]) -> None:
        """Run a program in a host, and know the one that undoes it; that one does no harm where nothing was done."""
        self._journal.add(Command(self.lab.topology.name, host, tuple(undo)))
        self.lab.host(host).run(list(do))

    def cleanup(self, host: str, undo: Sequence[str], stdin: str = "") -> None:
        """Have a program run at the end, after everything that was done from now on is undone."""
        self._journal.add(Command(self.lab.topology.name, host, tuple(undo), stdin))

    def rules(self, host: str, table: str, chains: str) -> None:
        """Add an nftables table of the family inet, which goes when the fault is healed.

        Args:
            host: where.
            table: its name.
            chains: what is in it.
        """
        self.cleanup(host, ("nft", "-f", "-"), f"add table inet {table}\ndelete table inet {table}\n")
        self.lab.host(host).run(["nft", "-f", "-"], stdin=f"table inet {table} {{\n{chains}\n}}\n")

    def start(self, host: str, argv: Sequence[str], *, ready: str = "") -> HostProcess:
        """Start a program that runs until the fault is healed.

        Args:
            host: where.
            argv: program and arguments.
            ready: what its first line says once it is at work; empty where it says nothing.
        """
        process = self.lab.host(host).popen(list(argv), stdout=subprocess.PIPE if ready else subprocess.DEVNULL)
        self._started.append(process)
        known = Process.of(process.pid)
        if known is None:
            raise LabError(f"{host}: {' '.join(argv)} ended at once")
        self._journal.add(Program(self.lab.topology.name, host, tuple(argv), known))
        if ready and (said := first_line(process, _READY_SECONDS)) != ready:
            raise LabError(f"{host}: {' '.join(argv)} does not work: {said or 'it said nothing'}")
        return process

    def wiring(self, host: str) -> str:
        """Give what ``ip -batch`` needs to give a host every address and route that it was built with."""
        (wanted,) = [found for found in plan(self.lab.topology).hosts if found.name == host]
        return "\n".join(wanted.ip) + "\n"
