"""Pages for people: what their code blocks have somebody type is a command that natobs takes."""

import re
from pathlib import Path

import pytest

from tests.runbook_commands import blocks, problem, split

PROJECT = Path(__file__).parent.parent
PAGES = sorted(
    path.relative_to(PROJECT)
    for path in (
        PROJECT / "README.md",
        PROJECT / "CONTRIBUTING.md",
        *(
            path
            for folder in ("docs", "docs/decisions", "probes", "dashboards")
            for path in (PROJECT / folder).glob("*.md")
        ),
    )
)


def typed(page: str) -> list[str]:
    """The command lines of natobs in a page's blocks, without prompt and remark."""
    text = "\n".join(block for language in ("", "sh", "console") for block in blocks(page, language))
    lines = (re.sub(r"^\$ | +#.*$", "", line.strip()) for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if re.match(r"(sudo )?natobs ", line)]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_natobs_takes_every_command_that_a_page_has_somebody_type(page: Path) -> None:
    lines = typed((PROJECT / page).read_text("utf-8"))
    found = [problem(words) for line in lines for words in split(line) if words[0] == "natobs"]
    assert [one for one in found if one] == []


def test_pages_have_commands_and_a_wrong_one_is_found() -> None:
    assert sum(len(typed((PROJECT / page).read_text("utf-8"))) for page in PAGES) > 40
    lines = typed("```console\n$ sudo natobs census --top 3   # the largest\n$ natobs up --probe x\n```\n")
    assert lines == ["sudo natobs census --top 3", "natobs up --probe x"]
    assert [bool(problem(words)) for line in lines for words in split(line)] == [False, True]
