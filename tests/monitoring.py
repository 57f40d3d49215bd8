"""Debian's Prometheus and Alertmanager on loopback, each with a directory of its own; they end with this process."""

import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests import owned
from tests.loopback import eventually

_ANSWER_SECONDS = 60.0
_ALERTMANAGER = "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n"


@dataclass
class Server:
    """One of them.

    Args:
        address: host and port.
        directory: where its files are.
        context: for TLS; None for plain HTTP.
        headers: that let one in.
    """

    address: str
    directory: Path
    context: ssl.SSLContext | None = None
    headers: Mapping[str, str] | None = None

    @property
    def url(self) -> str:
        return f"http{'s' if self.context else ''}://{self.address}"

    def ask(self, method: str, path: str, document: object = None) -> tuple[int, Any]:
        """Status, and the answer as JSON, or as text where it is none."""
        connection = (
            HTTPSConnection(self.address, timeout=_ANSWER_SECONDS, context=self.context)
            if self.context
            else HTTPConnection(self.address, timeout=_ANSWER_SECONDS)
        )
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {"Content-Type": "application/json", **(self.headers or {})})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def query(self, expression: str) -> list[dict[str, Any]]:
        status, answer = self.ask("GET", f"/api/v1/query?{urlencode({'query': expression})}")
        assert status == 200, answer
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/-/ready")[0] == 200
        except OSError:
            return False

    def use_rules(self, recorded: Sequence[Mapping[str, Any]]) -> None:
        """Record these and nothing else from now on."""
        rules = self.directory / "rules.yml"
        rules.write_text(json.dumps({"groups": [{"name": "test", "interval": "1s", "rules": list(recorded)}]}))
        assert self.ask("POST", "/-/reload") == (200, "")


@contextmanager
def _running(
    program: str, directory: Path, *arguments: str, access: tuple[ssl.SSLContext, Mapping[str, str]] | None = None
) -> Iterator[Server]:
    with owned.server(program, *arguments, log=directory / "log") as url:
        server = Server(url.removeprefix("http://"), directory, *(access or ()))
        assert eventually(server.ready), (directory / "log").read_text()
        yield server


@contextmanager
def prometheus(  # noqa: PLR0913, PLR0917 - each has its default
    directory: Path,
    targets: Sequence[str] = (),
    labels: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    access: tuple[ssl.SSLContext, Mapping[str, str]] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Iterator[Server]:
    """Scrapes and evaluates once a second.

    Args:
        directory: an empty one.
        targets: to scrape.
        labels: that these get.
        arguments: more of them.
        access: how to be let in, where the arguments ask for that.
        settings: more sections of the configuration.
    """
    config = {
        **(settings or {}),
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules*.yml"],
        "scrape_configs": [
            {"job_name": "natobs", "static_configs": [{"targets": list(targets), "labels": dict(labels or {})}]}
        ],
    }
    (directory / "prometheus.yml").write_text(json.dumps(config))
    given = [f"--config.file={directory / 'prometheus.yml'}", f"--storage.tsdb.path={directory / 'data'}"]
    with _running("prometheus", directory, *given, "--web.enable-lifecycle", *arguments, access=access) as server:
        yield server


@contextmanager
def alertmanager(directory: Path) -> Iterator[Server]:
    """Tells nobody."""
    (directory / "alertmanager.yml").write_text(_ALERTMANAGER)
    given = [f"--config.file={directory / 'alertmanager.yml'}", f"--storage.path={directory / 'data'}"]
    # Without a cluster address: it would listen for other members on every address.
    with _running("prometheus-alertmanager", directory, *given, "--cluster.listen-address=") as server:
        yield server
