"""Whether a browser sent a request on behalf of another site. Pure: knows headers, and no handlers.

A page of any site can have its visitors' browsers send a form to an address that
only they reach, loopback included. Browsers say so: Fetch Metadata (W3C, "Fetch
Metadata Request Headers", 2.4), older ones by Origin (RFC 6454, 7).
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

_OWN = frozenset({"same-origin", "none"})
"""From a page of this very server, or from the person: an address typed, a bookmark."""
_PORTS = {"http": 80, "https": 443}


def is_cross_site(headers: Mapping[str, str]) -> bool:
    """Whether a page of another origin is behind a request; what is no browser says nothing, and is not.

    Args:
        headers: names in lower case.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OWN
    origin = headers.get("origin")
    return origin is not None and not _is_own(origin, headers.get("host", ""))


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin names the host that the request was sent to."""
    try:
        parts = urlsplit(origin)
        asked = urlsplit(f"//{host}")
        default = _PORTS.get(parts.scheme)
        same = (parts.hostname, parts.port or default) == (asked.hostname, asked.port or default)
    except ValueError:
        return False
    return same and default is not None and parts.hostname is not None
