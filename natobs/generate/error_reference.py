"""``docs/errors.md``: what each kind of error means, from the docstrings of the error classes."""

import inspect
from collections.abc import Iterator

from natobs.errors import NatobsError
from natobs.generate import markdown

_INTRO = """natobs names its errors. A command prints one line and ends with status 1, or 2 where the command line or a
configuration file is wrong."""


def page() -> str:
    """The text of the page."""
    return markdown.page("Errors", _INTRO, _sections(NatobsError))


def _sections(error: type[NatobsError]) -> Iterator[str]:
    for kind in error.__subclasses__():
        yield f'<a id="{kind.slug}"></a>\n\n## {kind.__name__}\n'
        yield f"{inspect.cleandoc(kind.__doc__ or '').partition(chr(10) + chr(10) + 'Args:')[0]}\n"
        yield from _sections(kind)
