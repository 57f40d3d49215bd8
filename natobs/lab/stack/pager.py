"""Stands for the pager: ``python -m natobs.lab.stack.pager PORT FILE`` takes Alertmanager's webhook and writes it down.

Each alert of each notification becomes a line of JSON, a :class:`Page`. After
:data:`MOST` lines the file grows no more, and each notification is refused, so
that Alertmanager counts it as failed. Prints ``ready`` when it listens.
Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config.
"""

import sys
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar, Literal

import msgspec

MOST = 20_000
"""Lines that are written down at most."""
_MOST_BYTES = 4 << 20


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One alert in one notification that reached the pager.

    Args:
        time: when it came, seconds after the epoch.
        notification: which one, counted from 1; alerts that came together share it.
        receiver: Alertmanager's name for whom it was sent to.
        status: whether it fires or is over.
        labels: of the alert.
        annotations: of the alert.
        starts_at: when Prometheus says that it began to fire, RFC 3339.
        group: labels that its group has in common.
    """

    time: float
    notification: int
    receiver: str
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str
    group: dict[str, str]

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels.get("alertname", "")


class _Alert(msgspec.Struct, rename="camel"):
    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: str


class Notification(msgspec.Struct, rename="camel"):
    """What Alertmanager posts."""

    receiver: str
    alerts: list[_Alert]
    group_labels: dict[str, str] = {}


def pages(content: bytes) -> list[Page]:
    """Read what a pager wrote; a last line that is not yet whole is left for the next time."""
    return [msgspec.json.decode(line, type=Page) for line in content.split(b"\n")[:-1]]


class Pager:
    """What has come so far, written to a file.

    Args:
        path: of the file, which is made anew.
        most: lines that it may have.
    """

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._file = path.open("wb", buffering=0)
        self._left = most
        self._count = 0
        self._lock = threading.Lock()

    def take(self, body: bytes, now: float) -> bool:
        """Write a notification down; False when there is no room left for it.

        Raises:
            msgspec.MsgspecError: it is none.
        """
        told = msgspec.json.decode(body, type=Notification)
        with self._lock:
            if len(told.alerts) > self._left:
                return False
            self._left -= len(told.alerts)
            self._count += 1
            lines = [
                msgspec.json.encode(
                    Page(
                        time=now,
                        notification=self._count,
                        receiver=told.receiver,
                        status=alert.status,
                        labels=alert.labels,
                        annotations=alert.annotations,
                        starts_at=alert.starts_at,
                        group=told.group_labels,
                    )
                )
                + b"\n"
                for alert in told.alerts
            ]
            self._file.write(b"".join(lines))
        return True

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 300.0
    pager: ClassVar[Pager]

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _MOST_BYTES:
            self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            self.close_connection = True
            return
        try:
            taken = self.pager.take(self.rfile.read(int(length)), time.time())
        except msgspec.MsgspecError:
            self._answer(HTTPStatus.BAD_REQUEST)
        else:
            self._answer(HTTPStatus.OK if taken else HTTPStatus.INSUFFICIENT_STORAGE)

    def _answer(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        """Say nothing: what comes is in the file."""


def server(port: int, pager: Pager) -> ThreadingHTTPServer:
    """Give a server on a port of loopback that hands everything posted to a pager."""
    handler = type("Handler", (_Handler,), {"pager": pager})
    made = ThreadingHTTPServer(("127.0.0.1", port), handler)
    made.daemon_threads = True
    return made


def main() -> None:
    """Take notifications until this process is ended."""
    port, path = sys.argv[1:]
    listening = server(int(port), Pager(Path(path)))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        listening.serve_forever()


if __name__ == "__main__":
    main()
