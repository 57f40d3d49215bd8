"""Where targets come from beside the probe file: documents in files, and at URLs.

Knows how each is read, and what of it stays in force when that fails. Refuses
to know when it is read, and what becomes of the targets.

Sources: Prometheus' documentation of file_sd_config, and "HTTP SD" (status 200,
content type application/json, header X-Prometheus-Refresh-Interval-Seconds).
"""

import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal, Protocol

from natobs.errors import ConfigError
from natobs.probe_config import Prober, ProbeSettings
from natobs.probes.sd_document import Form, parse
from natobs.probes.web_request import RequestError, WebRequests, check_url, shown

MOST_BYTES = 16 * 1024 * 1024
"""Of a document."""
LIMIT_SECONDS = 10.0
"""For an answer to a request."""
_MOST_DOCUMENTS = 1000
_FORMS: dict[str, Form] = {".json": "json", ".yml": "yaml", ".yaml": "yaml"}
_JSON = re.compile(r'application/json(;\s*charset=("utf-8"|utf-8))?', re.IGNORECASE)
_OK = 200


@dataclass(frozen=True, slots=True)
class Source:
    """One place that a probe's targets come from.

    Args:
        probe: name of the probe.
        medium: what it is.
        place: pattern of paths, or URL.
    """

    probe: str
    medium: Literal["file", "url"]
    place: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a look has found.

    Args:
        targets: those in force now: where something is wrong, what was found last stands in its place.
        problem: what is wrong, empty where nothing is.
    """

    targets: tuple[str, ...]
    problem: str = ""


class Reader(Protocol):
    """Looks at one source, again and again."""

    def read(self) -> Found:
        """Look."""

    def adjust(self, prober: Prober) -> None:
        """Look with other bounds from now on."""

    def abandon(self) -> None:
        """Have a look under way end soon; from another thread, at the end."""


def sources_of(probes: Sequence[ProbeSettings]) -> tuple[Source, ...]:
    """The sources that definitions name.

    Raises:
        ConfigError: a URL that cannot be asked.
    """
    found: list[Source] = []
    for probe in probes:
        if probe.targets_file:
            found.append(Source(probe.name, "file", probe.targets_file))
        if probe.targets_url:
            try:
                check_url(probe.targets_url)
            except ConfigError as error:
                raise ConfigError(f"probe {probe.name}: targets_url: {error}") from error
            found.append(Source(probe.name, "url", probe.targets_url))
    return tuple(found)


def reader_of(source: Source) -> Reader:
    """What looks at a source, once its bounds have been set."""
    return Files(Path(source.place)) if source.medium == "file" else Url(source.place)


@dataclass(slots=True)
class _Document:
    """What a document held when it was last good."""

    data: bytes = b""
    targets: tuple[str, ...] = ()


@dataclass(slots=True)
class Files:
    """Documents in files.

    A document that cannot be read or is wrong keeps its targets in force. One that the pattern matches no more takes
    its targets with it, unless nothing is matched at all.

    Args:
        pattern: a path whose last part may hold ``*``, ``?`` and ``[...]``.
    """

    pattern: Path
    most: int = 0
    """Targets of a document."""
    _good: dict[Path, _Document] = field(default_factory=dict)

    def read(self) -> Found:
        problems: list[str] = []
        try:
            paths = self._paths()
        except (OSError, ConfigError) as error:
            paths = list(self._good)
            problems.append(str(error) if isinstance(error, ConfigError) else f"{self.pattern}: {error.strerror}")
        self._good = {path: self._good.get(path) or _Document() for path in paths}
        for path, document in self._good.items():
            try:
                self._read(path, document)
            except ConfigError as error:
                problems.append(str(error))
        targets = dict.fromkeys(text for document in self._good.values() for text in document.targets)
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        return Found(tuple(targets), problems[0] + more if problems else "")

    def adjust(self, prober: Prober) -> None:
        self.most = prober.max_targets

    def abandon(self) -> None:
        """Nothing: a file is there or not."""

    def _paths(self) -> list[Path]:
        """The files of the pattern.

        Raises:
            ConfigError: there are none, or too many.
            OSError: the directory cannot be read.
        """
        if not re.search(r"[*?[]", self.pattern.name):
            return [self.pattern]
        with os.scandir(self.pattern.parent) as entries:  # not glob, which takes an error for an empty directory
            names = sorted(entry.name for entry in entries if fnmatchcase(entry.name, self.pattern.name))
        if not names:
            raise ConfigError(f"{self.pattern}: no file has such a name")
        if len(names) > _MOST_DOCUMENTS:
            raise ConfigError(f"{self.pattern}: {len(names)} files have such names; at most {_MOST_DOCUMENTS}")
        return [self.pattern.parent / name for name in names]

    def _read(self, path: Path, document: _Document) -> None:
        form = _FORMS.get(path.suffix)
        if form is None:
            raise ConfigError(f"{path}: no document of file_sd; their names end in {', '.join(_FORMS)}")
        try:
            data = _bytes_of(path)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from error
        if len(data) > MOST_BYTES:
            raise ConfigError(f"{path}: has more than {MOST_BYTES} bytes")
        if data != document.data:
            document.targets = parse(data, form, str(path), self.most)
            document.data = data


def _bytes_of(path: Path) -> bytes:
    """What a file holds, as far as a byte more than may be.

    Raises:
        ConfigError: it is no file but a pipe, a directory or the like, which might never end.
        OSError: it cannot be read.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:  # noqa: PTH123 - a descriptor
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise ConfigError(f"{path}: no regular file")
        return opened.read(MOST_BYTES + 1)


class Url:
    """A document at a URL.

    Args:
        url: checked.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._most = 0
        self._headers: dict[str, str] = {}
        self._requests = WebRequests(LIMIT_SECONDS, MOST_BYTES)
        self._good = _Document()

    def read(self) -> Found:
        origin, problem = shown(self._url), ""
        try:
            answer = self._requests.send("GET", self._url, self._headers)
            if answer.status != _OK:
                problem = f"{origin}: it answers with status {answer.status}"
            elif not _JSON.fullmatch(answer.kind):
                problem = f"{origin}: its content type is {answer.kind!r}, not application/json"
            elif answer.body != self._good.data:
                self._good = _Document(answer.body, parse(answer.body, "json", origin, self._most))
        except RequestError as error:
            problem = f"{origin}: {error}"
        except ConfigError as error:
            problem = str(error)
        return Found(self._good.targets, problem)

    def adjust(self, prober: Prober) -> None:
        self._most = prober.max_targets
        interval = f"{prober.discovery_seconds:f}"
        self._headers = {"Accept": "application/json", "X-Prometheus-Refresh-Interval-Seconds": interval}

    def abandon(self) -> None:
        self._requests.abandon()
