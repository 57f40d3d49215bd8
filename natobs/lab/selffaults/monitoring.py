"""What natobs is watched by: Prometheus, away for a while."""

from natobs.lab.selffaults.base import Report, SelfFault
from natobs.lab.selffaults.scene import Scene
from natobs.lab.stack.stack import PROMETHEUS

_AWAY_SCRAPES = 8
_ATTEMPTS = "sum(natobs_probe_attempts_total)"
_SHARE = 0.5


class PrometheusAway(SelfFault):
    """Killed, and started again on the same database."""

    name = "prometheus-away"
    title = "Prometheus away"
    sentence = "Prometheus is killed, and started again on the same database after eight scrapes."
    lost = "scrapes meanwhile, and no increment"
    reports = (
        Report("scrapes missing", "$scrapes - min(count_over_time(up[$window]))", least=_AWAY_SCRAPES / 2),
        Report("probes failed", "increase(natobs_probe_failures_total[$window])", least=0, most=0),
    )

    def act(self, scene: Scene) -> list[str]:
        before = scene.sum(_ATTEMPTS)
        scene.part(PROMETHEUS).kill()
        scene.wait(_AWAY_SCRAPES)
        scene.part(PROMETHEUS).start()
        scene.await_true(f"time() - min(timestamp(up)) < {2 * scene.scrape_seconds}")
        after = scene.sum(_ATTEMPTS)
        expected = _SHARE * _AWAY_SCRAPES * scene.scrape_seconds * _targets(scene) / scene.stack.plan.timing.probe
        if after - before < expected:
            return [f"{after - before:.0f} attempts were counted over the gap; at least {expected:.0f} were due"]
        return []


def _targets(scene: Scene) -> float:
    """How many targets the probers have that are probed as often as anything is."""
    return scene.sum("count(count by (instance, probe, target) (natobs_probe_attempts_total)) - 2")
