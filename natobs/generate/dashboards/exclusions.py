"""The rules of grafana/dashboard-linter that some panels break on purpose, each with its reason.

Written as the file ``.lint`` that the linter itself reads. A rule is left to a
panel only where the panel's own queries show the reason.

Source: https://github.com/grafana/dashboard-linter/blob/main/docs/index.md, "Exclusions and Warnings".
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from natobs.catalogue.promql import Origin, Recorded
from natobs.generate.dashboards.frame import TITLES, Board
from natobs.generate.dashboards.layout import Tile
from natobs.generate.dashboards.panels import Maker

_FIXED = re.compile(r"\b(?:rate|irate|increase)\([^\[\]]*\[\d")
_AS_IT_IS = re.compile(r"(?<!rate\()(?<!increase\()\b\w+_total\b")
_BY_RULES = (
    "Its series are made by recording rules or by Prometheus itself, which sum instances up or are no instance: they "
    "have the labels nat_cluster, nat and subnet, and it selects by these."
)
_WINDOW = (
    "It draws the value of an alert, or of an hour, over the window that the rule computes it over; over another the "
    "threshold would mean nothing."
)
_THERE = "It asks whether a counter is there at all, of a prober that has vanished, and not what it counts."
_SOURCES = "The logs of the NATs come from a data source of their own, chosen by a second variable."


def exclusions(boards: tuple[Board, ...], make: Maker) -> dict[str, object]:
    """The file: for each rule the reason, and the panels that it is left to."""
    by_rule: Mapping[str, tuple[str, Callable[[Tile], bool]]] = {
        "target-job-rule": (_BY_RULES, _by_rules),
        "target-instance-rule": (_BY_RULES, _by_rules),
        "target-rate-interval-rule": (_WINDOW, lambda tile: _has(_FIXED, tile, make)),
        "target-counter-agg-rule": (_THERE, lambda tile: _has(_AS_IT_IS, tile, make)),
    }
    made: dict[str, dict[str, Any]] = {
        rule: {
            "reason": reason,
            "entries": [
                {"dashboard": TITLES[board.uid], "panel": tile.panel.title}
                for board in boards
                for row in board.rows
                for tile in row.tiles
                if applies(tile)
            ],
        }
        for rule, (reason, applies) in by_rule.items()
    }
    if several := [board for board in boards if board.variables]:
        made["template-datasource-rule"] = {
            "reason": _SOURCES,
            "entries": [{"dashboard": TITLES[board.uid]} for board in several],
        }
    return {"exclusions": {rule: one for rule, one in made.items() if one["entries"]}}  # none would mean all


def _by_rules(tile: Tile) -> bool:
    return any(
        isinstance(source, Recorded) and source.origin is not Origin.TARGET
        for query in tile.queries
        for source in query.sources
    )


def _has(pattern: re.Pattern[str], tile: Tile, make: Maker) -> bool:
    return any(pattern.search(query.text(make.rendering)) for query in tile.queries)
