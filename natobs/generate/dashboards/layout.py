"""Where panels stand: tiles flow from left to right into lines of 24 columns, in which all are equally high.

Knows widths and heights. Knows no panel.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import attr
from grafanalib import core

from natobs.catalogue.promql import Query
from natobs.errors import CatalogueError

COLUMNS = 24
"""Of Grafana's grid."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A panel that has no place yet.

    Args:
        panel: of grafanalib.
        width: in columns.
        height: in units of 30 pixels.
        shows: the indicators (``M3``) and alerts (``NatCpuUsage``) that a reader finds in it.
        queries: what it asks of Prometheus.
    """

    panel: core.Panel
    width: int
    height: int
    shows: frozenset[str] = frozenset()
    queries: tuple[Query, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """Tiles under a heading.

    Args:
        title: the heading.
        tiles: in reading order.
        collapsed: whether a reader has to open it; its queries are not made before.
    """

    title: str
    tiles: tuple[Tile, ...]
    collapsed: bool = False


def placed(rows: Iterable[Row]) -> list[core.Panel]:
    """All panels with place and number, row by row.

    Raises:
        CatalogueError: a tile is wider than the grid.
    """
    panels: list[core.Panel] = []
    top, number = 0, 1
    for row in rows:
        if not row.tiles:
            continue
        inside = list(_flow(row.tiles, top + 1, number + 1))
        heading = core.RowPanel(
            title=row.title,
            id=number,
            gridPos=core.GridPos(h=1, w=COLUMNS, x=0, y=top),
            collapsed=row.collapsed,
            panels=inside if row.collapsed else [],
        )
        panels += [heading] if row.collapsed else [heading, *inside]
        number += 1 + len(inside)
        top = top + 1 if row.collapsed else max(panel.gridPos.y + panel.gridPos.h for panel in inside)
    return panels


def _flow(tiles: Iterable[Tile], top: int, number: int) -> Iterator[core.Panel]:
    left = height = 0
    for tile in tiles:
        if tile.width > COLUMNS:
            raise CatalogueError(f"panel {tile.panel.title!r}: wider than {COLUMNS} columns")
        if left + tile.width > COLUMNS or (left and tile.height != height):
            top, left = top + height, 0
        place = core.GridPos(h=tile.height, w=tile.width, x=left, y=top)
        yield attr.evolve(tile.panel, gridPos=place, id=number)
        number, left, height = number + 1, left + tile.width, tile.height
