"""How accounting stands on a machine: the table, how full its sets are, and what around it decides what it sees.

Refuses to know how a person is told; changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from natobs.errors import KernelError
from natobs.kernel import accounting, accounting_install, accounting_table, flowtables, nft_sets, sysctl
from natobs.kernel.accounting_table import FAMILY, NAME, Settings
from natobs.kernel.flowtables import Flowtables
from natobs.kernel.machine import Machine

SETS = ("attempts4", "attempts6", "answers4", "answers6", "hosts4", "hosts6")
ACCOUNT = "net.netfilter.nf_conntrack_acct"
TIMESTAMP = "net.netfilter.nf_conntrack_timestamp"

Parameters = ParamSpec("Parameters")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Fill:
    """A set that grows with what is seen.

    Args:
        elements: how many it has now.
        size: how many it may have; one that is full counts no new key.
    """

    elements: int
    size: int


@dataclass(frozen=True, slots=True)
class Status:
    """Accounting on this machine.

    Args:
        installed: whether our table is there.
        comment: of the table; empty without one.
        current: whether it is the one that the settings make.
        whole: whether it is, and all its rules are there, and once; see :func:`natobs.kernel.accounting.is_whole`.
        obstacle: why the kernel would not take the table; empty where it would, and where it is there.
        sets: by their names in the table.
        quarantined: addresses, prefixes and ranges that open no new flows, as nft takes them.
        labels: the two bits of the conntrack label.
        sysctls: those that decide what conntrack keeps of a flow; None where there is none, or it cannot be read.
        flowtables: None where they cannot be read.
    """

    installed: bool
    comment: str
    current: bool
    whole: bool
    obstacle: str
    sets: dict[str, Fill]
    quarantined: list[str]
    labels: tuple[int, int]
    sysctls: dict[str, int | None]
    flowtables: Flowtables | None

    @property
    def good(self) -> bool:
        """Whether everything is counted as the settings say."""
        return self.whole


def read(machine: Machine, settings: Settings) -> Status:
    """Look at everything.

    Args:
        machine: where to look.
        settings: what the table should be made for.

    Raises:
        AccountingError: a table of its name is somebody else's.
        SetupError: it is not installed, and there is no nft to install it.
        UnavailableError: no nf_tables, or no privilege.
        FormatError: an answer is not what the kernel documents.
    """
    found = accounting_install.find(machine)
    current = found is not None and found.comment == accounting_table.mark(settings)
    sizes = accounting.read_sizes(machine) if found else {}
    return Status(
        installed=found is not None,
        comment=found.comment if found else "",
        current=current,
        whole=current and accounting.is_whole(machine, settings),
        obstacle="" if found else accounting_install.obstacle(settings),
        sets={
            name: Fill(len(nft_sets.read(machine, nft_sets.query(FAMILY, NAME, name))), sizes[name])
            for name in SETS
            if name in sizes
        },
        quarantined=accounting_install.quarantined(machine) if found else [],
        labels=(settings.label, settings.label + 1),
        sysctls={name: _or_none(sysctl.read, machine, name) for name in (ACCOUNT, TIMESTAMP)},
        flowtables=_or_none(flowtables.read, machine),
    )


def _or_none(look: Callable[Parameters, Value], *args: Parameters.args, **keywords: Parameters.kwargs) -> Value | None:
    try:
        return look(*args, **keywords)
    except KernelError:
        return None
