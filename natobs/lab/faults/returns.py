"""F6: what comes back does not get through the NAT: a rule denies it, or the rule that lets it through is wrong.

Both deny behind natobs' own counters of attempts, and are counted by the rules themselves.
"""

import json

from natobs.errors import LabError
from natobs.lab import rulesets
from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault

_TABLE = "lab_blocked"
BLOCKED = "lab: return blocked"
"""Comment of the rule that denies."""

_RULES = f"""
    chain forward {{
        type filter hook forward priority filter + 10; policy accept;
        ct direction reply counter log prefix "{BLOCKED}: " drop comment "{BLOCKED}"
    }}
"""


class ReturnBlocked(Fault):
    """A rule too many."""

    name = "return-blocked"
    mode = "F6"
    title = "Return traffic blocked by a rule"
    sentence = "A new rule on the NAT drops every answer that it would forward, counts and logs it."
    programs = ("nft",)

    def act(self) -> None:
        self.rules("nat", _TABLE, _RULES)

    def evidence(self) -> Evidence:
        denied = facts.rules(self.nat, _TABLE) if self.record else {}
        return {"denied_packets": denied.get(BLOCKED, 0)}


class EstablishedRuleMissing(Fault):
    """The rule that lets answers through has been edited, and does not match them any more."""

    name = "established-rule-missing"
    mode = "F6"
    title = "Return traffic not accepted any more"
    sentence = (
        "The rule that accepts what is established matches only what is related: answers are denied by the last rule."
    )

    def act(self) -> None:
        if self._suffix is None:
            rule = ("nft", "replace", "rule", "inet", "filter", "forward", "handle", self._handle())
            self.change("nat", (*rule, rulesets.established("related")), (*rule, rulesets.established()))
            return
        for family in self.lab.topology.families:
            program = f"{'iptables' if family == 4 else 'ip6tables'}-{self._suffix}"  # noqa: PLR2004  an IP version
            comment = ("-m", "comment", "--comment", rulesets.ESTABLISHED)
            first = (program, "-w", "-R", "FORWARD", "1", "-m", "conntrack", "--ctstate")
            accept = (*comment, "-j", "ACCEPT")
            self.change("nat", (*first, "RELATED", *accept), (*first, "RELATED,ESTABLISHED", *accept))

    @property
    def _suffix(self) -> str | None:
        """Which iptables the NAT's rules are written in; None where it is nftables."""
        backend = self.lab.topology.nat.backend
        return None if backend == "nftables" else backend.removeprefix("iptables-")

    def _handle(self) -> str:
        listed = self.nat.run(["nft", "-j", "list", "chain", "inet", "filter", "forward"]).stdout
        for rule in (entry["rule"] for entry in json.loads(listed)["nftables"] if "rule" in entry):
            if rule.get("comment") == rulesets.ESTABLISHED:
                return str(rule["handle"])
        raise LabError(f"the NAT has no rule {rulesets.ESTABLISHED!r} in its chain inet filter forward")

    def evidence(self) -> Evidence:
        if self._suffix is None:
            return {"denied_packets": facts.rules(self.nat, "filter").get(rulesets.DENY, 0)}
        saved = self.nat.run([f"iptables-{self._suffix}-save", "-c"]).stdout
        denies = [line for line in saved.splitlines() if rulesets.DENY in line]
        return {"denied_packets": sum(int(line[1:].partition(":")[0]) for line in denies)}
