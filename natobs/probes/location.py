"""Where an HTTP request goes: URLs of targets, and of redirects that strangers write.

Pure. Knows RFC 3986 as far as a prober needs it; refuses to know connections.
"""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import quote, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_PATH = "/%:@!$&'()*+,;=-._~?[]"
"""Left as they are; everything else is percent-encoded."""
_HOST = re.compile(r"[A-Za-z0-9._:-]{1,255}")


@dataclass(frozen=True, slots=True)
class Location:
    """A place to ask.

    Args:
        scheme: ``http`` or ``https``.
        host: name or address, without brackets.
        port: never 0.
        path: path and query, encoded.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """As the request names it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """What decides whether secrets may be sent again (RFC 6454)."""
        return self.scheme, self.host.lower(), self.port

    def follow(self, text: str) -> "Location":
        """Where a ``Location`` header of an answer from here leads.

        Raises:
            ValueError: nowhere that can be asked.
        """
        parts = urlsplit(urljoin(f"{self.scheme}://{self.authority}{self.path}", text))
        if parts.scheme not in _PORTS:
            raise ValueError(f"scheme {parts.scheme!r}")
        host = parts.hostname or ""
        if ":" in host:
            ip_address(host)
        elif not host.isascii():
            host = host.encode("idna").decode("ascii")
        if not _HOST.fullmatch(host):
            raise ValueError(f"host {host!r}")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        port = _PORTS[parts.scheme] if parts.port is None else parts.port
        if not port:
            raise ValueError("port 0")
        return Location(parts.scheme, host, port, quote(path, safe=_PATH))


def of_target(host: str, port: int, path: str, *, tls: bool) -> Location:
    """The place that a target names; port 0 is the scheme's own."""
    scheme = "https" if tls else "http"
    return Location(scheme, host, port or _PORTS[scheme], quote(path, safe=_PATH))
