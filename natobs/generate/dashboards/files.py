"""The files of the dashboards: for provisioning, for upload, and what Grafana is provisioned with."""

from collections.abc import Mapping

from natobs.generate.dashboards import debug, executive, fleet, on_call, provisioning
from natobs.generate.dashboards.exclusions import exclusions
from natobs.generate.dashboards.finish import to_text
from natobs.generate.dashboards.frame import Board, write
from natobs.generate.dashboards.panels import Maker
from natobs.generate.dashboards.upload import uploaded
from natobs.generate.rules.model import to_yaml
from natobs.generate.settings import Plan

COMMAND = "natobs generate dashboards"


def boards(plan: Plan) -> tuple[Board, ...]:
    """All dashboards, the widest view first."""
    make = Maker(plan.rendering)
    return tuple(module.board(plan, make) for module in (executive, fleet, on_call, debug))


def files(plan: Plan) -> Mapping[str, str]:
    """Path to text."""
    made = {}
    drawn = boards(plan)
    make = Maker(plan.rendering)
    for board in drawn:
        dashboard = write(board, make)
        made[f"dashboards/{board.uid}.json"] = to_text(dashboard)
        made[f"dashboards/grafana-com/{board.uid}.json"] = to_text(uploaded(dashboard))
    made["dashboards/.lint"] = to_yaml(exclusions(drawn, make), COMMAND)
    for kind, value in (("datasources", provisioning.datasources()), ("dashboards", provisioning.providers())):
        made[f"dashboards/provisioning/{kind}/natobs.yml"] = to_yaml(value, COMMAND)
    return made
