"""The debug dashboard: which destination, which host, which port, and where packets get lost."""

from natobs.catalogue import naming
from natobs.generate.dashboards import debug_kernel, debug_path, logs
from natobs.generate.dashboards.frame import Board
from natobs.generate.dashboards.layout import Row
from natobs.generate.dashboards.panels import Maker
from natobs.generate.dashboards.watched import Watched, burns
from natobs.generate.settings import Plan


def board(plan: Plan, make: Maker) -> Board:
    """For whoever looks for the cause."""
    watched = Watched(plan, make, naming.DEBUG)
    return Board(
        naming.DEBUG,
        "Which destination fails, which host fills the table, which port runs out, and where do packets get lost?",
        "1h",
        (
            Row("Where packets get lost", debug_path.lost(make, watched)),
            Row("Destinations", debug_path.destinations(make, watched)),
            Row("Latency", debug_path.latency(make)),
            Row("Translation table: who fills it", debug_kernel.table(make)),
            Row("Ports by destination", debug_kernel.ports(make)),
            Row("Path MTU", debug_path.mtu(make, watched)),
            Row("Kernel", debug_kernel.kernel(make)),
            *logs.row(plan.fleet),
            Row("Error budgets", burns(watched.objectives, make), collapsed=True),
            *watched.rest(),
        ),
        variables=logs.variables(plan.fleet),
    )
