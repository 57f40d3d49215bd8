"""Push to a Prometheus Pushgateway.

Knows its paths and its answers; refuses to know what is pushed.

Source: https://github.com/prometheus/pushgateway, README, "API".
"""

import re
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from urllib.parse import quote

from natobs.catalogue.types import AnySample
from natobs.errors import ConfigError, ExpositionError
from natobs.exposition.encode import encode
from natobs.probes.web_request import RequestError, WebRequests, check_url, shown

_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MOST_BYTES = 64 * 1024
_MOST_TEXT = 300
_PUSHED = frozenset({HTTPStatus.OK, HTTPStatus.ACCEPTED})


def check(url: str, job: str, grouping: Mapping[str, str]) -> None:
    """Whether a push can go there.

    Raises:
        ConfigError: what is wrong.
    """
    try:
        check_url(url)
    except ConfigError as error:
        raise ConfigError(f"pushgateway: {error}") from error
    if "?" in url or "#" in url:
        raise ConfigError("pushgateway: /metrics/job/... is added to its URL, so it can have no query and no fragment")
    if not job:
        raise ConfigError("pushgateway: the job has no name")
    for name in grouping:
        if not _LABEL.fullmatch(name) or name.startswith("__") or name == "job":
            raise ConfigError(f"pushgateway: {name!r} is no label to group by")


def path_of(job: str, grouping: Mapping[str, str]) -> str:
    """The path of a group: its labels, each with its value; a value with a slash, or none, in base64."""
    return "/metrics" + "".join(_part(name, value) for name, value in (("job", job), *grouping.items()))


def push(url: str, samples: Iterable[AnySample], *, job: str, grouping: Mapping[str, str], limit: float) -> None:
    """Replace the group by some samples.

    Args:
        url: of the Pushgateway, without the path of the group; may hold a name and a password.
        samples: none of their labels is one of the grouping's, which would replace them.
        job: the first label of the group.
        grouping: its other labels.
        limit: seconds.

    Raises:
        ConfigError: it cannot go there.
        ExpositionError: it was not accepted.
    """
    found = list(samples)
    check(url, job, grouping)
    for metric, _labels, _value in found:
        taken = {"job", *grouping} & set(metric.label_names)
        if taken:
            raise ConfigError(f"pushgateway: {min(taken)} cannot be grouped by: it is a label of {metric.name}")
    place, encoded = url.rstrip("/"), encode(found)
    try:
        answer = WebRequests(limit, _MOST_BYTES).send(
            "PUT", place + path_of(job, grouping), {"Content-Type": encoded.content_type}, encoded.body
        )
    except RequestError as error:
        raise ExpositionError(f"nothing was pushed to {shown(place)}: {error}") from error
    if answer.status not in _PUSHED:
        said = "".join(letter if letter.isprintable() else " " for letter in answer.body.decode("utf-8", "replace"))
        raise ExpositionError(
            f"nothing was pushed to {shown(place)}: it answered {answer.status} {said[:_MOST_TEXT]}".rstrip()
        )


def _part(name: str, value: str) -> str:
    if value and "/" not in value and value not in {".", ".."}:
        return f"/{name}/{quote(value, safe='')}"
    # Padding may be left out, but an empty value could then not be told from none.
    encoded = urlsafe_b64encode(value.encode()).decode().rstrip("=") or "="
    return f"/{name}@base64/{encoded}"
