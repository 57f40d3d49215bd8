"""F7: the address that the internet sees is another one."""

import json
from typing import ClassVar

from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.faults.nic import UPLINK
from natobs.lab.topology import Family, nth

_TABLE = "lab_moved"
_ELSEWHERE = 99


class AddressChanged(Fault):
    """New flows leave under an address that nobody has reserved."""

    name = "address-changed"
    mode = "F7"
    title = "Public address changed"
    sentence = "New flows leave under another address; those that live keep theirs, and answers to both find back."
    programs = ("nft",)
    families: ClassVar[tuple[Family, ...]] = (4, 6)

    def address(self, family: Family) -> str:
        """The address that flows leave under: of the outside network, and none of the NAT's own."""
        return nth(self.lab.topology.outside_network(family), _ELSEWHERE)

    def act(self) -> None:
        topology = self.lab.topology
        rules = []
        for family in topology.families:
            address = self.address(family)
            ip, length, *now = ("ip", 32) if family == 4 else ("ip6", 128, "nodad")  # noqa: PLR2004  an IP version
            single = f"{address}/{length}"
            add = ("ip", "address", "add", single, "dev", UPLINK, *map(str, now))
            self.change("nat", add, ("ip", f"-{family}", "address", "flush", "dev", UPLINK, "to", single))
            inside = f"{{ {', '.join(topology.inside(family))} }}"
            rules.append(f"{ip} saddr {inside} {ip} daddr != {inside} snat {ip} to {address}")
        # ahead of the NAT's own translation: the first rule that translates a flow decides
        chain = "type nat hook postrouting priority srcnat - 10; policy accept;"
        self.rules("nat", _TABLE, "\n".join(("chain postrouting {", chain, *rules, "}")))

    def evidence(self) -> Evidence:
        listed = json.loads(self.nat.run(["ip", "-j", "address", "show", "dev", UPLINK]).stdout)
        found = {entry["local"] for link in listed for entry in link["addr_info"]}
        return {f"has_{self.address(family)}": self.address(family) in found for family in self.lab.topology.families}
