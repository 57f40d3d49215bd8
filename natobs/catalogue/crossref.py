"""What belongs to an indicator: its objectives, its alerts, and every metric that any of them reads.

Knows only how rows of the catalogue refer to one another. :mod:`natobs.catalogue.slis`
itself stays free of this, because the agent loads it.
"""

from natobs.catalogue import alerts, objectives, values
from natobs.catalogue.alerting import Alert
from natobs.catalogue.objectives import Objective
from natobs.catalogue.promql import Query
from natobs.catalogue.slis import Sli
from natobs.catalogue.types import Metric

_VALUES = {value.recorded: value.query for value in values.ALL if value is not values.MAINTENANCE}
"""Behind recorded values; the mask of maintenance measures nothing."""


def objectives_of(sli: Sli) -> tuple[Objective, ...]:
    """The objectives for an indicator."""
    return tuple(one for one in objectives.ALL if one.sli == sli.id)


def alerts_of(sli: Sli) -> tuple[Alert, ...]:
    """The operational alerts about an indicator."""
    return tuple(alert for alert in alerts.ALL if alert.sli == sli.id)


def metrics_of(sli: Sli) -> tuple[Metric, ...]:
    """The metrics of an indicator: its inputs, then what its objectives and alerts read beside them, by name."""
    queries = [query for one in objectives_of(sli) for query in (one.bad, one.total)]
    for alert in alerts_of(sli):
        queries += [query for query in (alert.value, alert.where) if query is not None]
    read = frozenset[Metric]().union(*map(metrics_read, queries))
    return (*sli.inputs, *sorted(read - {*sli.inputs}, key=lambda metric: metric.name))


def metrics_read(query: Query) -> frozenset[Metric]:
    """The metrics that an expression reads, those behind recorded values too."""
    recorded = [_VALUES[source] for source in query.sources if not isinstance(source, Metric) and source in _VALUES]
    return query.metrics.union(*map(metrics_read, recorded))
