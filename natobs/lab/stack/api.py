"""Asks Prometheus and Alertmanager over their HTTP APIs, for tests and game days.

Knows paths, parameters and the shape of answers; refuses to know what is asked.
https://prometheus.io/docs/prometheus/latest/querying/api/ and
https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml.
"""

import time
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

import msgspec

from natobs.errors import LabError

_SECONDS = 10.0
_MOST_BYTES = 64 << 20


class Series(msgspec.Struct, frozen=True):
    """A series of an answer: its labels, and (time, value) pairs, one for an instant.

    Times are seconds after the epoch.
    """

    labels: dict[str, str]
    samples: list[tuple[float, float]]

    @property
    def value(self) -> float:
        """The latest value."""
        return self.samples[-1][1]


_direct = build_opener(ProxyHandler({}))  # past any proxy that the environment names


def answers(url: str) -> bool:
    """Tell whether a URL answers with a status of success."""
    try:
        read(url)
    except LabError:
        return False
    return True


def read(url: str) -> bytes:
    """Read a URL.

    Raises:
        LabError: nobody answered in time, or with no status of success.
    """
    return _read(Request(url))  # noqa: S310  a URL of ours


def _read(request: Request, patience: float = _SECONDS) -> bytes:
    try:
        with _direct.open(request, timeout=patience) as answer:
            content: bytes = answer.read(_MOST_BYTES + 1)
    except HTTPError as error:
        with error:
            said = error.read(500).decode(errors="replace")
        raise LabError(f"{request.full_url}: {error.code} {said}") from error
    except (OSError, HTTPException) as error:
        raise LabError(f"{request.full_url}: {error}") from error
    if len(content) > _MOST_BYTES:
        raise LabError(f"{request.full_url}: the answer is longer than {_MOST_BYTES >> 20} MiB")
    return content


class _Server:
    """A server with an HTTP API.

    Args:
        url: its address, with a slash at the end.
        patience: seconds that an answer may take.
    """

    def __init__(self, url: str, patience: float = _SECONDS) -> None:
        self.url = url
        self._patience = patience

    def ready(self) -> bool:
        """Tell whether it answers that it is ready."""
        return answers(f"{self.url}-/ready")

    def _ask(self, path: str, body: bytes | None = None, query: Mapping[str, object] | None = None) -> bytes:
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        return _read(Request(url, body, headers), self._patience)  # noqa: S310  a URL of ours


class Prometheus(_Server):
    """A Prometheus that runs. Every question raises LabError when there is no answer or a refusal."""

    def query(self, expression: str, at: float | None = None) -> list[Series]:
        """Ask for the value of an expression, now or at a time in seconds after the epoch.

        A scalar is a series without labels.
        """
        found = self._data("query", query=expression, **({} if at is None else {"time": at}))
        if found["resultType"] == "scalar":
            return [Series({}, [_sample(found["result"])])]
        return [
            Series(one["metric"], [_sample(pair) for pair in one.get("values") or [one["value"]]])
            for one in found["result"]
        ]

    def value(self, expression: str) -> float | None:
        """Ask for the value of an expression that has one; None when there is no series.

        Raises:
            LabError: it has more than one, too.
        """
        found = self.query(expression)
        if len(found) > 1:
            raise LabError(f"{expression}: {len(found)} series where one was meant")
        return found[0].value if found else None

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Ask for the values of an expression between two times, every ``step`` seconds."""
        found = self._data("query_range", query=expression, start=start, end=end, step=step)
        return [Series(one["metric"], [_sample(pair) for pair in one["values"]]) for one in found["result"]]

    def alerts(self) -> list[dict[str, Any]]:
        """List pending and firing alerts, as the API has them."""
        found: list[dict[str, Any]] = self._data("alerts")["alerts"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """List the groups of rules, as the API has them."""
        found: list[dict[str, Any]] = self._data("rules")["groups"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """List what is scraped, as the API has it."""
        found: list[dict[str, Any]] = self._data("targets", state="active")["activeTargets"]
        return found

    def _data(self, what: str, **query: object) -> dict[str, Any]:
        answer = msgspec.json.decode(self._ask(f"api/v1/{what}", query=query), type=dict[str, Any])
        data: dict[str, Any] = answer["data"]
        return data


class Alertmanager(_Server):
    """An Alertmanager that runs; raises LabError like :class:`Prometheus`."""

    def alerts(self) -> list[dict[str, Any]]:
        """List the alerts that it knows, silenced and inhibited ones too."""
        return msgspec.json.decode(self._ask("api/v2/alerts"), type=list[dict[str, Any]])

    def post(self, alerts: list[dict[str, str]]) -> None:
        """Give it alerts, each as its labels, that begin now: as Prometheus does."""
        self._ask("api/v2/alerts", msgspec.json.encode([{"labels": labels} for labels in alerts]))

    def silences(self) -> list[dict[str, Any]]:
        """List the silences."""
        return msgspec.json.decode(self._ask("api/v2/silences"), type=list[dict[str, Any]])

    def silence(self, matchers: dict[str, str], seconds: float, comment: str) -> str:
        """Silence what has all of these labels, from now on; give the silence's id."""
        body = msgspec.json.encode(
            {
                "matchers": [{"name": k, "value": v, "isRegex": False} for k, v in matchers.items()],
                "startsAt": _rfc3339(time.time()),
                "endsAt": _rfc3339(time.time() + seconds),
                "createdBy": "natobs lab",
                "comment": comment,
            }
        )
        return str(msgspec.json.decode(self._ask("api/v2/silences", body), type=dict[str, Any])["silenceID"])


def _sample(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"
