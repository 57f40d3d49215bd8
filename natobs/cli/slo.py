"""``natobs slo``: which objectives there are, and how their error budgets stand."""

import json
import logging
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from natobs.catalogue.naming import SLO_LABELS
from natobs.cli.columns import columns
from natobs.cli.main import EXIT_BAD
from natobs.cli.parameters import with_access
from natobs.slo import http_config as access_file
from natobs.slo.asking import ask
from natobs.slo.prometheus import Prometheus
from natobs.slo.status import Group, Standing, State
from natobs.slo.wording import burn, share, whose

_HEADER = ("SLO", "target", "errors 30d", "budget left", "burn now", "worst", "budgets", "spent", "state")
_NUMBERS = ("target", "errors 30d", "budget left", "burn now", "budgets", "spent")


@click.group(epilog="Example: natobs slo status --prometheus http://127.0.0.1:9090")
def command() -> None:
    """Say which objectives there are, and how their error budgets stand."""


@command.command("list", epilog="Example: natobs slo list --config fleet.toml")
@click.option(
    "--config", type=click.Path(dir_okay=False, path_type=Path), help="What your fleet wants other than the defaults."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def listed(config: Path | None, *, as_json: bool) -> None:
    """List the objectives that `natobs generate rules` makes rules for."""
    from natobs.config.fleet import load_fleet  # noqa: PLC0415  what only this command needs
    from natobs.generate import settings  # noqa: PLC0415  the same

    objectives = settings.plan(load_fleet(config)).objectives
    if as_json:
        rows = [
            {
                "id": one.id,
                "sli": one.sli,
                "target": one.target,
                "labels": list(one.labels),
                "good": one.good,
                "pages": one.pages,
                "needs": one.needs,
                "alert": one.alert,
            }
            for one in objectives
        ]
        click.echo(json.dumps(rows, indent=2))
        return
    table = [(one.id, one.sli, _percent(one.target), ", ".join(one.labels), one.needs, one.good) for one in objectives]
    click.echo(columns(("SLO", "SLI", "target", "a budget for each", "needs", "good"), table, right=("target",)))


@command.command(epilog="Example: natobs slo status --prometheus http://127.0.0.1:9090 --cluster egress-a")
@click.option("--prometheus", metavar="URL", required=True, help="Prometheus, or what has its API.")
@click.option("--cluster", metavar="NAME", default="", help="Only budgets of this NAT cluster.")
@click.option("--slo", "slos", multiple=True, metavar="ID", help="Every budget of this SLO (sloth_id); again for more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table: every budget.")
@with_access
def status(*, prometheus: str, cluster: str, slos: tuple[str, ...], as_json: bool, http_config: Path | None) -> None:
    """Show what is left of each error budget of 30 days, the worst first.

    A line shows the worst NAT, subnet or destination of an objective; with --slo
    there is a line for each.

    The exit status is 0 when no budget that is known is spent, and 1 when one is,
    when none is known, or when Prometheus does not answer.
    """
    server = Prometheus(prometheus, None if http_config is None else access_file.load(http_config))
    shown = ask(server, cluster, slos)
    if as_json:
        click.echo(json.dumps([_as_dict(one) for one in shown], indent=2))
    else:
        click.echo(_text(shown, each=bool(slos)))
    good = any(one.groups for one in shown) and not any(one.state is State.SPENT for one in shown)
    sys.exit(0 if good else EXIT_BAD)


@command.command(epilog="Example: natobs slo serve --prometheus http://127.0.0.1:9090 --listen 127.0.0.1:9654")
@click.option("--prometheus", metavar="URL", required=True, help="Prometheus, or what has its API.")
@click.option("--cluster", metavar="NAME", default="", help="Only budgets of this NAT cluster.")
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:9654", show_default=True, help="Where to serve.")
@click.option(
    "--web.config.file",
    "web_config_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="TLS and users, as for Prometheus exporters.",
)
@with_access
def serve(
    *, prometheus: str, cluster: str, listen: str, web_config_file: Path | None, http_config: Path | None
) -> None:
    """Serve a page that shows how error budgets stand.

    For whoever has no Grafana at hand. SIGHUP reads --web.config.file again; SIGTERM ends it.
    """
    from natobs.cli import serving  # noqa: PLC0415  what only this command needs
    from natobs.exposition.listen import parse_listen  # noqa: PLC0415  the same
    from natobs.exposition.webconfig import load_web_config  # noqa: PLC0415  the same
    from natobs.slo.page import BudgetPage  # noqa: PLC0415  the same
    from natobs.slo.serving import BudgetServer  # noqa: PLC0415  the same

    logging.basicConfig(format="natobs: %(levelname)s: %(message)s", level="INFO")
    server = Prometheus(prometheus, None if http_config is None else access_file.load(http_config))
    page = BudgetPage(lambda: ask(server, cluster), server.title)
    web_config = partial(load_web_config, web_config_file) if web_config_file else None
    service = BudgetServer(page, (parse_listen(listen),), web_config)
    serving.serve(service, lambda: serving.warn_of_exposure(service.addresses), None)


def _text(shown: Sequence[Standing], *, each: bool) -> str:
    if not shown:
        return "no objective is recorded: are the rules loaded, and are agents scraped?"
    rows = [_cells(one, group) for one in shown for group in (one.groups if each else one.groups[:1]) or (None,)]
    spent = sum(one.state is State.SPENT for one in shown)
    silent = sum(not one.groups for one in shown)
    said = f"{len(shown)} objectives, {spent} with a budget that is spent, {silent} without data"
    return f"{columns(_HEADER, rows, right=_NUMBERS)}\n{said}"


def _cells(one: Standing, group: Group | None) -> tuple[str, ...]:
    target = "" if one.target is None else _percent(one.target)
    if group is None:
        return (one.id, target, "no data", "no data", "no data", "", "0", "0", one.state.value)
    return (
        one.id,
        target,
        share(group.errors),
        share(group.left),
        burn(group.burn),
        whose(group),
        str(len(one.groups)),
        str(sum(other.left is not None and other.left <= 0 for other in one.groups)),
        one.state.value,
    )


def _percent(value: float) -> str:
    return f"{value * 100:.10g} %"


def _as_dict(one: Standing) -> dict[str, object]:
    return {
        "id": one.id,
        "title": one.title,
        "target": one.target,
        "state": one.state.value,
        "budgets_without_data": one.unknown,
        "budgets": [
            {
                "labels": {label: text for label, text in group.labels.items() if label not in SLO_LABELS},
                "error_ratio_30d": group.errors,
                "budget_left": group.left,
                "burn_now": group.burn,
            }
            for group in one.groups
        ],
    }
