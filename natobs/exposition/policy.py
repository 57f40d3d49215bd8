"""What the web configuration asks of every connection and request, ready to be applied.

Knows TLS, users, the rate limit and extra headers. Made once per (re)load in the
caller's thread, so that a wrong configuration is an error there and never here.
"""

import ssl
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus

from natobs.exposition.auth import BasicAuth
from natobs.exposition.messages import Request, Response, plain
from natobs.exposition.ratelimit import TokenBucket, parse_duration
from natobs.exposition.tls import WatchedContext, has_allowed_name
from natobs.exposition.webschema import WebConfig

_HEADERS = (("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store"))
"""On every response. Values of now: neither a browser nor a proxy shall keep them."""


class Policy:
    """A web configuration at work.

    Args:
        config: checked.
        executor: where bcrypt runs.

    Raises:
        WebConfigError: a certificate cannot be loaded.
    """

    def __init__(self, config: WebConfig, executor: ThreadPoolExecutor) -> None:
        self._tls = WatchedContext(config.tls_server_config) if config.tls_server_config else None
        self._auth = BasicAuth(config.basic_auth_users, executor)
        self._bucket = TokenBucket(parse_duration(config.rate_limit.interval), config.rate_limit.burst)
        self._headers = {name: value for name, value in config.http_server_config.headers.items() if value}

    @property
    def encrypts(self) -> bool:
        """Whether there is TLS."""
        return self._tls is not None

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context for a new connection; None for plain HTTP."""
        return self._tls.current() if self._tls else None

    def welcomes(self, connection: ssl.SSLObject | None) -> bool:
        """Whether the client at the other end of a finished handshake may send requests."""
        if self._tls is None or connection is None:
            return True
        return has_allowed_name(self._tls.section, connection.getpeercert() or {})

    async def refusal(self, request: Request) -> Response | None:
        """Answer a request that may not pass; None for one that may."""
        if not self._bucket.take():
            return plain(HTTPStatus.TOO_MANY_REQUESTS, "over the rate_limit of the web configuration")
        if not await self._auth.allows(request.headers.get("authorization", "")):
            challenge = ("WWW-Authenticate", 'Basic realm="natobs", charset="UTF-8"')
            return plain(HTTPStatus.UNAUTHORIZED, "a name and a password are needed", challenge)
        return None

    def headers(self, of_response: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Join the headers of a response with ours; the configuration has the last word."""
        joined = {name.lower(): (name, value) for name, value in (*_HEADERS, *of_response, *self._headers.items())}
        return list(joined.values())
