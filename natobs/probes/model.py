"""What a probe is asked to do, and what came of it.

Knows the words; refuses to know sockets, schedules and metrics. What each attempt
makes anew is a msgspec struct: a frozen dataclass takes twenty times as long.
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol

import msgspec

from natobs.probe_config import ProbeSettings


class Reason(Enum):
    """Why an attempt failed. A closed set: each is the value of a label."""

    DNS = "dns"  # the name did not resolve, or the DNS server's answer was not the expected one
    NO_ROUTE = "no_route"  # this host has no route
    UNREACHABLE = "unreachable"  # somebody on the way sent an ICMP error
    REFUSED = "refused"  # the destination refused the connection (RST or port unreachable)
    RESET = "reset"  # an established connection was reset or closed early
    TIMEOUT = "timeout"  # nothing came in time
    LATE = "late"  # the answer came after the time limit
    TLS = "tls"  # handshake or certificate
    STATUS = "status"  # an HTTP status or DNS response code that was not expected
    BODY = "body"  # a body or record that was not expected
    ADDRESS = "address"  # the public address is not one of those reserved
    MTU = "mtu"  # a full-size packet does not pass
    NO_LOCAL_PORT = "no_local_port"  # this host ran out of source ports
    LOCAL = "local"  # anything else that went wrong on this host


class PathState(Enum):
    """What becomes of packets of full size, best first. A closed set: each is the value of a label."""

    CLEAN = "clean"  # they pass and come back
    PACKET_TOO_BIG = "packet_too_big"  # an ICMP error, or this host's own interface, says how much passes
    FRAGMENTED = "fragmented"  # they pass, and their answers come back in pieces
    KNOWN = "known"  # they vanish; TCP passes, since this host has learnt how much does
    UDP_ONLY = "udp_only"  # they vanish by UDP, while TCP's pass
    CLAMPED = "clamped"  # they vanish; TCP passes, since somebody on the way lowers its segment size
    SILENT = "silent"  # they vanish, and TCP did not tell whether it hangs
    BLACK_HOLE = "black_hole"  # they vanish, and TCP hangs


class Clock(Enum):
    """Whose clock measured the round trip, best first."""

    KERNEL_TXRX = "kernel_txrx"  # kernel time stamps on sending and receiving
    KERNEL_RX = "kernel_rx"  # the kernel's on receiving, the program's on sending
    TCP_INFO = "tcp_info"  # the kernel's measurement of SYN to SYN/ACK
    USERSPACE = "userspace"  # the program's own: includes its waiting for a CPU


class Target(msgspec.Struct, frozen=True, dict=True):
    """One destination of one probe definition.

    Args:
        settings: the definition that it belongs to.
        host: name or address.
        port: 0 where the kind has none.
    """

    settings: ProbeSettings
    host: str
    port: int = 0

    @cached_property
    def name(self) -> str:
        """As it is shown and labelled: ``host``, ``host:port`` or ``[v6]:port``."""
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{host}:{self.port}" if self.port else host


class IcmpError(msgspec.Struct, frozen=True):
    """An ICMP error that the kernel handed to the socket (IP_RECVERR).

    Args:
        type: of the ICMP or ICMPv6 message.
        code: of the message.
        sender: the address that sent it.
        mtu: next-hop MTU of a packet-too-big, else 0.
    """

    type: int
    code: int
    sender: str
    mtu: int = 0


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt.

    Args:
        reason: None for success.
        detail: one sentence for a person, empty for a plain success.
        rtt: round-trip time of one packet exchange in seconds; None where none was measured, or where it
            would be a guess (after a retransmission, across a clock step).
        clock: whose clock measured it.
        phases: name to seconds, in order: ``resolve``, ``connect``, ``tls``, ``first_byte``, ``transfer``.
        observed: the public address and port that the other side saw.
        path_mtu: the largest IP packet that passes unfragmented, in bytes.
        path_state: what becomes of packets of full size.
        syn_retransmits: how often the SYN was sent again.
        icmp: the ICMP error that ended the attempt.
        certificate_expiry: end of the validity of the server's certificate, in seconds since the epoch.
    """

    reason: Reason | None = None
    detail: str = ""
    rtt: float | None = None
    clock: Clock | None = None
    phases: Mapping[str, float] = msgspec.field(default_factory=dict)
    observed: tuple[str, int] | None = None
    path_mtu: int | None = None
    path_state: PathState | None = None
    syn_retransmits: int = 0
    icmp: IcmpError | None = None
    certificate_expiry: float | None = None

    @property
    def success(self) -> bool:
        """Whether the attempt succeeded."""
        return self.reason is None


class Trace(msgspec.Struct, frozen=True):
    """Identity of the span that an attempt is exported as.

    Args:
        trace_id: 16 bytes.
        span_id: 8 bytes.
    """

    trace_id: bytes
    span_id: bytes


class Attempt(msgspec.Struct, frozen=True):
    """One attempt and its outcome, as it is reported.

    Args:
        target: whom.
        number: 0 for the first attempt, which alone is the SLI; 1 and up for retries.
        started: when it began, in seconds since the epoch.
        seconds: how long it took, by the monotonic clock.
        lag: how much later than planned it began, in seconds.
        outcome: what came of it.
        pair: joins the two attempts of a pair; 0 for one that has no other.
        companion: whether it is the one of the pair that took the path without the NAT. It is no attempt of the plan
            and of no objective: only the difference of the two counts.
        trace: of its span; None where it has none.
    """

    target: Target
    number: int
    started: float
    seconds: float
    lag: float
    outcome: Outcome
    pair: int = 0
    trace: Trace | None = None
    companion: bool = False


class Wait(msgspec.Struct, frozen=True):
    """What a running attempt waits for: one of its descriptors becoming readable (or writable), or the time limit.

    Args:
        descriptor: of a socket, or of an epoll of several.
        write: until it is writable.
        seconds: resume after so long at the latest; None waits for the descriptor alone. The time limit of the
            attempt stands beside it.
    """

    descriptor: int
    write: bool = False
    seconds: float | None = None


class ExpiredError(Exception):
    """Thrown into an attempt whose time is up; one that lets it pass has timed out."""


Steps = Generator[Wait, None, Outcome]
"""An attempt under way: yields what it waits for, returns its outcome."""


class Notices(Protocol):
    """Where a prober reports what belongs to no attempt under way."""

    def late(self, target: Target) -> None:
        """A reply came after its attempt had timed out."""

    def clock_reject(self, target: Target) -> None:
        """A round trip was dropped because the clock had been stepped in between."""

    def observed(self, target: Target, address: str) -> None:
        """The other side saw this public address."""


class Prober(Protocol):
    """Probes one target; lives as long as it, and keeps its sockets between attempts where the kind needs it."""

    def attempt(self, number: int) -> Steps:
        """Begin one attempt. It never blocks: where it would, it yields a :class:`Wait`.

        OSError may escape: the engine turns it into an outcome (see :func:`natobs.probes.errno_reason.outcome_of`).
        """

    def close(self) -> None:
        """Give back every descriptor."""


@dataclass(frozen=True, slots=True)
class Paired:
    """A prober and its companion, which probes the same target over the path without the NAT.

    To all but the engine it is the prober itself.

    Args:
        through: the prober.
        companion: the other one, never retried.
        companion_target: what the companion probes, with its own time limit.
    """

    through: Prober
    companion: Prober
    companion_target: Target

    def attempt(self, number: int) -> Steps:
        """Begin an attempt through the NAT."""
        return self.through.attempt(number)

    def close(self) -> None:
        """Close both."""
        self.through.close()
        self.companion.close()
