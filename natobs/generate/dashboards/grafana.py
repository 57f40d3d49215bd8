"""Panels that grafanalib 0.7 lacks, or writes as Grafana 6 read them: gauge, bar gauge, state timeline.

Knows the JSON of these panels as Grafana 10 and later read it. What grafanalib
gets wrong in all panels alike is mended in :mod:`.finish`.

Sources: the schemas of the panels in Grafana's ``packages/grafana-schema``.
"""

from typing import Any

import attr
from grafanalib import core

Json = dict[str, Any]
"""A JSON object; grafanalib's own objects may stand in it."""
LAST = "lastNotNull"
"""How a tile makes one number of a series: a scrape that failed just now does not blank it."""


def _no_legend() -> Json:
    return {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []}


def _reduced() -> Json:
    return {"calcs": [LAST], "fields": "", "values": False}


@attr.s
class Measured(core.Panel):
    """A panel of numbers: unit, colours by thresholds, and the bounds of its scale.

    Args:
        unit: as Grafana names it.
        lowest: of the scale.
        highest: of the scale; None lets Grafana decide.
        overrides: of single fields.
    """

    unit: str = attr.ib(default="short")
    lowest: float | None = attr.ib(default=None)
    highest: float | None = attr.ib(default=None)
    overrides: list[Json] = attr.ib(factory=list)

    def written(self, kind: str, options: Json, **defaults: object) -> Json:
        """The panel as a JSON object."""
        fields = {
            "unit": self.unit,
            "min": self.lowest,
            "max": self.highest,
            "color": {"mode": "thresholds"},
            **defaults,
        }
        made: Json = self.panel_json(  # type: ignore[no-untyped-call]  # grafanalib's own
            {
                "type": kind,
                "fieldConfig": {"defaults": fields, "overrides": self.overrides},
                "options": options,
            }
        )
        return made


@attr.s
class Gauge(Measured):
    """A dial."""

    def to_json_data(self) -> Json:
        """The panel as a JSON object."""
        return self.written(
            "gauge",
            {
                "orientation": "auto",
                "reduceOptions": _reduced(),
                "showThresholdLabels": False,
                "showThresholdMarkers": True,
                "minVizWidth": 75,
                "minVizHeight": 75,
                "sizing": "auto",
            },
        )


@attr.s
class BarGauge(Measured):
    """Horizontal bars, one a series."""

    def to_json_data(self) -> Json:
        """The panel as a JSON object."""
        return self.written(
            "bargauge",
            {
                "displayMode": "gradient",
                "valueMode": "color",
                "orientation": "horizontal",
                "namePlacement": "auto",
                "showUnfilled": True,
                "legend": _no_legend(),
                "reduceOptions": _reduced(),
                "minVizWidth": 8,
                "minVizHeight": 16,
                "maxVizHeight": 300,
                "sizing": "auto",
            },
        )


@attr.s
class StateTimeline(Measured):
    """A band a series, coloured by its thresholds.

    Args:
        values: whether the values stand in the bands.
        mappings: values to texts and colours.
    """

    values: bool = attr.ib(default=False)
    mappings: list[Json] = attr.ib(factory=list)

    def to_json_data(self) -> Json:
        """The panel as a JSON object."""
        return self.written(
            "state-timeline",
            {
                "showValue": "auto" if self.values else "never",
                "mergeValues": True,
                "alignValue": "left",
                "rowHeight": 0.9,
                "legend": _no_legend(),
                "tooltip": {"mode": "single", "sort": "none"},
            },
            mappings=self.mappings,
            custom={"lineWidth": 0, "fillOpacity": 70},
        )


@attr.s
class Table(Measured):
    """A table of what its queries return now, joined on the labels that they share.

    Args:
        sort_by: displayed name of the column to sort by, the largest first; empty for none.
    """

    sort_by: str = attr.ib(default="")

    def to_json_data(self) -> Json:
        """The panel as a JSON object."""
        return self.written(
            "table",
            {
                "showHeader": True,
                "cellHeight": "sm",
                "sortBy": [{"displayName": self.sort_by, "desc": True}] if self.sort_by else [],
            },
            custom={"align": "auto", "cellOptions": {"type": "auto"}, "inspect": False, "filterable": True},
        )
