"""Bytes to and from a connected socket, plain or through TLS, and when they came.

The kernel stamps received data (SO_TIMESTAMPING), so that a busy engine does
not show in the phases; where a stamp is missing, this process's clock is used.
The moment of sending is this process's, read right before ``send``. One read
for each wake-up: a peer that sends without end gets no more than its turn, and
the engine's time limit strikes. Knows sockets and TLS records; refuses to know
what the bytes mean.
"""

import contextlib
import socket
import ssl
import time
from collections.abc import Generator

from natobs.probes import arrival
from natobs.probes.model import Reason, Wait
from natobs.probes.progress import FailedError
from natobs.wire import timestamps

READ_BYTES = 16_384
"""Of one read: what a hostile peer may make this process digest at a time, and the size of a TLS record."""
_RAGGED = "UNEXPECTED_EOF_WHILE_READING"
"""What Debian 12's Python 3.11.2 calls an SSLEOFError, as later ones do not (CPython's gh-95494)."""


class Stream:
    """A connection under way.

    Args:
        opened: connected and never blocking; closed by :meth:`close`, unless :meth:`detach` takes it away.
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._detached = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._begun = time.monotonic()
        self.sent_at = self.received_at = self._begun
        """When bytes were last sent and received, in seconds of the monotonic clock."""
        self.ragged = False
        """The other side ended TLS without saying so: what it sent may have been cut off (RFC 8446, 6.1)."""
        with contextlib.suppress(OSError):  # Linux before 5.1: no stamps
            opened.setsockopt(socket.SOL_SOCKET, timestamps.SO_TIMESTAMPING_NEW, timestamps.RECEIVE)

    def secure(self, context: ssl.SSLContext, name: str) -> Generator[Wait, None, ssl.SSLObject]:
        """Do the TLS handshake; everything that follows goes through it.

        Args:
            context: verifies or not, offers protocols.
            name: sent to the server and verified.

        Raises:
            FailedError: the handshake failed, or the certificate is not good; the detail says why.
        """
        try:
            tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=name)
        except ValueError as error:  # of a redirect; UnicodeError is one
            raise FailedError(Reason.TLS, f"{name!r} cannot be a server's name: {error}") from error
        done = False
        while not done:
            try:
                tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                with contextlib.suppress(OSError):
                    self._socket.send(self._outgoing.read())  # the alert that says why; best effort
                raise FailedError(Reason.TLS, explain(error)) from error
            yield from self._send(self._outgoing.read())
            if not done:
                data = yield from self._receive()
                if not data:
                    raise FailedError(Reason.RESET, "the other side closed the connection during the TLS handshake")
                self._incoming.write(data)
        self._tls = tls
        return tls

    def send(self, data: bytes) -> Generator[Wait, None, None]:
        """Send all of it."""
        if self._tls is not None and data:
            self._tls.write(data)  # a memory BIO takes everything
            data = self._outgoing.read()
        yield from self._send(data)

    def receive(self) -> Generator[Wait, None, bytes]:
        """Some bytes; none at the end of the stream.

        Raises:
            FailedError: broken TLS records.
        """
        if self._tls is None:
            return (yield from self._receive())
        while True:
            try:
                return self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLError as error:
                if isinstance(error, ssl.SSLEOFError) or error.reason == _RAGGED:
                    self.ragged = True
                    return b""
                raise FailedError(Reason.TLS, explain(error)) from error
            data = yield from self._receive()
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    def detach(self) -> socket.socket:
        """Say goodbye in TLS's way, and give the socket away."""
        if self._tls is not None:
            with contextlib.suppress(ssl.SSLError):  # the other side has not said goodbye yet
                self._tls.unwrap()
            with contextlib.suppress(OSError):  # reset, or no room: then without
                self._socket.send(self._outgoing.read())
        self._detached = True
        return self._socket

    def close(self) -> None:
        """Close the socket, unless it was given away."""
        if not self._detached:
            self._socket.close()

    def _send(self, data: bytes) -> Generator[Wait, None, None]:
        if data:
            self.sent_at = time.monotonic()
        while data:
            try:
                data = data[self._socket.send(data) :]
            except BlockingIOError:
                yield Wait(self._socket.fileno(), write=True)

    def _receive(self) -> Generator[Wait, None, bytes]:
        while True:
            yield Wait(self._socket.fileno())
            try:
                data, ancillary, _flags, _from = self._socket.recvmsg(READ_BYTES, timestamps.CONTROL_BYTES)
            except BlockingIOError:
                continue
            # Not since the latest sending: what is read now may have come before it, as in HTTP/2.
            self.received_at = arrival.moment(ancillary, self._begun)
            return data


def explain(error: ssl.SSLError) -> str:
    """What went wrong, in a few words: a certificate's fault, or the handshake's."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
