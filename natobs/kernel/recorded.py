"""A machine that was written down: ``natobs capture`` makes one, tests and bug reports replay it.

A recording is a directory: one file an answer, named after the query's key, and
``manifest.json`` with what could not be read and why. Knows the directory;
refuses to know what any answer means. A recording may come from a stranger: a
key that leads out of its directory (a device named ``../..``) is *absent*.
"""

import os
from pathlib import Path
from typing import Literal

import msgspec

from natobs.errors import CaptureError, UnavailableError
from natobs.kernel.machine import Machine, Query, Stream, StreamName

MANIFEST = "manifest.json"
FORMAT = 1
_DAMAGED = (msgspec.MsgspecError, UnicodeError, RecursionError)


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A query that the recorded machine did not answer."""

    reason: Literal["absent", "permission", "unsupported", "format", "busy", "timeout", "error"]
    detail: str


class Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """What a recording says about itself.

    Args:
        format: version of this layout.
        natobs: version of natobs that wrote it.
        kernel: ``uname -r`` of the machine.
        refusals: query key to why there is no file.
    """

    format: int
    natobs: str
    kernel: str
    refusals: dict[str, Refusal] = {}


class RecordedMachine:
    """Answers every query from a recording; what was never asked when it was made is *absent*.

    Raises:
        CaptureError: the directory is no recording, or one of another format.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        try:
            self._manifest = msgspec.json.decode((directory / MANIFEST).read_bytes(), type=Manifest)
        except (OSError, *_DAMAGED) as error:
            said = error.strerror if isinstance(error, OSError) else error
            message = f"{directory / MANIFEST}: {said}; is this a directory from `natobs capture`?"
            raise CaptureError(message) from error
        if self._manifest.format != FORMAT:
            raise CaptureError(f"{directory}: recording of format {self._manifest.format}, this natobs reads {FORMAT}")

    def ask(self, query: Query) -> bytes:
        """The recorded answer; see :meth:`natobs.kernel.machine.Machine.ask`."""
        return self._answer(query.key)

    def listen(self, name: StreamName) -> Stream:
        """The messages that the stream held when it was recorded, then silence."""
        return RecordedStream(_messages(self._answer(f"stream/{name.value}")))

    def close(self) -> None:
        """Nothing is open."""

    def _answer(self, key: str) -> bytes:
        refusal = self._manifest.refusals.get(key)
        if refusal is not None:
            raise UnavailableError(refusal.reason, refusal.detail)
        path = (self._directory / key).resolve()
        try:
            if path.is_relative_to(self._directory.resolve()):
                return path.read_bytes()
        except OSError:
            pass
        raise UnavailableError("absent", f"{key}: not in the recording")


class RecordedStream:
    """A stream that ends in silence."""

    def __init__(self, messages: list[bytes]) -> None:
        self._messages = messages[::-1]

    def fileno(self) -> int:
        """There is nothing to wait for."""
        return -1

    def read(self) -> bytes | None:
        """The next recorded message."""
        return self._messages.pop() if self._messages else None

    def close(self) -> None:
        """Nothing is open."""


class RecordingMachine:
    """Passes every query on to another machine and keeps what it answered.

    Args:
        machine: the machine to write down.
        directory: where; it must not exist, or be empty.

    Raises:
        CaptureError: the directory cannot be used.
    """

    def __init__(self, machine: Machine, directory: Path) -> None:
        self._machine = machine
        self._directory = directory
        self._refusals: dict[str, Refusal] = {}
        self._answered: set[str] = set()
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if directory.stat().st_uid != os.geteuid():
                raise CaptureError(f"{directory}: belongs to somebody else, who could redirect what is written")
            if any(directory.iterdir()):
                raise CaptureError(f"{directory}: not empty; name a directory that does not exist yet")
        except OSError as error:
            raise CaptureError(f"{directory}: {error.strerror}") from error

    @property
    def answers(self) -> int:
        """How many queries were answered so far."""
        return len(self._answered)

    @property
    def refusals(self) -> dict[str, Refusal]:
        """What the machine did not answer so far, by query key."""
        return self._refusals

    def ask(self, query: Query) -> bytes:
        """Ask, and keep the answer or the refusal."""
        try:
            answer = self._machine.ask(query)
        except UnavailableError as error:
            self._refuse(query.key, error)
            raise
        self._keep(query.key, answer)
        return answer

    def listen(self, name: StreamName) -> Stream:
        """Keep what the stream holds now, and replay that."""
        key = f"stream/{name.value}"
        try:
            stream = self._machine.listen(name)
        except UnavailableError as error:
            self._refuse(key, error)
            raise
        try:
            messages = list(iter(stream.read, None))
        except UnavailableError as error:
            self._refuse(key, error)
            raise
        finally:
            stream.close()
        self._keep(key, msgspec.json.encode([message.decode("latin-1") for message in messages]))
        return RecordedStream(messages)

    def close(self) -> None:
        """Close the machine behind."""
        self._machine.close()

    def finish(self, version: str, kernel: str) -> None:
        """Write the manifest; without it the directory is no recording."""
        manifest = Manifest(FORMAT, version, kernel, self._refusals)
        self._write(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))

    def _refuse(self, key: str, error: UnavailableError) -> None:
        self._refusals[key] = msgspec.convert({"reason": error.reason, "detail": str(error)}, Refusal)

    def _keep(self, key: str, answer: bytes) -> None:
        self._write(key, answer)
        self._refusals.pop(key, None)
        self._answered.add(key)

    def _write(self, key: str, content: bytes) -> None:
        path = self._directory / key
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        except OSError as error:
            raise CaptureError(f"{path}: {error.strerror}") from error


def _messages(content: bytes) -> list[bytes]:
    try:
        return [message.encode("latin-1") for message in msgspec.json.decode(content, type=list[str])]
    except _DAMAGED as error:
        raise CaptureError(f"a stream of the recording is damaged: {error}") from error
