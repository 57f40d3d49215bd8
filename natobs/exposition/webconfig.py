"""Reading and checking the file behind ``--web.config.file``, which Prometheus exporters share.

Knows which values of that format are valid, and which can be honoured here. A key
that Python's ssl module or this server cannot honour exactly is refused by name,
never ignored. What Go decides quietly (TLS keys without a certificate: plain HTTP)
is an error here.

Source: prometheus/exporter-toolkit, ``docs/web-configuration.md``, ``web/tls_config.go``
and ``web/handler.go``; ``docs/web-config.md`` lists the differences.
"""

import re
from pathlib import Path
from typing import Any

import msgspec

from natobs.errors import ConfigError, WebConfigError
from natobs.exposition import strict_yaml
from natobs.exposition.ratelimit import parse_duration
from natobs.exposition.tls import build_context
from natobs.exposition.tlsrules import check_tls
from natobs.exposition.webschema import HttpSection, RateLimitSection, TlsSection, WebConfig

_HEADERS: dict[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}
"""The response headers that may be set, with their values where these are few."""

_SECTIONS: dict[Any, tuple[str, ...]] = {
    "tls_server_config": TlsSection.__struct_fields__,
    "http_server_config": HttpSection.__struct_fields__,
    "rate_limit": RateLimitSection.__struct_fields__,
}
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`")
_PLACE = re.compile(r" - at (`key` in )?`\$\.?(.*)`$")


def load_web_config(path: Path) -> WebConfig:
    """Read a file and check all of it, certificates included. Its relative paths start at its directory.

    Raises:
        WebConfigError: naming the file and the dotted path of the key.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise WebConfigError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        config = parse_web_config(text, path.parent)
        if config.tls_server_config:
            build_context(config.tls_server_config)
    except WebConfigError as error:
        raise WebConfigError(f"{path}: {error}") from error
    return config


def parse_web_config(text: bytes, directory: Path) -> WebConfig:
    """Check the text of a file, without opening the files that it names.

    Raises:
        WebConfigError: beginning with the dotted path of the key.
    """
    try:
        document = _without_unset(strict_yaml.load(text))
        config = msgspec.convert({} if document is None else document, WebConfig)
    except msgspec.ValidationError as error:
        raise WebConfigError(_dotted(str(error))) from error
    except ConfigError as error:
        raise WebConfigError(str(error)) from error
    _check_http(config.http_server_config)
    _check_users(config.basic_auth_users)
    _check_rate_limit(config.rate_limit)
    tls = config.tls_server_config
    if tls is not None:
        check_tls(tls)
        paths = {name: getattr(tls, name) for name in ("cert_file", "key_file", "client_ca_file")}
        absolute = {name: str((directory / value).absolute()) for name, value in paths.items() if value}
        config = msgspec.structs.replace(config, tls_server_config=msgspec.structs.replace(tls, **absolute))
    return config


def _without_unset(document: Any) -> Any:  # noqa: ANN401 - whatever YAML holds
    """Remove known keys that have no value: ``key:`` is null in YAML, and "not set" in this format.

    An unknown key stays, to be refused; so does a user without a hash, who must not leave the door open.
    """
    if not isinstance(document, dict):
        return document
    kept = {}
    for name, section in document.items():
        fields = _SECTIONS.get(name)
        if fields and isinstance(section, dict):
            kept[name] = {key: value for key, value in section.items() if value is not None or key not in fields}
        elif section is not None or name not in WebConfig.__struct_fields__:
            kept[name] = section
    if kept.get("tls_server_config") == {}:
        del kept["tls_server_config"]
    return kept


def _dotted(message: str) -> str:
    """Turn ``Expected `str`, got `int` - at `$.a.b``` into ``a.b: expected ...``."""
    place = _PLACE.search(message)
    path = place[2].replace("[...]", ".*") if place else ""
    problem = message[: place.start()] if place else message
    unknown = _UNKNOWN.fullmatch(problem)
    if unknown:
        return f"{path}{'.' if path else ''}{unknown[1]}: no such key in this format"
    if place and place[1]:
        problem += " as a key; put it in quotes"
    return f"{path or 'the file'}: {problem[:1].lower()}{problem[1:]}"


def _check_http(section: HttpSection) -> None:
    if section.http2:
        raise WebConfigError("http_server_config.http2: this server speaks HTTP/1.1 only; remove the key")
    for name, value in section.headers.items():
        where = f"http_server_config.headers.{name}"
        if name not in _HEADERS:
            raise WebConfigError(f"{where}: cannot be set; only {', '.join(_HEADERS)} can")
        allowed = _HEADERS[name]
        if value and allowed and value not in allowed:
            raise WebConfigError(f"{where}: {value!r} is not {' or '.join(allowed)}")
        if not _PRINTABLE.fullmatch(value):
            raise WebConfigError(f"{where}: a header is one line of printable ASCII")


def _check_users(users: dict[str, str]) -> None:
    for name, hashed in users.items():
        where = f"basic_auth_users.{name}"
        if ":" in name:
            raise WebConfigError(f"{where}: a name with a colon cannot log in (RFC 7617)")
        if not _BCRYPT.fullmatch(hashed):
            raise WebConfigError(f"{where}: not a bcrypt hash; make one with: htpasswd -nBC 10 {name}")


def _check_rate_limit(section: RateLimitSection) -> None:
    interval = parse_duration(section.interval)
    if section.burst < 0:
        raise WebConfigError("rate_limit.burst: cannot be negative")
    if interval and not section.burst:
        raise WebConfigError("rate_limit.burst: must be at least 1, or every request is refused")
