"""Where rich prints for a person: a terminal, or a file or a pipe, which has no width and folds nothing. No command.

rich itself honours NO_COLOR.
"""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 1000
"""Columns that no line reaches."""


def console() -> "Console":
    """Standard output, as wide as the terminal, or as what is printed."""
    from rich.console import Console  # noqa: PLC0415  only where a person reads

    terminal = sys.stdout.isatty()
    return Console(width=None if terminal else _WIDE, soft_wrap=not terminal, highlight=False)
