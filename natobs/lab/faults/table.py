"""F1: the translation table full, in its two stages: of entries that can be evicted, and of those that cannot.

By load only: the host's limit stays what it is, and the table of the lab's NAT,
which is counted apart, is filled up to it and kept full while entries of others
time out. *Measured* (Linux 6.18): 262,144 entries are there after 4 seconds.
"""

from typing import ClassVar

import msgspec

from natobs.lab import entries
from natobs.lab.faults import facts
from natobs.lab.faults.base import Evidence, Fault


class _FilledTable(Fault):
    mode = "F1"
    programs = ("conntrack",)
    kind: ClassVar[entries.Kind]

    def act(self) -> None:
        topology = msgspec.json.encode(self.lab.topology).decode()
        self.cleanup("nat", entries.REMOVE)
        argv = self.nat.python("natobs.lab.filling", topology, "table", self.kind)
        self.start("nat", argv, ready="full")

    def evidence(self) -> Evidence:
        return facts.conntrack(self.nat)


class TableEvicting(_FilledTable):
    """The first stage: Linux evicts an old entry for each new one."""

    name = "table-evicting"
    title = "Translation table full, old entries evicted"
    sentence = "One-way entries fill the table to its limit; new flows live by the eviction of old ones."
    kind = "one-way"


class TableFull(_FilledTable):
    """The second stage: new flows are dropped."""

    name = "table-full"
    title = "Translation table full"
    sentence = "Answered connections, which are never evicted, fill the table to its limit; new flows are dropped."
    kind = "assured"
