"""Every error has an anchor of its own in the reference."""

from collections.abc import Iterator
from pathlib import Path

from natobs.errors import NatobsError

PAGE = Path(__file__).parent.parent / "docs" / "errors.md"


def kinds(error: type[NatobsError]) -> Iterator[type[NatobsError]]:
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_error_has_a_place_of_its_own_in_the_reference() -> None:
    page = PAGE.read_text("utf-8")
    found = [kind for kind in kinds(NatobsError) if kind.__module__ == "natobs.errors"]
    assert len(found) >= 9
    assert len({kind.slug for kind in found}) == len(found)
    for kind in found:
        assert f'<a id="{kind.slug}"></a>\n\n## {kind.__name__}\n' in page
