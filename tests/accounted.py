"""A kernel that counts as the accounting table does, for tests of what reads it."""

import socket
from collections import Counter
from ipaddress import ip_network

from natobs.kernel import accounting
from natobs.kernel.accounting_table import Settings, count_rules, mark
from natobs.kernel.nft_sets import query
from natobs.kernel.nftables import TABLES
from tests.fakes import FakeMachine
from tests.nft_messages import INET, attribute, counter, message, text, u32, u64

SETTINGS = Settings([ip_network("10.0.0.0/8")], destinations=16_384, hosts=4_096, timeout_seconds=900, label=126)
NUMBERS = {"tcp": 6, "udp": 17}
PROTOCOLS = ("tcp", "udp", "icmp", "other")
NAMES = (
    *(
        f"{what}_{protocol}"
        for what in ("offered", "tracked", "attempts", "repeated", "answered", "refused")
        for protocol in PROTOCOLS
    ),
    *("midstream", "quarantined", "forwarded_out", "forwarded_in", "resets_out", "resets_in", "fragmentation_needed"),
)


class AccountedKernel:
    """Counts what a test says, and answers as the kernel does."""

    def __init__(self, comment: str = mark(SETTINGS)) -> None:
        self.comment = comment
        self.handle = 1
        self.rules = count_rules(SETTINGS)
        self.machine = FakeMachine()
        self.install()

    def install(self) -> None:
        """A new table: everything begins at zero."""
        self.handle += 1
        self.counters: Counter[str] = Counter()
        self.attempts: Counter[bytes] = Counter()
        self.answers: Counter[bytes] = Counter()
        self.hosts: Counter[bytes] = Counter()
        self.publish()

    def flow(self, host: str, address: str, port: int, protocol: str = "tcp", *, answered: bool = True) -> None:
        """One attempt, and its answer."""
        for name in ("offered", "tracked", "attempts", *(("answered",) if answered else ())):
            self.counters[f"{name}_{protocol}"] += 1
        self.hosts[_packed(host)] += 1
        if protocol in NUMBERS:
            key = _packed(address) + bytes([NUMBERS[protocol], 0, 0, 0]) + port.to_bytes(2, "big") + bytes(2)
            self.attempts[key] += 1
            self.answers[key] += answered
        self.publish()

    def forget(self) -> None:
        """Every element expires."""
        for elements in (self.attempts, self.answers, self.hosts):
            elements.clear()
        self.publish()

    def reset(self) -> None:
        """What ``nft reset counters`` does: elements of sets stay as they are."""
        self.counters.clear()
        self.publish()

    def publish(self) -> None:
        """Let the machine answer with what has been counted."""
        answers = self.machine.answers
        named = text(1, "natobs")
        comment = self.comment.encode() + b"\0"
        parts = (named, u64(4, self.handle), attribute(6, bytes([0, len(comment)]) + comment))
        answers[TABLES.key] = message(0, INET, *parts)
        answers[accounting.RULES.key] = message(6, INET, named) * self.rules
        answers[accounting.COUNTERS.key] = b"".join(
            message(18, INET, named, text(2, name), u32(3, 1), attribute(4, u64(1, number * 60) + u64(2, number)))
            for name, number in ((name, self.counters[name]) for name in NAMES)
        )
        for name, elements in {"attempts": self.attempts, "answers": self.answers, "hosts": self.hosts}.items():
            for version, lengths in {4: (4, 12), 6: (16, 24)}.items():
                listed = b"".join(_element(key, n) for key, n in elements.items() if n and len(key) in lengths)
                answers[query(INET, "natobs", f"{name}{version}").key] = message(12, INET, named, attribute(3, listed))


def _packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def _element(key: bytes, number: int) -> bytes:
    counted = counter(number, number * 60)[4:]  # an expression without the header that puts it into a list
    return attribute(1, attribute(1, attribute(1, key)) + attribute(7, counted))
