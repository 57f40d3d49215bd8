"""Plain tables for a person, which read the same in the log of a pipeline. No command."""

from collections.abc import Sequence

_GAP = "  "


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> str:
    """A table as text.

    Args:
        header: a word for each column.
        rows: as many cells each.
        right: words of the columns whose cells end where the column ends, as numbers do.
    """
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return "\n".join(
        _GAP.join(
            cell.rjust(width) if word in right else cell.ljust(width)
            for cell, width, word in zip(row, widths, header, strict=True)
        ).rstrip()
        for row in (header, *rows)
    )
