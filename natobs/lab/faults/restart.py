"""F5: the NAT was away for some seconds, and came back without its state, while connections were running."""

import time

from natobs.lab.faults import agents, facts
from natobs.lab.faults.base import Evidence, Fault

_TALKERS = "20"
_EVERY_SECONDS = "0.2"
_AWAY_SECONDS = 1.0
_FORWARDING = {4: "net.ipv4.ip_forward", 6: "net.ipv6.conf.all.forwarding"}


class Restart(Fault):
    """What a restart of the NAT does to its clients; a restart of the lab's kernel is not to be had.

    It is over when it is injected; what lasts until it is healed are the
    connections that talk over it.
    """

    name = "restart"
    mode = "F5"
    title = "Restart lost the state"
    sentence = (
        f"While {_TALKERS} connections talk, the NAT forwards nothing for a second, loses its table, and "
        "its agent dies and starts again."
    )
    programs = ("conntrack",)
    history = 3600.0

    def act(self) -> None:
        client, topology = self.lab.host(self.lab.topology.clients[-1]), self.lab.topology
        talk = client.python("natobs.lab.talk", topology.server_addresses(4)[-1], _TALKERS, _EVERY_SECONDS)
        self.start(client.name, talk, ready=f"{_TALKERS} connections")
        agent = agents.running(self.lab)
        if agent is not None:
            agent.kill()
        for family in topology.families:
            sysctl = ("sysctl", "-q", "-w")
            self.change("nat", (*sysctl, f"{_FORWARDING[family]}=0"), (*sysctl, f"{_FORWARDING[family]}=1"))
        self.nat.run(["conntrack", "-F"])
        time.sleep(_AWAY_SECONDS)
        self.nat.run(["conntrack", "-F"])  # what came meanwhile and was not forwarded is lost as well
        # before the agent, which takes long to start on a busy machine, and every second spends budget
        self.nat.run(["sysctl", "-q", "-w", *(f"{_FORWARDING[family]}=1" for family in topology.families)])
        if agent is not None:
            self.nat.run(list(agents.detached(agent.argv)))

    def evidence(self) -> Evidence:
        # packets for others that a host which does not forward drops (ip_error, net/ipv4/route.c)
        return facts.protocols(self.nat, "IpInAddrErrors")
