"""Loads, replaces and removes the accounting table, and says how it is.

Each change is one transaction of the kernel, so that a failure changes nothing.
A table of the name that is not ours is never touched: a first installation uses
``create``, which fails where there is one, and what is replaced or removed is
named by its handle, which no other table ever has. Changes the network namespace
that it runs in, through ``nft``; reading needs no program.
"""

from typing import Literal

from natobs.errors import AccountingError
from natobs.kernel import accounting, accounting_table, nft_intervals, nft_program, nft_sets
from natobs.kernel.accounting import TableMark
from natobs.kernel.accounting_table import FAMILY, MARK, NAME, Settings
from natobs.kernel.machine import Machine

Change = Literal["installed", "replaced", "unchanged"]

_QUARANTINES = tuple(nft_sets.query(FAMILY, NAME, f"quarantine{version}") for version in (4, 6))


def find(machine: Machine) -> TableMark | None:
    """Our table, if there is one.

    Raises:
        AccountingError: a table of its name is somebody else's.
        UnavailableError: no nf_tables, or no privilege.
    """
    found = accounting.read_table(machine)
    if found is not None and not accounting_table.owns(FAMILY, NAME, found.comment):
        raise AccountingError(
            f"there is a table inet {NAME} that is not natobs' own: its comment is {found.comment!r} and does not "
            f"begin with {MARK!r}; rename or remove that table first, nothing was changed"
        )
    return found


def install(machine: Machine, settings: Settings) -> Change:
    """Have the table that the settings make, with the quarantine of the one before.

    Args:
        machine: where it is looked for; the program ``nft`` acts there too.
        settings: what it is made for.

    Returns:
        What was done; ``unchanged`` left every counter as it was.

    Raises:
        AccountingError: the table of this name is not ours, or the kernel refuses it; nothing was changed.
        SetupError: there is no nft.
        UnavailableError: no nf_tables, or no privilege.
    """
    found = find(machine)
    wanted = accounting_table.mark(settings)
    if found is None:
        _load(accounting_table.creation(settings))
        _check_comment(machine, wanted)
        return "installed"
    if found.comment == wanted and accounting.is_whole(machine, settings):
        return "unchanged"
    _load(accounting_table.replacement(settings, found.handle, quarantined(machine)))
    return "replaced"


def remove(machine: Machine) -> bool:
    """Remove our table, and say whether there was one; raises as :func:`install`."""
    found = find(machine)
    if found is not None:
        nft_program.load(accounting_table.removal(found.handle))
    return found is not None


def obstacle(settings: Settings) -> str:
    """Why the kernel would not take the table, where there is none yet; empty where it would.

    Raises:
        SetupError: there is no nft.
    """
    try:
        _load(accounting_table.creation(settings), only_check=True)
    except AccountingError as error:
        return str(error)
    return ""


def quarantined(machine: Machine) -> list[str]:
    """What is in the quarantine sets, as nft takes it; raises as :func:`accounting.is_whole`."""
    return [str(interval) for query in _QUARANTINES for interval in nft_intervals.read(machine, query)]


def _load(text: str, *, only_check: bool = False) -> None:
    try:
        nft_program.load(text, only_check=only_check)
    except AccountingError as error:
        if "ct label" in str(error) and "not supported" in str(error):
            hint = "this kernel has no conntrack labels (CONFIG_NF_CONNTRACK_LABELS), which accounting needs"
            raise AccountingError(f"{hint}; {error}") from error
        raise


def _check_comment(machine: Machine, wanted: str) -> None:
    """Take a table away again that could not be known as ours."""
    found = accounting.read_table(machine)
    if found is not None and found.comment != wanted:
        nft_program.load(accounting_table.removal(found.handle))
        raise AccountingError("this kernel does not keep the comments of tables, which need Linux 5.10; removed again")
