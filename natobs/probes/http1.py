"""HTTP/1.1, one exchange: the library h11 between bytes and :class:`natobs.probes.http_exchange.Answer`."""

import h11

from natobs.errors import FormatError
from natobs.probes.http_exchange import HEAD_BYTES, Answer, Request


class Http1:
    """One exchange on a connection of its own.

    Args:
        request: what is asked.

    Raises:
        ValueError: the request cannot be written.
    """

    def __init__(self, request: Request) -> None:
        self.answer = Answer()
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        headers = [("Host", request.authority), *request.headers, ("Connection", "close")]
        try:
            head = self._connection.send(h11.Request(method=request.method, target=request.path, headers=headers))
            self._bytes = (head or b"") + (self._connection.send(h11.EndOfMessage()) or b"")
        except h11.LocalProtocolError as error:
            raise ValueError(str(error)) from error

    def begin(self) -> bytes:
        return self._bytes

    def receive(self, data: bytes) -> bytes:
        try:
            self._connection.receive_data(data)
            while not self.answer.complete:
                event = self._connection.next_event()
                if event is h11.NEED_DATA:
                    break
                self._note(event)
        except h11.RemoteProtocolError as error:
            raise FormatError(f"HTTP: {error}") from error
        return b""

    def _note(self, event: object) -> None:
        if isinstance(event, h11.Response):
            self.answer.status = event.status_code
            self.answer.headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
            self.answer.until_close = not {"content-length", "transfer-encoding"} & self.answer.headers.keys()
        elif isinstance(event, h11.Data):
            self.answer.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            self.answer.complete = True
        elif not isinstance(event, h11.InformationalResponse):
            raise FormatError("HTTP: the connection ended before an answer")
