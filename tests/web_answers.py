"""An HTTP server of a few lines that answers as a test says, bytes and manners included."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Answering = Callable[[socket.socket, bytes], None]
"""Gets the connection, and the request's head and body."""


def answer(
    body: bytes = b"[]", status: str = "200 OK", kind: str = "application/json", *headers: str
) -> Callable[[socket.socket, bytes], None]:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Length: {len(body)}",
        *headers,
        *([f"Content-Type: {kind}"] if kind else []),
    ]
    data = "\r\n".join([*lines, "", ""]).encode() + body
    return lambda client, _request: client.sendall(data)


@dataclass
class Web:
    """What was asked of a server, and how it answers by path."""

    port: int
    paths: dict[str, Answering]
    requests: list[bytes] = field(default_factory=list)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@contextlib.contextmanager
def web(**paths: Answering) -> Iterator[Web]:
    """Serve ``/name`` for each keyword."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        made = Web(listener.getsockname()[1], {f"/{name}": how for name, how in paths.items()})
        stopping = threading.Event()

        def serve() -> None:
            while not stopping.is_set():
                with contextlib.suppress(TimeoutError):
                    client, _peer = listener.accept()
                    client.settimeout(10)
                    threads.append(threading.Thread(target=_serve, args=(made, client)))
                    threads[-1].start()

        threads: list[threading.Thread] = [threading.Thread(target=serve)]
        threads[0].start()
        try:
            yield made
        finally:
            stopping.set()
            for thread in threads:
                thread.join(15)


def _serve(made: Web, client: socket.socket) -> None:
    with client, contextlib.suppress(OSError):
        request = b""
        while b"\r\n\r\n" not in request:
            data = client.recv(65536)
            if not data:
                return
            request += data
        head, _empty, body = request.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _colon, value = line.partition(b":")
            if name.lower() == b"content-length":
                while len(body) < int(value):
                    body += client.recv(65536)
        made.requests.append(head + b"\r\n\r\n" + body)
        path = head.split(b" ")[1].decode().partition("?")[0]
        made.paths[path](client, head)
