"""From what a person types to a probe's target: ``https://host/path``, ``host:443``, ``host``, ``dns://server/name``.

Pure: knows the words of the probe file, and no network.
"""

from typing import get_args

from msgspec.structs import replace

from natobs.errors import ConfigError
from natobs.probe_config import KindName, ProbeSettings, split_target

_KINDS: tuple[KindName, ...] = get_args(KindName)
_WEB = {"http": (False, 80), "https": (True, 443)}
"""Scheme to whether it is TLS, and the port."""


def kind_of(text: str) -> KindName:
    """The kind of probe that a target's form asks for: by its scheme, else ``tcp`` with a port and ``icmp`` without.

    Raises:
        ConfigError: the scheme is unknown, or the text is no target.
    """
    scheme, mark, _rest = text.partition("://")
    if not mark:
        return "tcp" if split_target(text, 0)[1] else "icmp"
    if scheme in _WEB:
        return "http"
    for kind in _KINDS:
        if scheme == kind:
            return kind
    raise ConfigError(f"target {text!r}: no probe is called {scheme!r}; there are https, {', '.join(_KINDS)}")


def aim(settings: ProbeSettings, text: str) -> tuple[ProbeSettings, str]:
    """Take a URL apart: what it says beside host and port goes into the settings.

    Args:
        settings: of the probe.
        text: a URL, or HOST, HOST:PORT, [IPV6]:PORT, which are left as they are.

    Returns:
        The settings and HOST, HOST:PORT or [IPV6]:PORT.

    Raises:
        ConfigError: the URL is of another kind, or says what its kind has no use for.
    """
    scheme, mark, rest = text.partition("://")
    if not mark:
        return settings, text
    if kind_of(text) != settings.kind:
        raise ConfigError(f"target {text!r}: the probe is of the kind {settings.kind}")
    authority, slash, path = rest.partition("/")
    if "@" in authority:
        raise ConfigError(f"target {text!r}: no names and passwords in a target")
    if settings.kind == "http":
        tls, port = _WEB[scheme]
        if not split_target(authority, 0)[1]:
            authority = f"{authority}:{port}"
        return replace(settings, http=replace(settings.http, tls=tls, path=f"/{path}")), authority
    if settings.kind == "dns" and path:
        name, _slash, record = path.partition("/")
        return replace(settings, dns=replace(settings.dns, name=name, type=record or settings.dns.type)), authority
    if slash and path:
        raise ConfigError(f"target {text!r}: a probe of the kind {settings.kind} has no path")
    return settings, authority
