"""How objectives stand, asked of a Prometheus.

Knows in which order it is asked: an objective after the other, because a large
fleet has too many budgets for one answer.
"""

from collections.abc import Sequence

from natobs.slo.prometheus import Prometheus
from natobs.slo.status import OBJECTIVES, Standing, budgets, recorded, standings


def ask(server: Prometheus, cluster: str = "", slos: Sequence[str] = ()) -> tuple[Standing, ...]:
    """The standing of each objective that is recorded, the worst first; before them those that were asked for in vain.

    Args:
        server: whom to ask.
        cluster: only budgets of this NAT cluster; empty for all.
        slos: only objectives of these ids; empty for all.

    Raises:
        MonitoringError: no answer, a refusal, or an answer in part.
    """
    about = server.query(OBJECTIVES)
    wanted = [slo for slo in recorded(about) if not slos or slo in slos]
    found = standings([*about, *(one for slo in wanted for one in server.query(budgets(slo, cluster)))], cluster)
    missing = (Standing(slo, "", None, (), 0) for slo in dict.fromkeys(slos) if slo not in wanted)
    return (*missing, *(one for one in found if one.id in wanted))
