"""What befalls several NATs of a cluster at once."""

from natobs.errors import LabError
from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault

_FAILING, _WORLDS = 2, 3
_TABLE = "lab_upstream"
_COMMENT = "lab: upstream"
_RULES = f"""
    chain received {{
        type filter hook input priority filter; policy accept;
        iifname != "lo" counter drop comment "{_COMMENT}"
    }}
"""


class NatsFailing(Fault):
    """Two NATs of three have no internet any more."""

    name = "nats-failing"
    title = "Two of three NATs of a cluster fail"
    sentence = "The internet behind two of three NATs drops everything that it receives."
    programs = ("nft",)
    nats = _WORLDS

    def check(self) -> None:
        """Refuse a lab with fewer NATs."""
        if len(self.lab.worlds) < _WORLDS:
            raise LabError(f"{self.name} takes {_WORLDS} NATs: natobs lab up --stack --nats {_WORLDS}")

    def act(self) -> None:
        for world in self.lab.worlds[:_FAILING]:
            self.part(_Upstream(world))

    def evidence(self) -> Evidence:
        broken = self.lab.worlds[:_FAILING] if self.record else ()
        dropped = {world.topology.name: facts.rules(world.host("internet"), _TABLE)[_COMMENT] for world in broken}
        return {f"dropped_of_{world.topology.name}": dropped.get(world.topology.name, 0) for world in self.lab.worlds}


class _Upstream(NatsFailing):
    """The part of it that befalls one NAT."""

    def act(self) -> None:
        self.rules("internet", _TABLE, _RULES)
