"""``natobs census`` as tables for a person. No command."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from natobs.cli.consoles import console
from natobs.exposition.humanize import amount, span
from natobs.kernel import flow_figures
from natobs.kernel.flow_results import Census, DestinationFlows, HostFlows, Ranking, TenantFlows
from natobs.kernel.flow_worker import Answer

_WARN, _BAD = 0.6, 0.8
"""Shares of ports from which on a destination is worth a look, and from which on new flows fail (docs/census.md)."""
_WHY = {
    "interrupted": "the kernel says that the table changed its shape",
    "overrun": "the kernel says that entries were lost",
    "timeout": "time was up; these figures are of a part of the table",
    "changed": "the number of entries changed by more than a tenth meanwhile",
    "malformed": "some entries were not understood and left out",
}


def show(
    answer: Answer,
    configured: Mapping[str, int],
    top: int,
    by: Literal["host", "destination", "tuple", "tenant"] | None,
) -> None:
    """Print a census.

    Args:
        answer: what was found.
        configured: port range sizes by SNAT address.
        top: rows of each table.
        by: which table; None for all.
    """
    out, census = console(), answer.census
    for line in _summary(census):
        out.print(line)
    tables: dict[str, Callable[[], Table]] = {
        "host": lambda: _hosts(census.figures.hosts, top),
        "destination": lambda: _destinations(census.figures.destinations, top),
        "tuple": lambda: _tuples(answer, configured, top),
        "tenant": lambda: _tenants(census.figures.tenants),
    }
    for name, make in tables.items():
        if by == name or (by is None and (name != "tenant" or census.figures.tenants)):
            out.print()
            out.print(make())
    if not census.taking.complete:
        Console(stderr=True, highlight=False, soft_wrap=True).print(
            Text(f"natobs: the census is incomplete ({census.taking.reason}): {_WHY[census.taking.reason]}", "yellow")
        )


def _summary(census: Census) -> Iterator[Text]:
    totals, taking = census.figures.totals, census.taking
    share = f" ({_share(totals.unanswered, totals.flows)})" if totals.flows else ""
    yield Text(f"{totals.flows:,} flows", "bold") + Text(
        f": {totals.translated:,} translated, {totals.unanswered:,} unanswered{share}, {totals.ipv6:,} IPv6"
    )
    states = [f"{row.proto} {row.state} {row.flows:,}" for row in census.figures.states[:6]]
    if states:
        yield Text(", ".join(states), "dim")
    yield Text(f"seen in {span(taking.seconds)}, {span(taking.cpu_seconds)} of CPU", "dim")


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        numeric = column in {"flows", "unanswered", "share", "port", "in use", "reclaimable", "of"}
        table.add_column(column, justify="right" if numeric else "left", no_wrap=True)
    return table


def _hosts(ranking: Ranking[HostFlows], top: int) -> Table:
    table = _table(f"Private hosts ({ranking.distinct:,})", "host", "flows", "share", "unanswered")
    total = sum(row.flows for row in ranking.rows) + ranking.other.flows
    for row in ranking.rows[:top]:
        table.add_row(row.address, f"{row.flows:,}", _share(row.flows, total), _unanswered(row.unanswered, row.flows))
    rest = ranking.rows[top:]
    flows = ranking.other.flows + sum(row.flows for row in rest)
    if flows:
        unanswered = ranking.other.unanswered + sum(row.unanswered for row in rest)
        table.add_row("other", f"{flows:,}", _share(flows, total), _unanswered(unanswered, flows), style="dim")
    return table


def _destinations(ranking: Ranking[DestinationFlows], top: int) -> Table:
    title = f"Destinations ({ranking.distinct:,})"
    table = _table(title, "destination", "proto", "port", "flows", "share", "unanswered")
    total = sum(row.flows for row in ranking.rows) + ranking.other.flows
    for row in ranking.rows[:top]:
        table.add_row(
            row.address,
            row.proto,
            str(row.port or ""),
            f"{row.flows:,}",
            _share(row.flows, total),
            _unanswered(row.unanswered, row.flows),
        )
    rest = ranking.rows[top:]
    flows = ranking.other.flows + sum(row.flows for row in rest)
    if flows:
        unanswered = ranking.other.unanswered + sum(row.unanswered for row in rest)
        table.add_row("other", "", "", f"{flows:,}", _share(flows, total), _unanswered(unanswered, flows), style="dim")
    return table


def _tuples(answer: Answer, configured: Mapping[str, int], top: int) -> Table:
    table = _table(
        "SNAT ports by destination, the fullest first",
        *("SNAT address", "proto", "destination", "port", "in use", "of", "share", "reclaimable", "range from"),
    )
    for row in flow_figures.tuples(answer, configured, top):
        if row.range is None or row.saturation is None:
            continue
        colour = "bold red" if row.saturation >= _BAD else "yellow" if row.saturation >= _WARN else ""
        use = row.use
        table.add_row(
            use.snat_address,
            use.proto,
            use.address,
            str(use.port or ""),
            f"{use.held:,}",
            f"{row.range.size:,}",
            Text(amount(row.saturation, "ratio"), colour),
            f"{use.reclaimable:,}",
            row.range.source,
        )
    return table


def _tenants(tenants: tuple[TenantFlows, ...]) -> Table:
    table = _table("Tenants", "tenant", "flows", "share", "unanswered")
    total = sum(row.flows for row in tenants)
    for row in sorted(tenants, key=lambda tenant: -tenant.flows):
        # Names come from the configuration: text, never markup.
        name = Text("".join(letter if letter.isprintable() else " " for letter in row.name))
        table.add_row(name, f"{row.flows:,}", _share(row.flows, total), _unanswered(row.unanswered, row.flows))
    return table


def _share(part: int, whole: int) -> str:
    return amount(part / whole, "ratio") if whole else ""


def _unanswered(unanswered: int, flows: int) -> str:
    return f"{unanswered:,} ({_share(unanswered, flows)})" if unanswered else "0"
