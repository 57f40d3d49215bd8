"""A service of the monitoring stack that answers in JSON over HTTP: Prometheus, Alertmanager, and their like.

Bounded in time and size. Knows how a service fails to answer; refuses to know
what it is asked.
"""

from http import HTTPStatus
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import msgspec

from natobs.errors import ConfigError, MonitoringError
from natobs.probes.web_request import Access, Answer, Method, RequestError, WebRequests, check_url, shown

_MOST_BYTES = 16 * 1024 * 1024
"""Holds some 50,000 series."""
_MOST_TEXT = 300
_HINTS = {
    HTTPStatus.UNAUTHORIZED: "; --http.config.file names who is asking",
    HTTPStatus.FORBIDDEN: "; the user of --http.config.file may not do this",
    HTTPStatus.NOT_FOUND: "; does its URL lack a path?",
}

Document = TypeVar("Document")


class Service:
    """One service.

    Args:
        name: what it is, for a person.
        url: its base; paths are added to it.
        access: what it takes to be let in.
        seconds: for each answer.

    Raises:
        ConfigError: the URL is none to which paths can be added.
    """

    def __init__(self, name: str, url: str, access: Access | None = None, seconds: float = 10.0) -> None:
        try:
            check_url(url)
        except ConfigError as error:
            raise ConfigError(f"URL of {name}: {error}") from error
        if "?" in url or "#" in url:
            raise ConfigError(f"URL of {name}: /api/... is added to it, so it can have no query and no fragment")
        self._name = name
        self._url = url.rstrip("/")
        self._requests = WebRequests(seconds, _MOST_BYTES, access)

    @property
    def title(self) -> str:
        """What and where it is, without password."""
        return f"{self._name} at {shown(self._url).rstrip('/')}"

    @property
    def url(self) -> str:
        """Its base without name and password."""
        parts = urlsplit(self._url)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    def send(self, method: Method, path: str, document: object = None) -> Answer:
        """Send a request, with a document as JSON where there is one.

        Raises:
            MonitoringError: no complete answer came in time.
        """
        body = b"" if document is None else msgspec.json.encode(document)
        headers = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if body else {})
        try:
            return self._requests.send(method, self._url + path, headers, body)
        except RequestError as error:
            raise MonitoringError(f"{self.title} does not answer: {error}") from error

    def read(self, answer: Answer, kind: type[Document]) -> Document:
        """The document of a good answer.

        Raises:
            MonitoringError: the answer is no good one, or holds another document.
        """
        if answer.status != HTTPStatus.OK:
            raise self.refusal(answer)
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise MonitoringError(f"{self.title} answers something else: {error}; is it {self._name}?") from error

    def refusal(self, answer: Answer) -> MonitoringError:
        """The error for an answer that is no good one."""
        text = answer.body[: 4 * _MOST_TEXT].decode("utf-8", "replace")
        said = "".join(letter if letter.isprintable() else " " for letter in text).strip()[:_MOST_TEXT]
        hint = _HINTS.get(HTTPStatus(answer.status), "") if answer.status in _HINTS else ""
        return MonitoringError(f"{self.title} answers {answer.status} {said}".rstrip() + hint)
