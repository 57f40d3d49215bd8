"""``natobs census --json``: a census as a document whose form is kept; ``docs/census.md`` describes it. No command."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from natobs.kernel import flow_figures
from natobs.kernel.flow_results import Ranking
from natobs.kernel.flow_worker import Answer
from natobs.kernel.nat_rules import PortRange

FORMAT = 1
"""Rises when something is renamed, removed or means something else; what is added does not raise it."""

Json = dict[str, Any]


def document(answer: Answer, configured: Mapping[str, int], top: int, *, indent: bool) -> str:
    """The text of the document.

    Args:
        answer: a census.
        configured: port range sizes by SNAT address.
        top: rows of each ranking.
        indent: for a person; otherwise it is one line.
    """
    figures = answer.census.figures
    found: Json = {
        "format": FORMAT,
        "time": answer.time,
        "taking": _plain(answer.census.taking),
        "totals": _plain(figures.totals),
        "states": [_plain(row) for row in figures.states],
        "hosts": _ranking(figures.hosts, top, {"address": "other"}),
        "destinations": _ranking(figures.destinations, top, {"address": "other", "proto": "", "port": 0}),
        "tuples": [
            {**_plain(share.use), "range": _range(share.range), "saturation": share.saturation}
            for share in flow_figures.tuples(answer, configured, top)
        ],
        "pools": [
            {
                **_plain(share.pool),
                "range": _range(share.range),
                "fullest": None if share.fullest is None else _plain(share.fullest),
                "saturation": share.saturation,
            }
            for share in flow_figures.pools(answer, configured, len(figures.pools))
        ],
        "tenants": [_plain(row) for row in figures.tenants],
    }
    text = msgspec.json.encode(found)
    return (msgspec.json.format(text) if indent else text).decode()


def _ranking(ranking: Ranking[Any], top: int, other: Json) -> Json:
    rows = [_plain(row) for row in ranking.rows]
    rest: Json = {**other, "flows": ranking.other.flows, "unanswered": ranking.other.unanswered}
    for row in rows[top:]:
        rest["flows"] += row["flows"]
        rest["unanswered"] += row["unanswered"]
    return {"rows": rows[:top], "other": rest, "distinct": ranking.distinct, "missed": ranking.missed}


def _range(found: PortRange | None) -> Json | None:
    return None if found is None else _plain(found)


def _plain(record: object) -> Json:
    plain: Json | Sequence[Any] = msgspec.to_builtins(record)
    assert isinstance(plain, dict)
    return plain
