"""Labs that run in the background: a small file for each, and a lock so that two commands do not cross.

A file is believed only as long as the very process that it names still runs, so a
lab that was killed is forgotten by the next command.
"""

import signal
import time
from collections.abc import Callable

import msgspec

from natobs import rundir
from natobs.errors import LabError
from natobs.lab.lab import Lab
from natobs.lab.launch import Holder
from natobs.lab.topology import Topology

_STOP_SECONDS = 10.0


class Saved(msgspec.Struct, frozen=True):
    """What is written down about a lab in the background.

    Args:
        topology: what was built.
        holder: the process that it lives and dies with.
        since: when, in seconds after the epoch.
        beside: the worlds that live with it.
        urls: where on the real loopback its parts are shown, by what they are.
    """

    topology: Topology
    holder: Holder
    since: float
    beside: tuple[Topology, ...] = ()
    urls: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The lab's name."""
        return self.topology.name

    def lab(self) -> Lab:
        """Give access to the lab."""
        return Lab.attached(self.holder, self.topology, *self.beside)


def running() -> list[Saved]:
    """List the labs that run in the background, by name; forgets those that have died."""
    found = []
    for path in sorted(rundir.directory().glob("lab-*.json")):
        try:
            saved = msgspec.json.decode(path.read_bytes(), type=Saved)
        except (OSError, msgspec.MsgspecError, LabError):
            saved = None  # removed meanwhile, or written by another version: either way nothing to hold on to
        if saved is not None and saved.holder.alive():
            found.append(saved)
        else:
            path.unlink(missing_ok=True)
    return found


def find(name: str) -> Saved:
    """Find a lab by name.

    Raises:
        LabError: it is not up; the message says which are.
    """
    labs = running()
    for saved in labs:
        if saved.name == name:
            return saved
    others = f"; up: {', '.join(saved.name for saved in labs)}" if labs else ""
    raise LabError(f"no lab {name!r} is up{others}. Build one with: natobs lab up --name {name}")


def up(
    topology: Topology, *beside: Topology, furnish: Callable[[Lab], dict[str, str]] = lambda _lab: {}
) -> tuple[Saved, bool]:
    """Build a lab in the background, unless it is up already.

    Args:
        topology: as for :class:`~natobs.lab.lab.Lab`.
        beside: likewise.
        furnish: what is put into a new lab before it is left alone, and gives where its parts are shown.
            Until then it ends with this process, however that ends.

    Returns:
        What is known of it, and whether it was built just now.

    Raises:
        LabError: it cannot be built, or one of this name but another shape is up.
    """
    with rundir.locked() as where:
        for saved in running():
            if saved.name == topology.name:
                if (saved.topology, *saved.beside) != (topology, *beside):
                    raise LabError(
                        f"lab {topology.name} is up in another shape; first run: natobs lab down --name {topology.name}"
                    )
                return saved, False
        lab = Lab(topology, *beside)
        try:
            holder = lab.start(background=True)
            saved = Saved(topology, holder, time.time(), beside, furnish(lab))
            rundir.write_atomically(where / f"lab-{saved.name}.json", msgspec.json.encode(saved))
            lab.keep()  # last: a lab that nobody wrote down must not outlive this process
        finally:
            lab.close()
        return saved, True


def down(saved: Saved) -> None:
    """End a lab in the background and everything in it.

    Raises:
        LabError: it did not end in time.
    """
    with rundir.locked() as where:
        if not saved.holder.process.end(signal.SIGKILL, _STOP_SECONDS):
            raise LabError(f"lab {saved.name} (process {saved.holder.pid}) does not end")
        (where / f"lab-{saved.name}.json").unlink(missing_ok=True)
