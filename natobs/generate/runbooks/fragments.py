"""The words of the runbooks, which people write: one Markdown file for each alert and failure mode, beside this module.

Knows the four headings that each must have. What can be said from the catalogue
is not in these files, and no threshold is: a fleet may have others. For the same
reason queries group by place-holders of :mod:`natobs.catalogue.promql`, such as
``«nat»``.
"""

import re
from collections.abc import Mapping
from importlib.resources import files

from natobs.errors import CatalogueError

HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation")
"""Of every runbook, in this order."""
_HEADING = re.compile(r"^## (.+)\n", re.MULTILINE)
_FOLDER = files("natobs.generate.runbooks") / "text"

Sections = Mapping[str, str]
"""The text below each heading."""


def names() -> list[str]:
    """Of all alerts and failure modes that have words."""
    return sorted(entry.name.removesuffix(".md") for entry in _FOLDER.iterdir() if entry.name.endswith(".md"))


def read(name: str) -> Sections:
    """The sections for an alert or a failure mode.

    Raises:
        CatalogueError: nobody has written them, or the headings are others.
    """
    entry = _FOLDER / f"{name}.md"
    if not entry.is_file():
        raise CatalogueError(f"runbook {name}: there is no natobs/generate/runbooks/text/{name}.md")
    return sections(name, entry.read_text("utf-8"))


def sections(name: str, text: str) -> Sections:
    """Take a text apart at its headings.

    Raises:
        CatalogueError: the headings are not the four, a section is empty, or something stands before the first.
    """
    before, *parts = _HEADING.split(text)
    found = dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))
    if before.strip() or tuple(parts[::2]) != HEADINGS or not all(found.values()):
        raise CatalogueError(f"runbook {name}: needs the sections {', '.join(HEADINGS)}, each with text, and no others")
    return found
