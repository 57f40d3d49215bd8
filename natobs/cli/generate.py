"""``natobs generate``: writes the files that follow from the catalogue, or says which are not up to date."""

import sys
from pathlib import Path

import click

from natobs.cli.main import EXIT_BAD
from natobs.generate import files


@click.command(epilog="Example: natobs generate all --check")
@click.argument("what", type=click.Choice(["all", *files.KINDS]))
@click.option(
    "--directory",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=Path(),
    help="Top of the project; the current directory by default.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is not what would be written.")
def command(what: str, directory: Path, check: bool) -> None:  # noqa: FBT001 - a click flag
    """Write the files that follow from the catalogue."""
    wanted = files.everything() if what == "all" else files.KINDS[what]()
    stale = [path for path, text in wanted.items() if _content(directory / path) != text]
    if check:
        for path in stale:
            click.echo(f"{path}: not up to date; run `natobs generate {what}`", err=True)
        click.echo(f"{len(wanted)} generated files compared, {len(stale)} not up to date")
        sys.exit(EXIT_BAD if stale or not wanted else 0)
    for path in stale:
        target = directory / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(wanted[path], "utf-8")
        click.echo(f"wrote {path}")
    click.echo(f"{len(wanted)} generated files, {len(stale)} of them changed")


def _content(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return None
