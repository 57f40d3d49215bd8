"""F8: a link on the way out takes smaller packets than before, and says so, or does not."""

from collections.abc import Iterator

from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault
from natobs.lab.lab import Host

MTU = 1383
"""Bytes that the narrow link takes: no size that anybody would guess."""

_SILENT = """
    chain sent {
        type filter hook output priority filter; policy accept;
        icmp type destination-unreachable icmp code frag-needed counter drop comment "lab: silence"
        icmpv6 type packet-too-big counter drop comment "lab: silence"
    }
"""
_CLAMPED = """
    chain forwarded {
        type filter hook forward priority mangle; policy accept;
        tcp flags syn tcp option maxseg size set rt mtu
    }
"""


class MtuSmall(Fault):
    """ICMP says what fits."""

    name = "mtu-small"
    mode = "F8"
    title = "Smaller MTU on the way out"
    sentence = f"The link to the internet takes {MTU} bytes; ICMP tells senders so."

    @property
    def narrow(self) -> tuple[Host, str]:
        """The host whose interface to the internet is narrow, and that interface."""
        one_armed = self.lab.topology.nat.arms == 1
        return (self.lab.host("router"), "inet0") if one_armed else (self.nat, "eth0")

    def act(self) -> None:
        for name, argv in self._forgetting():  # what they learn meanwhile
            self.cleanup(name, argv)
        host, device = self.narrow
        mtu = ("ip", "link", "set", device, "mtu")
        self.change(host.name, (*mtu, str(MTU)), (*mtu, "1500"))

    def forget(self) -> None:
        """Have every host forget what it has learnt about the way."""
        for name, argv in self._forgetting():
            self.lab.host(name).run(list(argv))

    def _forgetting(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        for name in self.lab.topology.hosts:
            for family in self.lab.topology.families:
                yield name, ("ip", f"-{family}", "route", "flush", "cache")

    def silence(self) -> None:
        """Have nobody say what fits, until the fault is healed."""
        self.rules(self.narrow[0].name, "lab_silence", _SILENT)

    def clamp(self) -> None:
        """Apply the remedy: TCP is told to use segments that fit, until the fault is healed."""
        self.rules(self.narrow[0].name, "lab_clamp", _CLAMPED)

    def evidence(self) -> Evidence:
        host, device = self.narrow
        counted = facts.protocols(host, "IpFragFails", "Ip6InTooBigErrors")
        return {"mtu": facts.link(host, device)["mtu"], **counted}


class MtuBlackHole(MtuSmall):
    """Nobody says anything."""

    name = "mtu-black-hole"
    title = "Smaller MTU, and nobody says so"
    sentence = f"The link to the internet takes {MTU} bytes, and what is larger vanishes without an ICMP message."
    programs = ("nft",)

    def act(self) -> None:
        self.silence()  # first, and healed last: one message is enough for a host to know the way for ten minutes
        super().act()

    def evidence(self) -> Evidence:
        silenced = facts.rules(self.narrow[0], "lab_silence") if self.record else {}
        return {**super().evidence(), "silenced_icmp": silenced.get("lab: silence", 0)}
