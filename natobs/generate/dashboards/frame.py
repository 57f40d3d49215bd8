"""What all dashboards have around their panels: variables, time ranges, links to one another, annotations.

Knows the labels that NATs are chosen by. Knows no panel.
"""

from dataclasses import dataclass
from typing import NamedTuple

from grafanalib import core

from natobs.catalogue import naming
from natobs.catalogue.metrics import agent, host, operations, routing
from natobs.catalogue.naming import MINUTE
from natobs.catalogue.promql import Query, Scope, increase, series, total
from natobs.catalogue.values import MAINTENANCE
from natobs.generate.dashboards import grafana
from natobs.generate.dashboards.finish import finish
from natobs.generate.dashboards.layout import Row, placed
from natobs.generate.dashboards.panels import PROMETHEUS, Maker

TITLES = {
    naming.EXECUTIVE: "NAT: executive",
    naming.FLEET: "NAT: fleet",
    naming.ON_CALL: "NAT: on-call",
    naming.DEBUG: "NAT: debug",
}
"""Of the dashboards, the widest view first."""
TAG = "natobs"
ON_TIME_CHANGE = 2
"""When variables are looked up anew."""
_CURSOR = 1
"""``graphTooltip``: one cross hair for all panels."""


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard.

    Args:
        uid: of Grafana, the same everywhere.
        text: whom it is for and what it answers.
        span: how far back it looks at first, such as ``1h``.
        rows: panels.
        refresh: how often it looks again.
        variables: beside those that all have.
    """

    uid: str
    text: str
    span: str
    rows: tuple[Row, ...]
    refresh: str = "30s"
    variables: tuple[core.Template, ...] = ()


def write(board: Board, make: Maker) -> grafana.Json:
    """A dashboard as JSON."""
    return finish(
        core.Dashboard(
            uid=board.uid,
            title=TITLES[board.uid],
            description=board.text,
            editable=False,
            graphTooltip=_CURSOR,
            tags=[TAG],
            links=[_link(uid) for uid in TITLES if uid != board.uid],
            time=core.Time(f"now-{board.span}", "now"),
            timezone="browser",
            refresh=board.refresh,
            templating=core.Templating([*_variables(make), *board.variables]),
            annotations=core.Annotations([_annotation(event, make) for event in _EVENTS]),
            panels=placed(board.rows),
        )
    )


def _link(uid: str) -> core.DashboardLink:
    return core.DashboardLink(
        title=TITLES[uid],
        type="link",
        uri=f"/d/{uid}",
        icon="dashboard",
        includeVars=True,
        keepTime=True,
        tooltip="At the same time, for the same NATs",
    )


_LABELS = {"nat_cluster": "Cluster", "nat": "NAT"}
"""Of variables whose name does not say it well."""


def _variables(make: Maker) -> list[core.Template]:
    """Data source, job, places from the widest to the narrowest, and instance; each asks within what is chosen before.

    What agents and probers say of themselves has all of these labels.
    """
    of, places = agent.BUILD.name, make.places
    within = [", ".join(f'{wider}=~"${wider}"' for wider in places[:count]) for count in range(len(places))]
    agents = ", ".join(('job=~"$job"', within[places.index("subnet")]))
    return [
        core.Template("datasource", "prometheus", type="datasource", label="Data source", refresh=1),
        _variable("job", f"label_values({of}, job)"),
        *(
            _variable(place, f"label_values({of}{{{wider}}}, {place})" if wider else f"label_values({of}, {place})")
            for place, wider in zip(places, within, strict=True)
        ),
        _variable("instance", f"label_values({of}{{{agents}}}, instance)"),
    ]


def _variable(name: str, query: str) -> core.Template:
    return core.Template(
        name,
        query,
        label=_LABELS.get(name, name.replace("_", " ").title()),
        dataSource=PROMETHEUS,
        multi=True,
        includeAll=True,
        allValue=".+",
        refresh=ON_TIME_CHANGE,
    )


class Event(NamedTuple):
    """What is marked in all curves.

    Args:
        name: a few words.
        color: of the mark.
        text: beside it, with ``{{label}}``.
        query: returns a series where it happens.
        moment: whether the value is the time of the event, in milliseconds.
    """

    name: str
    color: str
    text: str
    query: Query
    moment: bool = False


_MILLISECONDS = 1000
_EVENTS = (
    Event("Maintenance", "blue", "Maintenance of {{nat}}", MAINTENANCE.series > 0),
    Event(
        "Scaling events",
        "purple",
        "{{kind}} on {{nat}}",
        series(operations.SCALING_EVENT_TIME) * _MILLISECONDS,
        moment=True,
    ),
    Event("Restarts", "red", "{{nat}} was started", series(host.BOOT_TIME) * _MILLISECONDS, moment=True),
    Event(
        "Route changes",
        "orange",
        "{{kind}} on {{nat}}",
        total(Scope.NAT, increase(series(routing.ROUTE_CHANGES, kind="~default_.+"), MINUTE), "kind") > 0,
    ),
)


def _annotation(event: Event, make: Maker) -> grafana.Json:
    return {
        "name": event.name,
        "datasource": PROMETHEUS,
        "enable": True,
        "hide": False,
        "iconColor": event.color,
        "expr": event.query.text(make.rendering),
        "titleFormat": event.text,
        "tagKeys": "nat_cluster,nat",
        "step": "60s",
        "useValueForTime": event.moment,
    }
