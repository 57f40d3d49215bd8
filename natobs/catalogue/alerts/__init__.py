"""Every operational alert, one module a subject; alerts on burn rates follow from the objectives."""

from natobs.catalogue.alerting import Alert
from natobs.catalogue.alerts import changes, host, links, path, table, watching

SUBJECTS: dict[str, tuple[Alert, ...]] = {
    "table": table.ALERTS,
    "host": host.ALERTS,
    "links": links.ALERTS,
    "path": path.ALERTS,
    "changes": changes.ALERTS,
    "watching": watching.ALERTS,
}
"""By subject."""

ALL: tuple[Alert, ...] = tuple(alert for alerts in SUBJECTS.values() for alert in alerts)
