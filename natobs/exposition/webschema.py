"""The shape of a ``--web.config.file``: sections, keys, types and defaults.

Knows the format of prometheus/exporter-toolkit (its ``docs/web-configuration.md``).
Refuses to know which values make sense together: that is webconfig.py's.
"""

import msgspec


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of the file; a key that it does not have is an error."""


class TlsSection(_Section, frozen=True):
    """``tls_server_config``: files, or PEM texts in place; an empty string is "not set"."""

    cert: str = ""
    key: str = ""
    client_ca: str = ""
    cert_file: str = ""
    key_file: str = ""
    client_ca_file: str = ""
    client_auth_type: str = ""
    client_allowed_sans: list[str] | None = None
    min_version: str = "TLS12"
    max_version: str = "TLS13"
    cipher_suites: list[str] = msgspec.field(default_factory=list)
    prefer_server_cipher_suites: bool = True
    curve_preferences: list[str] = msgspec.field(default_factory=list)

    def __repr__(self) -> str:
        return f"TlsSection(cert_file={self.cert_file!r})"  # a key in place is a secret


class HttpSection(_Section, frozen=True):
    """``http_server_config``; ``http2`` is None when the file does not name it."""

    http2: bool | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)


class RateLimitSection(_Section, frozen=True):
    """``rate_limit``: one request an interval (a Go duration; 0 is no limit), and bursts of so many."""

    interval: str | int = 0
    burst: int = 0


class WebConfig(_Section, frozen=True):
    """A whole file. The value with every default is plain HTTP, open to all.

    ``tls_server_config`` is None for plain HTTP; its paths are absolute after loading.
    """

    tls_server_config: TlsSection | None = None
    http_server_config: HttpSection = HttpSection()
    basic_auth_users: dict[str, str] = msgspec.field(default_factory=dict)
    rate_limit: RateLimitSection = RateLimitSection()

    def __repr__(self) -> str:
        return f"WebConfig(tls={self.tls_server_config is not None}, users={len(self.basic_auth_users)})"
