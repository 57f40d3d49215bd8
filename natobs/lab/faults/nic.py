"""F3: packets dropped by an interface, a carrier that comes and goes, and receive errors.

Drops and carrier are real. Errors are not, because a veth never has any: the
agent's answers from the kernel are given the counter that a card would show
(:mod:`natobs.lab.errors_shown`), while all the rest of them stays real.
"""

from natobs.errors import LabError
from natobs.lab.faults import agents, facts
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.lab import Host

UPLINK = "eth0"

_CAPACITY = "850kbit"
_ERRORS = "50"  # a second
_LOAD = ("600", "200")
"""Bytes and datagrams a second: 1 Mbit/s, of which that capacity lets some four fifths pass."""


class NicDrops(Fault):
    """The uplink takes less than is sent, and its queue is short."""

    name = "nic-drops"
    mode = "F3"
    title = "Packets dropped by the uplink"
    sentence = "The uplink of the NAT takes 850 kbit/s and keeps three packets waiting; clients send 1 Mbit/s."
    programs = ("tc",)

    def act(self) -> None:
        self.cleanup("nat", _NO_QUEUE)
        for words in (
            f"qdisc add dev {UPLINK} root handle 1: htb default 1",
            f"class add dev {UPLINK} parent 1: classid 1:1 htb rate {_CAPACITY}",
            f"qdisc add dev {UPLINK} parent 1:1 handle 2: pfifo limit 3",
        ):
            self.nat.run(["tc", *words.split()])
        client = self.lab.host(self.lab.topology.clients[0])
        argv = client.python("natobs.lab.load", "datagrams", self.lab.topology.dead_address(4), "9", *_LOAD)
        self.start(client.name, argv, ready="running")

    def evidence(self) -> Evidence:
        return {"queue_drops": facts.queue_drops(self.nat, UPLINK)}


_NO_QUEUE = ("sh", "-c", f"tc qdisc del dev {UPLINK} root 2>/dev/null; true")
# A link that goes down takes its host's routes and IPv6 addresses along; what is there already is refused in silence.
_WHOLE = "ip link set {device} up; ip -force -batch - 2>/dev/null; true"
_FLAP = f"""
while :; do
    ip link set {{device}} down; sleep 0.5
    printf '%s' "$WIRING" | ({_WHOLE}); sleep 2
done
"""


class CarrierFlap(Fault):
    """Somebody pulls the plug of the uplink again and again."""

    name = "carrier-flap"
    mode = "F3"
    title = "Carrier of the uplink flaps"
    sentence = "Every two and a half seconds the other end of the NAT's uplink goes down for half a second."

    @property
    def _far_end(self) -> tuple[Host, str]:
        one_armed = self.lab.topology.nat.arms == 1
        return (self.lab.host("router"), "nat0") if one_armed else (self.lab.host("internet"), "eth0")

    def act(self) -> None:
        host, device = self._far_end
        wiring = self.wiring(host.name)
        self.cleanup(host.name, ("sh", "-c", _WHOLE.format(device=device)), wiring)
        self.start(host.name, ("env", f"WIRING={wiring}", "sh", "-c", _FLAP.format(device=device)))

    def evidence(self) -> Evidence:
        return {"carrier_changes": facts.link(self.nat, UPLINK)["carrier_changes"]}


class NicErrors(Fault):
    """A card that receives damaged frames."""

    name = "nic-errors"
    mode = "F3"
    title = "Receive errors of the uplink"
    sentence = f"The agent is shown {_ERRORS} receive errors a second in what the kernel says about the uplink."

    def check(self) -> None:
        """Refuse a NAT without an agent."""
        if agents.running(self.lab) is None:
            raise LabError(f"{self.name} is shown to the agent on the NAT, and none runs there")

    def act(self) -> None:
        agent = agents.running(self.lab)
        assert agent is not None
        options = agent.argv[agent.argv.index("agent") + 1 :]
        self.cleanup("nat", agents.detached(agent.argv))
        agent.kill()
        self.start("nat", self.nat.python("natobs.lab.errors_shown", UPLINK, _ERRORS, *options), ready="ready")

    def evidence(self) -> Evidence:
        return {"rx_errors": facts.link(self.nat, UPLINK)["rx_errors"]}
