"""Silences in Alertmanager.

Source: prometheus/alertmanager, ``api/v2/openapi.yaml``, tag "silence".
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

import msgspec

from natobs.operations.journal import Silence, Window
from natobs.probes.web_request import Access
from natobs.slo.service import Service


class _Created(msgspec.Struct):
    id: str = msgspec.field(name="silenceID")


class _State(msgspec.Struct):
    state: str


class _Listed(msgspec.Struct):
    id: str
    status: _State


class Alertmanager:
    """One Alertmanager; the members of its cluster learn from it.

    Args:
        url: its base.
        access: what it takes to be let in.

    Raises:
        ConfigError: the URL cannot be asked.
    """

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._service = Service("Alertmanager", url, access)

    def silence(self, window: Window, labels: Mapping[str, str]) -> Silence:
        """Silence the alerts with some labels during a maintenance; what was silenced for it before is replaced.

        Args:
            window: the maintenance; of its silence only one in this Alertmanager is replaced.
            labels: each to be equal.

        Raises:
            MonitoringError: there is no silence now, unless there was one before.
        """
        document = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True} for name, value in labels.items()
            ],
            "startsAt": _moment(window.begin),
            "endsAt": _moment(window.until),
            "createdBy": window.by or "natobs",
            "comment": f"{window.reason or 'planned maintenance'} (natobs maintenance)",
        }
        known = window.silence.id if window.silence and window.silence.url == self._service.url else ""
        answer = self._service.send("POST", "/api/v2/silences", document | ({"id": known} if known else {}))
        if known and answer.status == HTTPStatus.NOT_FOUND:  # it forgets silences that ended long ago
            answer = self._service.send("POST", "/api/v2/silences", document)
        return Silence(self._service.url, self._service.read(answer, _Created).id, window.until)

    def expire(self, silence: Silence) -> None:
        """End a silence; one that has ended, or is forgotten, is good.

        Raises:
            MonitoringError: it may go on.
        """
        answer = self._service.send("DELETE", f"/api/v2/silence/{quote(silence.id, safe='')}")
        if answer.status == HTTPStatus.OK:
            return
        # How it says that there is no such silence differs from version to version; its list does not.
        there = self._service.read(self._service.send("GET", "/api/v2/silences"), list[_Listed])
        if any(found.id == silence.id and found.status.state != "expired" for found in there):
            raise self._service.refusal(answer)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
