"""What the command line says when something is not installed."""

import sys

import pytest

from natobs.cli.main import main


@pytest.mark.parametrize(
    ("library", "extra", "words"),
    [
        ("promql_parser", "generate", ["generate", "rules", "--check"]),
        ("grafanalib", "generate", ["generate", "dashboards", "--check"]),
    ],
)
def test_a_library_that_is_missing_is_named_with_what_brings_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    library: str,
    extra: str,
    words: list[str],
) -> None:
    for name in [*sys.modules]:
        if name.startswith(("natobs.generate", "natobs.cli.generate")) or name.partition(".")[0] == library:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr("sys.argv", ["natobs", *words])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    said = capsys.readouterr().err
    assert said == f"natobs: this needs the Python package {library}; pip install 'natobs[{extra}]' brings it\n"


def test_a_module_of_natobs_that_is_missing_is_a_fault_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "natobs.cli.census", raising=False)
    monkeypatch.setitem(sys.modules, "natobs.cli.census", None)
    monkeypatch.setattr("sys.argv", ["natobs", "census"])
    with pytest.raises(ModuleNotFoundError, match=r"natobs\.cli\.census"):
        main()
