"""What a game day is played with: the rules and routes of natobs at a time scale, and node_exporter with its own rules.

Pure. Knows how long an alert may take by its own rules; refuses to know what is done to the NAT.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from natobs.catalogue.alerting import Alert
from natobs.catalogue.naming import MINUTE
from natobs.config.fleet import AlertSettings, Fleet
from natobs.generate.alertmanager import files as alertmanager
from natobs.generate.rules import files as rules
from natobs.generate.rules.alerting import BURN_HOLD
from natobs.generate.rules.model import document, to_yaml
from natobs.generate.settings import Plan, plan
from natobs.lab import node_mixin
from natobs.lab.faults.expected import Expectation
from natobs.lab.stack.plan import PAGER_URL, StackPlan, Target, Timing, cluster
from natobs.lab.stack.stack import Inputs
from natobs.lab.topology import Topology

PEER_PORT = 9100
"""Where node_exporter listens on the loopback of a NAT."""
PEER = ("prometheus-node-exporter", f"--web.listen-address=127.0.0.1:{PEER_PORT}")

ABOUT_CPU = frozenset(
    {
        "NatAddedLatency",
        "NatCpuSteal",
        "NatCpuUsage",
        "NatProbeScheduleLate",
        "NatSoftirqSaturated",
        "NatSoftnetPressure",
    }
)
"""What fires on a machine that is busy with other things, and silences much."""
_GRACE = 30.0
"""Seconds that an alert may take beyond what its rules take."""
_WINDOW = 5 * MINUTE
"""Of most recorded values."""
_KEEP = 5 * MINUTE
"""Of alerts on budgets."""
_DURATION = re.compile(r"«([0-9]+)»")


@dataclass(frozen=True)
class Setting:
    """How a game day is played.

    Args:
        shape: makes the topology of each NAT.
        topology: what that is called.
        scale: durations of rules and intervals are divided by it.
        rate: flows that each host with users begins in a second.
        any_load: whether a machine that is busy with other things will do.
        off: alerts that are switched off.
    """

    shape: Callable[[str], Topology]
    topology: str = "two-armed"
    scale: float = 15.0
    rate: float = 2.0
    any_load: bool = False
    off: frozenset[str] = frozenset()

    def without(self, alerts: Iterable[str]) -> "Setting":
        """The same with some alerts switched off."""
        return replace(self, off=self.off | frozenset(alerts))

    @property
    def timing(self) -> Timing:
        """How often things happen."""
        return Timing(self.scale)

    @property
    def rules(self) -> Plan:
        """What is generated from the catalogue."""
        return plan(Fleet(alerts={name: AlertSettings(enabled=False) for name in self.off}), self.scale)

    def stack(self, name: str, nats: int) -> StackPlan:
        """A stack of a cluster of this name, with node_exporter beside each agent."""
        made = cluster(name, self.shape, nats=nats, timing=self.timing, rate=self.rate)
        extra = tuple(
            Target(
                job=node_mixin.JOB,
                world=world,
                host="nat",
                port=PEER_PORT,
                labels=(("nat_cluster", name), ("nat", made.nat(world)), ("instance", f"{made.nat(world)}-node")),
            )
            for world in range(nats)
        )
        return replace(made, extra=extra)

    def inputs(self) -> Inputs:
        """The rules of both, and where natobs' alerts go."""
        written = {
            path.rpartition("/")[2]: text for path, text in rules.files(self.rules).items() if "victoria" not in path
        }
        published = document((node_mixin.group(),), self.rules.rendering, keeps_firing=False)
        configuration = alertmanager.configuration(self.rules, PAGER_URL)
        return Inputs(
            rules=written | {"node-mixin.yml": to_yaml(published, "natobs lab gameday")}, alertmanager=configuration
        )

    def alert(self, name: str) -> Alert | None:
        """An operational alert of the catalogue by name; None for those on error budgets."""
        return next((alert for alert in self.rules.alerts if alert.name == name), None)

    def limit(self, expectation: Expectation) -> float:
        """Seconds after which an alert that has not come is missing: what its rules take, a scrape, and some grace."""
        alert = self.alert(expectation.alert)
        wait = alertmanager.WAITS["group_wait"]
        if alert is None:
            return (_WINDOW + BURN_HOLD["1h"] + wait) / self.scale + self.timing.scrape + _GRACE
        hold = max(level.hold for level in alert.levels if level.action.value == expectation.action)
        return (_window(alert) + hold + wait) / self.scale + self.timing.scrape + _GRACE

    def memory(self, expectation: Expectation) -> float:
        """Seconds after which an alert must be over, once its cause is."""
        alert = self.alert(expectation.alert)
        # a page on a budget remembers for half an hour
        own = 30 * MINUTE + _KEEP if alert is None else _window(alert) + alert.keep
        rules = own + 2 * alertmanager.WAITS["group_interval"]
        return rules / self.scale + self.timing.scrape + _GRACE

    @property
    def baseline(self) -> float:
        """Seconds of health before a fault, after which the windows of rules are full."""
        return self.timing.seconds(_WINDOW + MINUTE, 20)

    @property
    def linger(self) -> float:
        """Seconds that a fault lasts after all has arrived that must: what is slower is seen too."""
        return self.timing.seconds(_WINDOW, 10)


def _window(alert: Alert) -> float:
    return max(_WINDOW, *(int(found) for found in _DURATION.findall(alert.value.template)), 0)
