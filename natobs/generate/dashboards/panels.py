"""Makes tiles: a panel of each kind from a few words and queries.

Knows how natobs' panels look, and what every selector in them matches. Knows no
metric.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from grafanalib import core

from natobs.catalogue import naming
from natobs.catalogue.promql import Origin, Query, Rendering, Scope
from natobs.generate.dashboards import grafana
from natobs.generate.dashboards.layout import Tile

PROMETHEUS = {"type": "prometheus", "uid": "${datasource}"}
"""The data source of every query of metrics: what is chosen at the top of the dashboard."""
GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"

_WIDE = 12
"""Columns from which on the legend has room for a table."""
Level = tuple[float, str]
"""From this value on, this colour."""


@dataclass(frozen=True, slots=True)
class Line:
    """A query, and what its series are called.

    Args:
        query: the expression.
        name: of each series, with ``{{label}}`` for its labels.
    """

    query: Query
    name: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """What all panels have.

    Args:
        title: a few words.
        text: what it shows, and what to make of it.
        unit: as Grafana names it.
        shows: indicators and alerts.
        size: width and height.
        levels: colours by value, ascending; below the first it is ``base``.
        base: colour of the smallest values.
        links: further pages, title to address.
    """

    title: str
    text: str
    unit: str = "short"
    shows: tuple[str, ...] = ()
    size: tuple[int, int] = (8, 8)
    levels: tuple[Level, ...] = ()
    base: str = GREEN
    links: tuple[tuple[str, str], ...] = ()


class Maker:
    """Makes tiles of a fleet's dashboards.

    Args:
        rendering: scale and labels of the fleet; matchers are added to it.
    """

    def __init__(self, rendering: Rendering) -> None:
        self.places = rendering.labels(Scope.SUBNET)
        """Labels that are variables of all dashboards, the widest first."""
        self.rendering = Rendering(rendering.scale, rendering.group_labels, _matchers(self.places))

    def graph(self, about: About, *lines: Line, stacked: bool = False, bars: bool = False, step: int = 0) -> Tile:
        """Curves over time, with the levels drawn into them.

        Args:
            about: what all panels have.
            lines: at least one.
            stacked: on top of one another.
            bars: instead of lines.
            step: seconds from one value to the next at least; 0 leaves it to Grafana.
        """
        return self._tile(
            about,
            lines,
            core.TimeSeries(
                **self._common(about, lines),
                interval=self.rendering.duration(step) if step else None,
                unit=about.unit,
                drawStyle="bars" if bars else "line",
                fillOpacity=70 if bars else 40 if stacked else 8,
                stacking={"mode": "normal", "group": "A"} if stacked else {"mode": "none", "group": "A"},
                legendDisplayMode="table" if about.size[0] >= _WIDE else "list",
                legendCalcs=[grafana.LAST, "max"],
                tooltipMode="multi",
                tooltipSort="desc",
                thresholdsStyleMode="line" if about.levels else "off",
                axisSoftMin=0,
                showPoints="never",
            ),
        )

    def stat(self, about: About, *lines: Line, empty: str = "no data") -> Tile:
        """The latest value in large figures; ``empty`` is what stands there when there is none."""
        return self._tile(
            about,
            lines,
            core.Stat(
                **self._common(about, lines, instant=True),
                format=about.unit,
                reduceCalc=grafana.LAST,
                color={"mode": "thresholds"},
                graphMode="none",
                noValue=empty,
            ),
        )

    def gauge(self, about: About, *lines: Line, highest: float = 1) -> Tile:
        """The latest value on a dial that ends at ``highest``."""
        kind = grafana.Gauge(**self._common(about, lines, instant=True), unit=about.unit, lowest=0, highest=highest)
        return self._tile(about, lines, kind)

    def bars(self, about: About, *lines: Line, lowest: float | None = 0, highest: float | None = 1) -> Tile:
        """The latest values as bars."""
        kind = grafana.BarGauge(
            **self._common(about, lines, instant=True), unit=about.unit, lowest=lowest, highest=highest
        )
        return self._tile(about, lines, kind)

    def states(self, about: About, *lines: Line, mappings: Sequence[grafana.Json] = ()) -> Tile:
        """A coloured band a series; with mappings their texts stand in it."""
        kind = grafana.StateTimeline(
            **self._common(about, lines), unit=about.unit, values=bool(mappings), mappings=list(mappings)
        )
        return self._tile(about, lines, kind)

    def table(self, about: About, *columns: "Column", sort_by: str = "", keys: Sequence[str] = ()) -> Tile:
        """A row for each combination of labels, with a column for each query.

        Args:
            about: what all panels have.
            columns: queries and how their values are shown.
            sort_by: name of a column, the largest value first.
            keys: labels in the order in which they are shown; others are left out.
        """
        lines = [column.line for column in columns]
        values = [f"Value #{chr(ord('A') + index)}" if len(columns) > 1 else "Value" for index in range(len(columns))]
        names = {value: column.line.name for value, column in zip(values, columns, strict=True)}
        kind = grafana.Table(
            **self._common(about, lines, instant=True, form="table"),
            unit=about.unit,
            sort_by=sort_by,
            overrides=[
                *({"matcher": _by_name(c.line.name), "properties": c.properties()} for c in columns),
                *(
                    {"matcher": _by_name(key), "properties": [_links(self._onwards(key))]}
                    for key in keys
                    if key in self.places
                ),
            ],
            transformations=[
                {"id": "merge", "options": {}},
                {
                    "id": "organize",
                    "options": {
                        "excludeByName": {"Time": True},
                        "renameByName": names,
                        "indexByName": {name: place for place, name in enumerate((*keys, *values))},
                    },
                },
            ],
        )
        return self._tile(about, lines, kind)

    def _common(
        self, about: About, lines: Iterable[Line], *, instant: bool = False, form: str = "time_series"
    ) -> dict[str, Any]:
        return {
            "title": about.title,
            "description": about.text,
            "dataSource": PROMETHEUS,
            "links": [
                core.DashboardLink(title=title, uri=address, type="link", targetBlank=True, icon="doc", keepTime=False)
                for title, address in about.links
            ],
            "thresholds": [
                core.Threshold(about.base, 0, 0.0),
                *(core.Threshold(color, place, float(value)) for place, (value, color) in enumerate(about.levels, 1)),
            ],
            "targets": [
                core.Target(
                    expr=line.query.text(self.rendering),
                    legendFormat=line.name,
                    datasource=PROMETHEUS,
                    instant=instant,
                    format=form,
                )
                for line in lines
            ],
        }

    def _onwards(self, label: str) -> tuple[tuple[str, str], ...]:
        """From a cell that names a place, to the dashboards that say more of it."""
        chosen = self.places[: self.places.index(label) + 1]
        return (("Debug", address(naming.DEBUG, chosen)), ("On call", address(naming.ON_CALL, chosen)))

    @staticmethod
    def _tile(about: About, lines: Iterable[Line], panel: core.Panel) -> Tile:
        return Tile(panel, *about.size, frozenset(about.shows), tuple(line.query for line in lines))


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Args:
        line: the query; the name is the heading.
        unit: of its values.
        levels: colours of its cells by value.
        base: colour of the smallest values.
        gauge: upper end of a bar in the cell; 0 for none.
    """

    line: Line
    unit: str = "short"
    levels: tuple[Level, ...] = ()
    base: str = GREEN
    gauge: float = 0

    def properties(self) -> list[grafana.Json]:
        """How its cells are shown."""
        made: list[grafana.Json] = [{"id": "unit", "value": self.unit}]
        if self.levels:
            steps = [{"color": self.base, "value": None}, *({"color": c, "value": v} for v, c in self.levels)]
            kind = "gauge" if self.gauge else "color-background"
            made += [
                {"id": "thresholds", "value": {"mode": "absolute", "steps": steps}},
                {"id": "custom.cellOptions", "value": {"type": kind, "mode": "basic"}},
            ]
        if self.gauge:
            made += [{"id": "min", "value": 0}, {"id": "max", "value": self.gauge}]
        return made


def _matchers(places: Sequence[str]) -> dict[Origin, str]:
    """What is chosen in a dashboard, as every selector matches it.

    Agents have no label ``subnet``, because a NAT serves several, and alerts of a cluster have no ``nat``: both are
    shown whatever is chosen there, hence the empty choice.
    """
    scraped = ", ".join(f'{place}=~"${place}{"|" if place == "subnet" else ""}"' for place in places)
    recorded = ", ".join(f'{place}=~"${place}{"" if place == "nat_cluster" else "|"}"' for place in places)
    return {Origin.TARGET: f'job=~"$job", instance=~"$instance", {scraped}', Origin.RULE: recorded}


def address(board: str, labels: Sequence[str]) -> str:
    """Of a dashboard for what a row of a table is about, at the same time."""
    chosen = "".join(f"&var-{label}=${{__data.fields.{label}}}" for label in labels)
    return f"/d/{board}?var-datasource=${{datasource}}{chosen}&${{__url_time_range}}"


def _by_name(name: str) -> grafana.Json:
    return {"id": "byName", "options": name}


def _links(links: Iterable[tuple[str, str]]) -> grafana.Json:
    return {
        "id": "links",
        "value": [{"title": title, "url": address, "targetBlank": False} for title, address in links],
    }
