"""Panels of log lines, where the fleet keeps its logs in Loki or Elasticsearch.

Knows how both are asked. Which lines a NAT writes about denies and about its
translation table is known from the kernel's and nftables' own words.
"""

from grafanalib import core

from natobs.config.fleet import Fleet
from natobs.generate.dashboards.layout import Row, Tile

_DEFAULT = {
    "loki": '{nat_cluster=~"$nat_cluster", nat=~"$nat"}',
    # A variable's "All" is the regular expression .+, which Lucene takes between slashes.
    "elasticsearch": "nat_cluster:/${nat_cluster:regex}/ AND nat:/${nat:regex}/",
}
_SUBJECTS = (
    (
        "Log: denied packets",
        "What rules with a log statement wrote about packets that they dropped.",
        ("DROP", "REJECT", "DENY", "denied"),
    ),
    (
        "Log: connection tracking",
        "What the kernel wrote about a full table, dropped packets and evicted flows.",
        ("nf_conntrack", "table full", "dropping packet", "early drop"),
    ),
)


def variables(fleet: Fleet) -> tuple[core.Template, ...]:
    """The data source of the logs, to be chosen at the top."""
    if fleet.logs.store == "none":
        return ()
    label = f"{fleet.logs.store.title()} data source"
    return (core.Template(_name(fleet), fleet.logs.store, type="datasource", label=label, refresh=1),)


def row(fleet: Fleet) -> tuple[Row, ...]:
    """Tails of the logs; nothing where there is no store."""
    if fleet.logs.store == "none":
        return ()
    return (Row("Logs", tuple(_tile(fleet, *subject) for subject in _SUBJECTS)),)


def _name(fleet: Fleet) -> str:
    return f"{fleet.logs.store}_datasource"


def _tile(fleet: Fleet, title: str, text: str, words: tuple[str, ...]) -> Tile:
    source = {"type": fleet.logs.store, "uid": f"${{{_name(fleet)}}}"}
    panel = core.Logs(
        title=title,
        description=text,
        dataSource=source,
        targets=[_loki(fleet, source, words) if fleet.logs.store == "loki" else _elasticsearch(fleet, source, words)],
        showTime=True,
        wrapLogMessages=True,
        enableLogDetails=True,
    )
    return Tile(panel, 12, 10)


def _loki(fleet: Fleet, source: dict[str, str], words: tuple[str, ...]) -> dict[str, object]:
    select = fleet.logs.select or _DEFAULT["loki"]
    return {"datasource": source, "expr": f'{select} |~ "{"|".join(words)}"', "queryType": "range", "maxLines": 200}


def _elasticsearch(fleet: Fleet, source: dict[str, str], words: tuple[str, ...]) -> dict[str, object]:
    select = fleet.logs.select or _DEFAULT["elasticsearch"]
    chosen = " OR ".join(f'"{word}"' for word in words)
    return {
        "datasource": source,
        "query": f"({select}) AND message:({chosen})",
        "metrics": [{"id": "1", "type": "logs", "settings": {"limit": "200"}}],
        "bucketAggs": [],
        "timeField": "@timestamp",
    }
