"""What several commands take on their command line: durations, moments, the journal, how to be let in, files to write.

No command.
"""

import getpass
import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import click

from natobs.config import load
from natobs.operations.file import JournalFile
from natobs.operations.journal import MOST_LETTERS

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,12}}){unit})?" for unit in _UNITS))
_EPOCH = re.compile(r"[0-9]{9,10}(\.[0-9]+)?")
"""Shorter ones may be meant as a date."""
_AHEAD_SECONDS = 60.0
"""Clocks that differ by so much are no reason to refuse a moment as one to come."""

Command = TypeVar("Command", bound=Callable[..., None])


def duration(text: str) -> float:
    """Read seconds as Prometheus writes them: ``30m``, ``1d12h``; the largest unit first, each once, more than nothing.

    Raises:
        BadParameter: it is no duration.
    """
    match = _DURATION.fullmatch(text)
    seconds = sum(int(count) * _UNITS[unit] for unit, count in match.groupdict("0").items()) if match else 0.0
    if not seconds:
        raise click.BadParameter(f"{text!r} is no duration such as 30m, 2h or 1d12h")
    return seconds


def moment(text: str) -> float:
    """Read a moment that has passed: seconds since the epoch, or RFC 3339, which without an offset is local time.

    Raises:
        BadParameter: it is none, or is yet to come.
    """
    try:
        seconds = float(text) if _EPOCH.fullmatch(text) else datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(f"{text!r} is no time such as 2026-01-31T12:00:00Z") from error
    if not 0 <= seconds <= time.time() + _AHEAD_SECONDS:
        raise click.BadParameter(f"{text!r} has not come yet")
    return seconds


def words(text: str) -> str:
    """Take a line of text for a person.

    Raises:
        BadParameter: it is too long, or is none.
    """
    if not text.isprintable() or len(text) > MOST_LETTERS:
        raise click.BadParameter(f"must be one line of at most {MOST_LETTERS} printable characters")
    return text


_FILE = click.Path(dir_okay=False, path_type=Path)


def with_journal(function: Command) -> Command:
    """Give a command the options that say where the journal is, as ``state`` and ``config_file``."""
    function = click.option("--config", "config_file", type=_FILE, help="As for `natobs agent`: names that file.")(
        function
    )
    return click.option(
        "--state", type=_FILE, help="The file that keeps events and maintenance; by default that of the agent."
    )(function)


def journal_at(state: Path | None, config_file: Path | None) -> JournalFile:
    """The journal that the options name; a damaged one that is moved aside is said to be so.

    Raises:
        ConfigError: the configuration file is wrong.
    """
    path = state or Path(load(config_file).operations.state_file or "")
    if not path.name:
        raise click.UsageError("operations.state_file is empty: name a file with --state")
    return JournalFile(path, lambda said: click.echo(f"natobs: {said}", err=True))


def with_access(function: Command) -> Command:
    """Give a command the option that says how to be let in, as ``http_config``."""
    return click.option(
        "--http.config.file",
        "http_config",
        type=_FILE,
        help="Token or password and TLS, in the format of promtool and amtool.",
    )(function)


def local(moment: float) -> str:
    """A moment in local time, as :func:`moment` takes it."""
    return datetime.fromtimestamp(moment).astimezone().isoformat(" ", "seconds")


def user() -> str:
    """Who calls; empty for one without a name that can be shown."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        return ""
    return name if name.isprintable() and len(name) <= MOST_LETTERS else ""


def write_text(path: Path, text: str, option: str) -> None:
    """Write a file that an option names, with the directories above it.

    Raises:
        BadParameter: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path} cannot be written: {error.strerror}", param_hint=option) from error
