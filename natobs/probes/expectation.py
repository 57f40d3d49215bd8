"""Whether an HTTP answer is the expected one: status, body, and the address that the server saw.

Knows what a definition expects; refuses to know how the answer came. A pattern
that backtracks without end would stop every probe of the engine, so the search
has a time limit (the module ``regex`` has one, ``re`` has none) and an end.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address

import regex

from natobs.errors import ConfigError
from natobs.probe_config import ProbeSettings
from natobs.probes.http_exchange import Answer
from natobs.probes.model import Reason
from natobs.probes.progress import FailedError

SEARCHED_BYTES = 262_144
"""Of the body, from its beginning."""
SEARCH_SECONDS = 0.02
"""Longest search: as much as one beat of the engine. Ordinary patterns take under 1 ms for the whole of it."""
_ADDRESS_BYTES = 64
_SHOWN = 60


class Expectation:
    """What one definition expects.

    Raises:
        ConfigError: the pattern is none.
    """

    def __init__(self, settings: ProbeSettings) -> None:
        self._expect = settings.expect
        try:
            self._pattern = regex.compile(settings.expect.body) if settings.expect.body else None
        except regex.error as error:
            raise ConfigError(f"probe {settings.name}: expect.body {settings.expect.body!r}: {error}") from error

    def status(self, answer: Answer) -> None:
        """Fail on a status that is not expected.

        Raises:
            FailedError: with the status.
        """
        wanted = self._expect.status
        if answer.status not in (wanted or range(200, 300)):
            accepted = ", ".join(map(str, wanted)) or "200 to 299"
            raise FailedError(Reason.STATUS, f"status {answer.status}; accepted: {accepted}")

    def body(self, answer: Answer) -> None:
        """Fail on a body that does not match.

        Raises:
            FailedError: it does not, or the search took too long.
        """
        if self._pattern is None:
            return
        text = bytes(answer.body[:SEARCHED_BYTES]).decode("utf-8", "replace")
        try:
            found = self._pattern.search(text, timeout=SEARCH_SECONDS)
        except TimeoutError as error:
            raise FailedError(
                Reason.BODY, f"the search took over {SEARCH_SECONDS * 1000:.0f} ms; make the pattern simpler"
            ) from error
        if found is None:
            raise FailedError(Reason.BODY, f"{self._expect.body!r} is nowhere in {_excerpt(answer.body)}")

    def address(self, answer: Answer) -> str:
        """The address that the body states, empty where it states none.

        Raises:
            FailedError: one is expected, and the body states none.
        """
        address = _address(answer.body)
        if address is None and self._expect.addresses:
            raise FailedError(Reason.BODY, f"expected an IP address, found {_excerpt(answer.body)}")
        return str(address or "")

    def reserved(self, address: str) -> None:
        """Fail on an address that is not one of those reserved.

        Raises:
            FailedError: with the address.
        """
        wanted = self._expect.addresses
        if wanted and not any(ip_address(address) in prefix.network for prefix in wanted):
            reserved = ", ".join(map(str, wanted))
            raise FailedError(Reason.ADDRESS, f"the server saw {address}; reserved: {reserved}")


def _address(body: bytes | bytearray) -> IPv4Address | IPv6Address | None:
    if len(body) > _ADDRESS_BYTES:
        return None
    try:
        address = ip_address(bytes(body).decode("ascii").strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _excerpt(body: bytes | bytearray) -> str:
    text = repr(bytes(body[:_SHOWN]).decode("utf-8", "replace"))
    return f"{text}..." if len(body) > _SHOWN else text
