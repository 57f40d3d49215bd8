"""A machine whose answers a test writes down itself, at the same byte seam as a recording."""

from collections.abc import Mapping

from natobs.errors import UnavailableError
from natobs.kernel.machine import Query, Stream, StreamName
from natobs.kernel.recorded import RecordedStream


class FakeMachine:
    """Answers by query key; an exception as the answer is raised, a missing key is *absent*."""

    def __init__(
        self,
        answers: Mapping[str, bytes | Exception] | None = None,
        streams: Mapping[StreamName, list[bytes]] | None = None,
    ) -> None:
        self.answers: dict[str, bytes | Exception] = dict(answers or {})
        self.streams = dict(streams or {})
        self.asked: list[str] = []

    def ask(self, query: Query) -> bytes:
        self.asked.append(query.key)
        answer = self.answers.get(query.key)
        if answer is None:
            raise UnavailableError("absent", f"{query.key}: not on this fake machine")
        if isinstance(answer, Exception):
            raise answer
        return answer

    def listen(self, name: StreamName) -> Stream:
        if name not in self.streams:
            raise UnavailableError("absent", f"stream {name.value}: not on this fake machine")
        return RecordedStream(self.streams[name])

    def close(self) -> None:
        pass
