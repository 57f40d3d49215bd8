"""The kind ``stun``: a Binding request (RFC 8489), for the round trip and for the public address that the world sees.

Each attempt is one request from a fresh source port: a new flow through the
NAT, which shows at once when the NAT's address has changed. Beside it goes one
request from a fixed, rotated set of ports (:class:`Companions`), whose flows
live in the NAT as long as the prober and keep the address they began with; its
answer is noticed and decides nothing.
"""

import contextlib
import ipaddress
import os
import socket

from natobs.errors import FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes.environment import Environment
from natobs.probes.exchange import Answer, Key, success
from natobs.probes.fresh import Fresh
from natobs.probes.model import Outcome, Prober, Reason, Steps, Target
from natobs.probes.payload import size_of
from natobs.probes.resolve import Address, ResolveError
from natobs.probes.sockets import connect, open_socket
from natobs.probes.stamped import hold_stamping
from natobs.wire import stun

_LONGEST_RESPONSE = 2048
_MOST_READ = 8


class StunKind:
    """The kind ``stun``."""

    name = "stun"
    default_port = stun.PORT

    def open(self, target: Target, environment: Environment) -> Prober:
        size = size_of(target.settings, stun.REQUEST_SIZE, "a STUN request that is never shorter than its answer")
        hold_stamping()
        return StunProber(target, environment, size)


class StunProber:
    """Asks one STUN server."""

    def __init__(self, target: Target, environment: Environment, size: int) -> None:
        self._target = target
        self._environment = environment
        self._size = size
        self._companions = Companions(target.settings)
        self._fresh: Fresh[stun.Response] = Fresh(target, environment, _LONGEST_RESPONSE)

    def attempt(self, number: int) -> Steps:
        target, environment = self._target, self._environment
        self._notice_companions()
        self._fresh.settle()
        try:
            address = yield from environment.resolver.address(target.host, target.port, target.settings.family, number)
        except ResolveError as error:
            return Outcome(Reason.DNS, str(error))
        transaction = os.urandom(stun.TRANSACTION_SIZE)
        if not number:
            self._companions.ask(address)
        request = stun.encode_request(transaction, self._size)
        answer = yield from self._fresh.exchange(address, request, transaction, read)
        self._notice_companions()
        return answer if isinstance(answer, Outcome) else self._outcome(answer)

    def close(self) -> None:
        self._fresh.close()
        self._companions.close()

    def _outcome(self, answer: Answer[stun.Response]) -> Outcome:
        response = answer.said
        if response.mapped is None:
            return Outcome(Reason.STATUS, f"the STUN server answered with error {response.error} {response.phrase}")
        address, _port = response.mapped
        self._environment.notices.observed(self._target, address)
        expected = self._target.settings.expect.addresses
        found = ipaddress.ip_address(address)
        outcome = success(answer, self._target, self._environment, observed=response.mapped)
        if outcome.success and expected and not any(found in prefix.network for prefix in expected):
            detail = f"the public address is {address}, not one of {', '.join(map(str, expected))}"
            return Outcome(Reason.ADDRESS, detail, outcome.rtt, outcome.clock, observed=response.mapped)
        return outcome

    def _notice_companions(self) -> None:
        for address in self._companions.collect():
            self._environment.notices.observed(self._target, address)


class Companions:
    """Long-lived sockets that ask in turn, and never wait for an answer.

    Args:
        settings: of the probe; ``source_ports`` says how many. Their requests have the least size, whatever it says of
            a payload: they go before the attempt's own, and a path MTU learnt by theirs would change its lot.
    """

    def __init__(self, settings: ProbeSettings) -> None:
        self._settings = settings
        self._sockets: list[tuple[socket.socket, Address] | None] = [None] * settings.source_ports
        self._turn = -1
        self._asked: dict[Key, socket.socket] = {}

    def ask(self, address: Address) -> None:
        """Send a request from the next socket."""
        self._turn = turn = (self._turn + 1) % len(self._sockets)
        transaction = os.urandom(stun.TRANSACTION_SIZE)
        try:
            asking = self._socket(turn, address)
            asking.send(stun.encode_request(transaction, stun.REQUEST_SIZE))
        except OSError:
            self._drop(turn)  # the attempt itself meets the same trouble, and says it
            return
        self._asked = {transaction: asking}

    def collect(self) -> list[str]:
        """The address that the server saw at the last request, if the answer has come."""
        found: list[str] = []
        for transaction, asking in list(self._asked.items()):
            for _ in range(_MOST_READ):
                try:
                    came, response = read(asking.recv(_LONGEST_RESPONSE))
                except FormatError:
                    continue
                except BlockingIOError:
                    break
                except OSError:
                    self._asked.clear()
                    self._drop(self._turn)
                    break
                if came == transaction:
                    self._asked.clear()
                    if response.mapped is not None:
                        found.append(response.mapped[0])
                    break
        return found

    def close(self) -> None:
        """Close all."""
        self._asked.clear()
        for turn in range(len(self._sockets)):
            self._drop(turn)

    def _socket(self, turn: int, address: Address) -> socket.socket:
        kept = self._sockets[turn]
        if kept is not None and kept[1] == address:
            return kept[0]
        self._drop(turn)
        opened = open_socket(self._settings, address[0], socket.SOCK_DGRAM)
        self._sockets[turn] = (opened, address)
        connect(opened, address[1])
        return opened

    def _drop(self, turn: int) -> None:
        kept, self._sockets[turn] = self._sockets[turn], None
        if kept is not None:
            with contextlib.suppress(OSError):
                kept[0].close()


def read(data: bytes) -> tuple[Key, stun.Response]:
    """Read a response; its key is its transaction id.

    Raises:
        FormatError: it is no response.
    """
    response = stun.decode_response(data)
    return response.transaction, response
