"""What a stack is told of the catalogue: its rules and Alertmanager's configuration, for the stack's time scale.

Knows what of the generated files a stack loads, and that every receiver is the
pager; refuses to know what is in them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from natobs.config.fleet import load_fleet
from natobs.generate.alertmanager.files import configuration
from natobs.generate.rules.files import files
from natobs.generate.settings import plan
from natobs.lab.stack.plan import PAGER_URL, Timing
from natobs.lab.stack.stack import Inputs


def inputs(timing: Timing, ports: Mapping[str, Sequence[int]] | None = None, fleet: Path | None = None) -> Inputs:
    """Give rules and routes as `natobs generate` writes them.

    Args:
        timing: whose scale windows and waits are divided by.
        ports: as of :class:`~natobs.lab.stack.stack.Inputs`.
        fleet: a file of settings; none for the defaults.

    Raises:
        ConfigError: the file is wrong.
    """
    settings = plan(load_fleet(fleet), timing.scale)
    paths = {Path(path): text for path, text in files(settings).items()}
    rules = {path.name: text for path, text in paths.items() if path.parent.name == "alerts"}
    return Inputs(rules=rules, alertmanager=configuration(settings, PAGER_URL + "{receiver}"), ports=ports or {})
