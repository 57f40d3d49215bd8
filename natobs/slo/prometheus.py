"""Questions to Prometheus, and to what has its API: Thanos, Mimir, VictoriaMetrics.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/, "Instant queries".
"""

import math
import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import msgspec

from natobs.catalogue.promql import Scope
from natobs.errors import MonitoringError
from natobs.probes.web_request import Access
from natobs.slo.service import Service

_MOST_TEXT = 300
_CLUSTER = Scope.CLUSTER.value[0]


class Series(NamedTuple):
    """One series of an instant vector.

    Args:
        labels: with ``__name__``.
        value: never NaN: None instead.
    """

    labels: Mapping[str, str]
    value: float | None


def selector(names: Iterable[str], cluster: str = "", **equal: str) -> str:
    """One selector of several recorded series, so that all of an answer are of the same moment.

    Args:
        names: of the series.
        equal: labels, and what they must be.
        cluster: only those of this NAT cluster and those that belong to none, as targets do; empty for all.
    """
    matchers = [f'__name__=~"{"|".join(names)}"', *(f"{label}={_quoted(text)}" for label, text in equal.items())]
    if cluster:
        matchers.append(f"{_CLUSTER}=~{_quoted('|' + re.escape(cluster))}")
    return f"{{{','.join(matchers)}}}"


def _quoted(text: str) -> str:
    """As PromQL quotes a string: as JSON does."""
    return msgspec.json.encode(text).decode()


class _Row(msgspec.Struct):
    metric: dict[str, str]
    value: tuple[float, str]


class _Data(msgspec.Struct, rename="camel"):
    result_type: Literal["vector"]
    result: list[_Row]


class _Answer(msgspec.Struct):
    status: Literal["success"]
    data: _Data
    warnings: list[str] = []


class _Refusal(msgspec.Struct):
    status: Literal["error"]
    error: str


class Prometheus:
    """One Prometheus.

    Args:
        url: its base.
        access: what it takes to be let in.

    Raises:
        ConfigError: the URL cannot be asked.
    """

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._service = Service("Prometheus", url, access)

    @property
    def title(self) -> str:
        """What and where it is, without password."""
        return self._service.title

    def query(self, expression: str) -> list[Series]:
        """The instant vector of an expression, now.

        Raises:
            MonitoringError: no answer, a refusal, or an answer in part.
        """
        answer = self._service.send("GET", f"/api/v1/query?{urlencode({'query': expression})}")
        if answer.status != HTTPStatus.OK:
            raise self._refusal(answer.body) or self._service.refusal(answer)
        found = self._service.read(answer, _Answer)
        if found.warnings:  # Thanos: a store is away, and its series are missing
            raise MonitoringError(f"{self.title} answers in part: {_plain('; '.join(found.warnings))}")
        try:
            return [Series(row.metric, _number(row.value[1])) for row in found.data.result]
        except ValueError as error:
            raise MonitoringError(f"{self.title} answers something else: {error}") from error

    def _refusal(self, body: bytes) -> MonitoringError | None:
        """The error in Prometheus' own words, where there are any."""
        try:
            return MonitoringError(f"{self.title} refuses: {_plain(msgspec.json.decode(body, type=_Refusal).error)}")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None


def _number(text: str) -> float | None:
    value = float(text)
    return None if math.isnan(value) else value


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)[:_MOST_TEXT]
