"""What is wrong is elsewhere, and must not be blamed on the NAT: a third party, the names, the way back."""

from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.plan import namespace
from natobs.lab.servers import DNS_PORT, HTTP_PORTS

_COMMENT = "lab: gone"
_SERVICE = HTTP_PORTS[0]
_CALLS = "5"  # a second


class _Deaf(Fault):
    """Something in the internet drops what it receives."""

    programs = ("nft",)

    def _drop(self, *matches: str) -> None:
        rules = "\n".join(f'{match} counter drop comment "{_COMMENT}"' for match in matches)
        chain = "type filter hook input priority filter; policy accept;"
        self.rules("internet", self._table, f"chain received {{\n{chain}\n{rules}\n}}")

    @property
    def _table(self) -> str:
        return f"lab_{self.name.replace('-', '_')}"

    def evidence(self) -> Evidence:
        dropped = facts.rules(self.lab.host("internet"), self._table) if self.record else {}
        return {"dropped_packets": dropped.get(_COMMENT, 0)}


class ThirdPartyDown(_Deaf):
    """One destination of many."""

    name = "third-party-down"
    title = "A third party is down"
    sentence = f"Port {_SERVICE} of the second server drops everything, while clients go on calling; all others answer."

    def act(self) -> None:
        topology = self.lab.topology
        addresses = [topology.server_addresses(family)[1] for family in topology.families]
        self._drop(*(f"{'ip6' if ':' in one else 'ip'} daddr {one} tcp dport {_SERVICE}" for one in addresses))
        client = self.lab.host(topology.clients[-1])
        argv = client.python("natobs.lab.load", "pages", addresses[0], str(_SERVICE), _CALLS)
        self.start(client.name, argv, ready="running")


class DnsDown(_Deaf):
    """Names are not found, addresses are reached."""

    name = "dns-down"
    title = "DNS is down"
    sentence = "No server answers on port 53 any more; everything else works."

    def act(self) -> None:
        self._drop(f"meta l4proto {{ tcp, udp }} th dport {DNS_PORT}")


class AsymmetricReturn(Fault):
    """Answers come back by another way, where the NAT does not expect them."""

    name = "asymmetric-return"
    title = "Answers return by another way"
    sentence = (
        "A second link leads from the internet to the NAT, and answers over IPv4 come back by it; the NAT checks by "
        "which way packets should come, and drops them."
    )

    _DEVICE, _FAR = "back0", "forth0"
    _NEAR_END, _FAR_END = "192.168.99.1", "192.168.99.2"

    def act(self) -> None:
        far = "router" if self.lab.topology.nat.arms == 1 else "internet"
        here, there = (namespace(self.lab.topology.name, host) for host in ("nat", far))
        # indexes of which no other link's is one: see natobs.lab.plan
        pair = f"link add {self._DEVICE} index 998 netns {here} type veth peer name {self._FAR} index 999 netns {there}"
        gone = ("sh", "-c", f"ip link del {self._DEVICE} 2>/dev/null; true")  # and its peer, and their routes with it
        self.change("nat", ("ip", *pair.split()), gone)
        self.nat.run(["sysctl", "-q", "-w", f"net.ipv4.conf.{self._DEVICE}.rp_filter=1"])
        # questions for neighbours come from an address of the link itself: those from a server's are dropped as well
        self.lab.host(far).run(["sysctl", "-q", "-w", f"net.ipv4.conf.{self._FAR}.arp_announce=2"])
        for host, device, address in ("nat", self._DEVICE, self._NEAR_END), (far, self._FAR, self._FAR_END):
            for words in f"address add {address}/30 dev {device}", f"link set {device} up":
                self.lab.host(host).run(["ip", *words.split()])
        for address in self.lab.topology.snat_addresses(4):
            self.lab.host(far).run(["ip", "route", "add", f"{address}/32", "via", self._NEAR_END, "dev", self._FAR])

    def evidence(self) -> Evidence:
        return facts.protocols(self.nat, "TcpExtIPReversePathFilter")
