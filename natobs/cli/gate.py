"""``natobs gate``: asks Prometheus whether a pipeline may change the NAT now."""

import sys
import time
from pathlib import Path

import click
import msgspec

from natobs.cli.columns import columns
from natobs.cli.main import EXIT_BAD
from natobs.cli.parameters import duration, local, with_access
from natobs.errors import MonitoringError
from natobs.slo import http_config as access_file
from natobs.slo.gate import GROUP, SLO_ID, Gate, Question, Row, Verdict, judge
from natobs.slo.prometheus import Prometheus

_HELP = """Ask Prometheus whether any error budget burns too fast for risky changes.

An SLO is burning when its errors are at least --factor times its budget, over
30 minutes and over 6 hours at once. It reads the series that the rules of natobs
record, and those of Sloth.

The exit status is 0 when no SLO is burning; 1 when one is, or when that is
UNKNOWN: no data, no such SLO, no answer; 2 when the command line is wrong.
"""
_LOOK_SECONDS = 15.0
_SHOWN_FREE = 20
"""Rows that are free are shown up to so many: a large fleet has thousands."""
_NAMED = 3
"""SLOs that fit into a line."""
_HEADER = ("SLO", "cluster", "NAT", "subnet", "burn 30m", "burn 6h", "verdict")
_SAID = {
    Verdict.FREE: "FREE: no SLO is burning",
    Verdict.BURNING: "BURNING: hold risky changes back",
    Verdict.UNKNOWN: "UNKNOWN: whether an SLO is burning",
}


@click.command(
    help=_HELP, epilog="Example: natobs gate --prometheus http://127.0.0.1:9090 --cluster egress-a --wait 10m"
)
@click.option("--prometheus", metavar="URL", required=True, help="Prometheus, or what has its API.")
@click.option(
    "--factor",
    type=click.FloatRange(0, min_open=True),
    default=4.0,
    show_default=True,
    help="So many times its budget is too fast.",
)
@click.option("--cluster", metavar="NAME", default="", help="Only this NAT cluster, which must have all SLOs.")
@click.option("--slo", "slos", multiple=True, metavar="ID", help="Only this SLO (sloth_id); may be repeated.")
@click.option("--wait", type=duration, help="Ask again for so long until no SLO is burning.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
@with_access
def command(  # noqa: PLR0913  one argument an option, as click passes them
    *,
    prometheus: str,
    factor: float,
    cluster: str,
    slos: tuple[str, ...],
    wait: float | None,
    as_json: bool,
    http_config: Path | None,
) -> None:
    """Ask Prometheus whether any error budget burns too fast for risky changes."""
    server = Prometheus(prometheus, None if http_config is None else access_file.load(http_config))
    question = Question(factor, cluster, slos)
    deadline = time.monotonic() + (wait or 0.0)
    while True:
        gate = _ask(server, question)
        left = deadline - time.monotonic()
        if gate.verdict is Verdict.FREE or left <= 0:
            break
        click.echo(f"natobs: {_sentence(gate)}; asking again until {local(time.time() + left)}", err=True)
        time.sleep(min(_LOOK_SECONDS, left))
    click.echo(_json(gate, question) if as_json else _text(gate))
    sys.exit(0 if gate.verdict is Verdict.FREE else EXIT_BAD)


def _ask(server: Prometheus, question: Question) -> Gate:
    """The verdict now; without an answer it is unknown."""
    try:
        return judge(server.query(question.expression), question)
    except MonitoringError as error:
        return Gate(Verdict.UNKNOWN, (), str(error))


def _sentence(gate: Gate) -> str:
    """The verdict, and whose it is, in a line."""
    concerned = [row for row in gate.rows if row.verdict is gate.verdict is not Verdict.FREE]
    whose = "; ".join(f"{' '.join(filter(None, _names(row)))}{_why(row)}" for row in concerned[:_NAMED])
    more = f" and {len(concerned) - _NAMED} more" if len(concerned) > _NAMED else ""
    said = gate.why or whose + more
    return _SAID[gate.verdict] + (f" ({said})" if said else "")


def _text(gate: Gate) -> str:
    free = [row for row in gate.rows if row.verdict is Verdict.FREE]
    shown = [row for row in gate.rows if row.verdict is not Verdict.FREE] + free[:_SHOWN_FREE]
    rows = [(*_names(row), _burn(row.burn_30m), _burn(row.burn_6h), f"{row.verdict.name}{_why(row)}") for row in shown]
    table = [columns(_HEADER, rows, right=("burn 30m", "burn 6h"))] if rows else []
    rest = [f"and {len(free) - _SHOWN_FREE} more that are FREE"] if len(free) > _SHOWN_FREE else []
    return "\n".join([*table, *rest, _SAID[gate.verdict] + (f": {gate.why}" if gate.why else "")])


def _names(row: Row) -> tuple[str, ...]:
    return tuple(row.labels.get(label, "") for label in (SLO_ID, *GROUP))


def _why(row: Row) -> str:
    return f": {row.why}" if row.why else ""


def _burn(burn: float | None) -> str:
    return "no data" if burn is None else f"{burn:.2f}x"


def _json(gate: Gate, question: Question) -> str:
    found = {
        "verdict": gate.verdict.value,
        "why": gate.why,
        "factor": question.factor,
        "slos": [
            {
                "labels": dict(row.labels),
                "budget": row.budget,
                "burn_30m": row.burn_30m,
                "burn_6h": row.burn_6h,
                "verdict": row.verdict.value,
                "why": row.why,
            }
            for row in gate.rows
        ],
    }
    return msgspec.json.format(msgspec.json.encode(found)).decode()
