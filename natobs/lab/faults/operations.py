"""What is done to a NAT on purpose, and said so: a restart that was announced, and scaling that flaps."""

import time

from natobs.errors import LabError
from natobs.lab.faults import agents
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.faults.restart import Restart

_AHEAD_SECONDS = 3.0
"""Beyond two scrapes: what is declared must have been seen, and passed on by Prometheus' rules."""


class _Declared(Fault):
    """Something that natobs is told about by a command on the NAT."""

    def check(self) -> None:
        """Refuse a NAT whose agent keeps its journal who knows where."""
        self._config()

    def _config(self) -> tuple[str, str]:
        """The option that names the configuration of the agent, and so the file that keeps what is declared."""
        agent = agents.running(self.lab)
        if agent is None or "--config" not in agent.argv[:-1]:
            raise LabError(f"{self.name} is told to the agent on the NAT, which must run there with --config FILE")
        return "--config", agent.argv[agent.argv.index("--config") + 1]


class MaintenanceRestart(_Declared):
    """F5, and everybody knew."""

    name = "maintenance-restart"
    mode = "F5"
    title = "Restart in declared maintenance"
    sentence = "Maintenance of the NAT is declared; some seconds later it restarts and loses its state."
    programs, history = Restart.programs, Restart.history

    def act(self) -> None:
        config = self._config()
        maintain = self.nat.python("natobs", "maintenance")
        start, stop = ("start", "--for", "1h", "--reason", "a restart", *config), ("stop", *config)
        self.change("nat", (*maintain, *start), (*maintain, *stop))
        time.sleep(_AHEAD_SECONDS + 2 * self.scrape_seconds)
        self.part(Restart(self.lab))

    def evidence(self) -> Evidence:
        return Restart(self.lab).evidence()


_FLAP = """
while :; do
    "$@" scale_out --reason load && sleep 1
    "$@" scale_in --reason idle && sleep 1
done
"""


class ScalingFlaps(_Declared):
    """An autoscaler that cannot make up its mind. What it did stays on record when it is healed."""

    name = "scaling-flaps"
    title = "The fleet scales to and fro"
    sentence = "An autoscaler records a scale-out, then a scale-in, and so on, every few seconds."

    def act(self) -> None:
        record = self.nat.python("natobs", "event", "record", *self._config())
        self.start("nat", ("sh", "-c", _FLAP, "scaling", *record))

    def evidence(self) -> Evidence:
        said = self.nat.run(self.nat.python("natobs", "event", "list", "--json", *self._config())).stdout
        return {"events": said.count('"kind"')}
