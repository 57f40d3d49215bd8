"""HTTP/2, one exchange: the library h2 between bytes and :class:`natobs.probes.http_exchange.Answer`."""

import re

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from natobs.errors import FormatError
from natobs.probes.http_exchange import HEAD_BYTES, Answer, Request

_STATUS = re.compile("[2-9][0-9]{2}")


class Http2:
    """One exchange on a connection of its own.

    Args:
        request: what is asked.

    Raises:
        ValueError: the request cannot be written.
    """

    def __init__(self, request: Request) -> None:
        self.answer = Answer()
        self._connection = H2Connection(H2Configuration(client_side=True, header_encoding="latin-1"))
        self._connection.local_settings = Settings(
            client=True,
            initial_values={
                SettingCodes.ENABLE_PUSH: 0,
                SettingCodes.MAX_CONCURRENT_STREAMS: 1,
                SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_BYTES,
            },
        )
        self._connection.initiate_connection()
        pseudo = [
            (":method", request.method),
            (":authority", request.authority),
            (":scheme", request.scheme),
            (":path", request.path),
        ]
        try:
            self._stream = self._connection.get_next_available_stream_id()
            self._connection.send_headers(self._stream, [*pseudo, *request.headers], end_stream=True)
        except H2Error as error:
            raise ValueError(str(error)) from error

    def begin(self) -> bytes:
        return self._connection.data_to_send()

    def receive(self, data: bytes) -> bytes:
        if not data:
            raise FormatError("HTTP/2: the connection ended before the answer did")
        try:
            for event in self._connection.receive_data(data):
                self._note(event)
        except (H2Error, ValueError, IndexError) as error:
            # ValueError and IndexError too: what hyperframe and hpack let slip through
            raise FormatError(f"HTTP/2: {error}") from error
        return self._connection.data_to_send()

    def _note(self, event: Event) -> None:
        if isinstance(event, ResponseReceived):
            headers = {str(name): str(value) for name, value in event.headers}
            status = headers.get(":status", "")
            if not _STATUS.fullmatch(status):
                raise FormatError(f"HTTP/2: status {status[:20]!r}")
            self.answer.status = int(status)
            self.answer.headers = headers
        elif isinstance(event, DataReceived):
            self.answer.body += event.data
            self._connection.acknowledge_received_data(event.flow_controlled_length, self._stream)
        elif isinstance(event, StreamEnded):
            self.answer.complete = True
        elif isinstance(event, StreamReset):
            raise FormatError(f"HTTP/2: the server reset the request: {_name(event.error_code)}")
        elif isinstance(event, ConnectionTerminated) and not self.answer.complete and event.error_code:
            raise FormatError(f"HTTP/2: the server ended the connection: {_name(event.error_code)}")


def _name(code: ErrorCodes | int | None) -> str:
    return code.name if isinstance(code, ErrorCodes) else f"error {code}"
