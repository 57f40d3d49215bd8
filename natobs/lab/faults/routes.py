"""F4: a route is missing or wrong, on the NAT or in a private subnet.

What a cloud calls the route table of a subnet is the clients' own default route
in a two-armed lab, and a rule of the router's for the subnet in a one-armed one.
"""

from typing import ClassVar

from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.topology import Family, nth

_PREFERENCE = "150"
"""Between the router's rules about what stays inside and about what goes to the NAT; see natobs.lab.plan."""

_NOBODY = 99  # last digits of an address that no host has


class NoDefaultRoute(Fault):
    """The NAT does not know the way out."""

    name = "no-default-route"
    mode = "F4"
    title = "Default route gone on the NAT"
    sentence = "The NAT loses its default routes."

    def act(self) -> None:
        topology = self.lab.topology
        for family in topology.families:
            via = nth(topology.outside_network(family), 1)
            ip = ("ip", f"-{family}", "route")
            self.change("nat", (*ip, "del", "default"), (*ip, "replace", "default", "via", via))

    def evidence(self) -> Evidence:
        return {"default_routes": facts.default_routes(self.nat)}


class _SubnetRoute(Fault):
    """Something is wrong with the default route of the first subnet, and nothing with that of the others."""

    mode = "F4"
    rule: ClassVar[tuple[str, ...]]
    """What the router does with packets from the subnet."""

    def act(self) -> None:
        topology = self.lab.topology
        for family in topology.families:
            ip = ("ip", f"-{family}")
            if topology.nat.arms == 1:
                rule = ("iif", "lan1", *self.rule, "pref", _PREFERENCE)
                undo = f"ip -{family} rule del pref {_PREFERENCE} 2>/dev/null; true"
                self.change("router", (*ip, "rule", "add", *rule), ("sh", "-c", undo))
                continue
            right = nth(topology.subnets[0].network(family), 1)
            for client in self.clients:
                do = (*ip, "route", *self.on_client(client, family))
                self.change(client, do, (*ip, "route", "replace", "default", "via", right))

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients of the subnet."""
        topology = self.lab.topology
        return tuple(client for client in topology.clients if topology.client_subnet(client) == 0)

    def on_client(self, client: str, family: Family) -> tuple[str, ...]:
        """What ``ip route`` does on a client of the subnet."""
        raise NotImplementedError

    def evidence(self) -> Evidence:
        if self.lab.topology.nat.arms == 1:
            said = self.lab.host("router").run(["ip", "rule", "show"]).stdout
            return {"rules_for_the_subnet": sum("iif lan1" in line for line in said.splitlines())}
        client, topology = self.lab.host(self.clients[0]), self.lab.topology
        said = client.run(["ip", "-4", "route", "show", "default"]).stdout
        return {
            "default_routes": len(said.splitlines()),
            "default_routes_to_the_nat": said.split().count(nth(topology.subnets[0].ipv4, 1)),
        }


class SubnetRouteMissing(_SubnetRoute):
    """No default route."""

    name = "subnet-route-missing"
    title = "Default route gone in a private subnet"
    sentence = "Nothing leads from the first private subnet to the NAT any more."
    rule = ("blackhole",)

    def on_client(self, client: str, family: Family) -> tuple[str, ...]:
        return ("del", "default")


class SubnetRouteWrong(_SubnetRoute):
    """A default route that leads elsewhere."""

    name = "subnet-route-wrong"
    title = "Default route of a private subnet leads elsewhere"
    sentence = "What leaves the first private subnet is handed to somebody who is not the NAT."
    rule = ("lookup", "main")

    def on_client(self, client: str, family: Family) -> tuple[str, ...]:
        # another client, which forwards nothing
        others = [other for other in self.clients if other != client]
        wrong = self.lab.topology.client_address(others[0], family) if others else self._nobody(family)
        return ("replace", "default", "via", wrong)

    def _nobody(self, family: Family) -> str:
        return nth(self.lab.topology.subnets[0].network(family), _NOBODY)
