"""``natobs generate``: writes the files that follow from the catalogue, or says which are not up to date."""

import json
import sys
from pathlib import Path

import click

from natobs.cli.columns import columns
from natobs.cli.main import EXIT_BAD
from natobs.cli.parameters import write_text
from natobs.config.fleet import load_fleet
from natobs.generate import explain, files
from natobs.generate.settings import Plan, plan


@click.command(epilog="Example: natobs generate all --config fleet.toml --out /etc/natobs")
@click.argument("what", type=click.Choice(["all", *files.KINDS]))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Directory to write into; the current directory by default.",
)
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="What your fleet wants other than the defaults."
)
@click.option(
    "--group-labels",
    default="",
    metavar="LABELS",
    help="Labels that NATs are told apart by beside nat_cluster and nat, with commas between.",
)
@click.option(
    "--time-scale",
    type=click.FloatRange(min=1, max=1000),
    default=1.0,
    help="Divide all windows and durations, for a lab.",
)
@click.option("--check", is_flag=True, help="Write nothing; fail when a file is not what would be written.")
@click.option("--explain", "explained", is_flag=True, help="Write nothing; say how many failures page.")
@click.option("--json", "as_json", is_flag=True, help="With --explain: print JSON instead of a table.")
def command(  # noqa: PLR0913 - one argument for each option
    what: str,
    out: Path,
    config: Path | None,
    group_labels: str,
    time_scale: float,
    *,
    check: bool,
    explained: bool,
    as_json: bool,
) -> None:
    """Write the files that follow from the catalogue."""
    settings = plan(load_fleet(config), time_scale, tuple(filter(None, group_labels.split(","))))
    if explained:
        _explain(settings, as_json=as_json)
        return
    wanted = files.everything(settings) if what == "all" else files.KINDS[what](settings)
    stale = [path for path, text in wanted.items() if _content(out / path) != text]
    if check:
        for path in stale:
            click.echo(f"{path}: not up to date; run `natobs generate {what}`", err=True)
        click.echo(f"{len(wanted)} generated files compared, {len(stale)} not up to date")
        sys.exit(EXIT_BAD if stale or not wanted else 0)
    for path in stale:
        write_text(out / path, wanted[path], "--out")
        click.echo(f"wrote {path}")
    click.echo(f"{len(wanted)} generated files, {len(stale)} of them changed")


def _explain(settings: Plan, *, as_json: bool) -> None:
    rows = explain.rows(settings)
    if as_json:
        click.echo(json.dumps([row._asdict() for row in rows], indent=2))
        return
    table = [
        (
            row.objective,
            f"{row.target * 100:g} %",
            f"{row.per_minute:g}",
            row.tier,
            row.action,
            f"{row.failures:g}",
            f"{row.guard}",
        )
        for row in rows
    ]
    header = ("objective", "target", "events a minute", "burns", "action", "failures", "at least")
    click.echo(columns(header, table, right=("target", "events a minute", "failures", "at least")))


def _content(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):  # not there, or nothing that was written here
        return None
