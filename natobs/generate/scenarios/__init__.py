"""How every alert comes about: one module a subject, as the alerts have them."""

from natobs.generate.scenarios import beyond, changes, host, links, path, table, watching
from natobs.generate.scenarios.model import Scenario

SUBJECTS = (table, host, links, path, beyond, changes, watching)
ALL: dict[str, Scenario] = {scenario.alert: scenario for subject in SUBJECTS for scenario in subject.SCENARIOS}
"""By name of the alert."""
