"""``natobs probe push``: attempts every target of a probe file once, and pushes what came of it."""

import logging
import sys
from pathlib import Path

import click

from natobs.cli.main import EXIT_BAD
from natobs.exposition import oneshot
from natobs.probe_config import load

_HELP = """Probe every target of a file once, push what came of it, and end.

For hosts where nothing may stay or listen: functions, cron jobs. Retries are as
the file says. The exit status is 0 when the push went well, whatever the probes
found, 1 when it did not, 2 when the command line or the file is wrong.

--otlp pushes to otlp.endpoint of the file.
"""
_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    help=_HELP,
    epilog="Example: natobs probe push --config probes/default.toml --pushgateway http://10.0.9.1:9091 "
    "--grouping subnet=private-a",
)
@click.option("--config", "config_file", type=_FILE, required=True, help="The probe file, TOML.")
@click.option("--pushgateway", metavar="URL", help="Push to this Prometheus Pushgateway.")
@click.option("--otlp", is_flag=True, help="Push to the receiver of OTLP that the file names.")
@click.option("--job", default="natobs_probe", show_default=True, help="Pushgateway: the job.")
@click.option("--grouping", multiple=True, metavar="NAME=VALUE", help="Pushgateway: a further label of the group.")
@click.option(
    "--limit", type=click.FloatRange(1, 3600), default=60.0, show_default=True, help="Seconds for everything."
)
@click.option("--fail", is_flag=True, help="Exit with 1, too, when a target failed or was not reached in time.")
def push(  # noqa: PLR0913 - one argument an option, as click passes them
    *,
    config_file: Path,
    pushgateway: str | None,
    otlp: bool,
    job: str,
    grouping: tuple[str, ...],
    limit: float,
    fail: bool,
) -> None:
    """Probe every target of a file once, and push what came of it."""
    logging.basicConfig(format="natobs: %(levelname)s: %(message)s", level="WARNING")
    if (pushgateway is None) == (not otlp):
        raise click.UsageError("where to? Either --pushgateway URL, or --otlp")
    destination: oneshot.Destination = oneshot.Otlp()
    if pushgateway is not None:
        destination = oneshot.Pushgateway(pushgateway, job, oneshot.read_grouping(grouping))
    file = load(config_file)
    done = oneshot.run(file, destination, limit)
    unfinished = f", {done.unfinished} not finished within the limit" if done.unfinished else ""
    click.echo(f"pushed {len(done.samples)} samples of {done.targets} targets: {done.failed} failed{unfinished}")
    sys.exit(EXIT_BAD if fail and not done.good else 0)
