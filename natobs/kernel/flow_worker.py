"""The census as a process of its own sees it: an order in, an answer out, both as JSON bytes.

Knows both formats, and asks the firewall for port ranges beside the table;
refuses to know who orders and how the process is kept in check
(:mod:`natobs.kernel.worker`). Loads numpy only when an order is carried out.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path

import msgspec

from natobs.errors import FormatError, KernelError
from natobs.kernel import port_ranges
from natobs.kernel.flow_results import Census, PortPool
from natobs.kernel.machine import Machine
from natobs.kernel.nat_rules import PROTOCOLS, NatRule, ports_of


class TenantOrder(msgspec.Struct, frozen=True):
    """See :class:`natobs.kernel.flow_aggregate.Tenant`."""

    name: str
    prefixes: tuple[str, ...]
    marks: tuple[int, ...]


class Order(msgspec.Struct, frozen=True):
    """What to look for and how long.

    Args:
        inside: prefixes of the private hosts.
        tenants: in their order.
        listed: rows of each ranking.
        seconds: for all attempts together.
    """

    inside: tuple[str, ...]
    tenants: tuple[TenantOrder, ...] = ()
    listed: int = 500
    seconds: float = 30.0


class RangeFound(msgspec.Struct, frozen=True):
    """Ports that the ruleset unambiguously gives with a SNAT address."""

    address: str
    proto: str
    first: int
    last: int


class Answer(msgspec.Struct, frozen=True):
    """A census with its circumstances.

    Args:
        census: what was found.
        ranges: of the address pools in it; where the ruleset names none, nothing.
        time: when it began, in seconds since the epoch.
        memory_bytes: of the process at most; 0 where the kernel does not say.
    """

    census: Census
    ranges: tuple[RangeFound, ...] = ()
    time: float = 0.0
    memory_bytes: int = 0

    @property
    def ruleset(self) -> dict[tuple[str, str], int]:
        """Sizes of the ranges by address and protocol."""
        return {(one.address, one.proto): one.last - one.first + 1 for one in self.ranges}


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Why there is no census: the reason and the detail of a :class:`natobs.errors.KernelError`."""

    reason: str
    detail: str


class Delivery(msgspec.Struct, frozen=True, tag="answer"):
    """An answer on its way."""

    answer: Answer


_DECODER = msgspec.json.Decoder(Delivery | Refusal)
_DAMAGED = (msgspec.MsgspecError, ValueError, RecursionError)


def carry_out(order: Order, machine: Machine, progress: Callable[[int], object] = lambda flows: None) -> Answer:
    """Take a census, and read the rules that the port ranges follow from.

    Raises:
        UnavailableError: the kernel has no such table, or refuses to show it to this process.
    """
    # numpy is loaded here, and in no process that only gives orders.
    from natobs.kernel.flow_aggregate import Scope, Tenant  # noqa: PLC0415  for that reason
    from natobs.kernel.flow_census import Limits, take  # noqa: PLC0415  the same

    tenants = tuple(Tenant(one.name, tuple(map(ip_network, one.prefixes)), one.marks) for one in order.tenants)
    scope = Scope(tuple(map(ip_network, order.inside)), tenants, listed=order.listed)
    began = time.time()
    census = take(machine, scope, Limits(seconds=order.seconds), progress=progress)
    rules: list[NatRule] = []
    with suppress(KernelError):
        rules = port_ranges.read(machine)
    found = tuple(one for pool in census.figures.pools if (one := _range(rules, pool)) is not None)
    return Answer(census, found, began, _peak_bytes())


def respond(order: bytes, machine: Machine) -> bytes:
    """The same with bytes; a refusal of the kernel is an answer too.

    Raises:
        FormatError: this is no order.
    """
    wanted = parse_order(order)
    try:
        return msgspec.json.encode(Delivery(carry_out(wanted, machine)))
    except KernelError as error:
        return msgspec.json.encode(Refusal(error.reason, str(error)))


def parse_order(data: bytes) -> Order:
    """Decode an order.

    Raises:
        FormatError: it is something else, or a prefix in it is none.
    """
    try:
        order = msgspec.json.decode(data, type=Order)
        for prefix in (*order.inside, *(prefix for tenant in order.tenants for prefix in tenant.prefixes)):
            ip_network(prefix)
    except _DAMAGED as error:
        raise FormatError(f"census: not an order: {error}") from error
    return order


def parse(data: bytes) -> Answer | Refusal:
    """Decode what :func:`respond` gave.

    Raises:
        FormatError: it is something else.
    """
    try:
        found = _DECODER.decode(data)
    except _DAMAGED as error:
        raise FormatError(f"census: not an answer: {error}") from error
    return found if isinstance(found, Refusal) else found.answer


def _range(rules: list[NatRule], pool: PortPool) -> RangeFound | None:
    proto = PROTOCOLS.get(pool.proto)
    ports = None if proto is None else ports_of(rules, pool.address, proto)
    return RangeFound(pool.address, pool.proto, *ports) if ports else None


def _peak_bytes() -> int:
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/self/status").read_text("ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return 0
