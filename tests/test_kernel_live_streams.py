import errno
import os
import socket

import pytest

from natobs.errors import UnavailableError
from natobs.kernel.live_streams import KernelLog, RouteEvents, open_stream
from natobs.kernel.machine import FROM_NOW_ON, StreamName
from tests.scripted import all_given_back


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> tuple[KernelLog, socket.socket]:
    """Give a kernel log whose device is one end of a pair of sockets that keep messages apart, as the device does."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", lambda _path, _flags: near.detach())
        return KernelLog(), far


def test_the_kernel_log_says_once_where_its_past_ends(log: tuple[KernelLog, socket.socket]) -> None:
    stream, kernel = log
    kernel.send(b"old")
    assert [stream.read() for _ in range(4)] == [b"old", FROM_NOW_ON, None, None]
    kernel.send(b"new")
    assert [stream.read() for _ in range(2)] == [b"new", None]
    stream.close()
    kernel.close()


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EPIPE, "busy"), (errno.EIO, "error"), (errno.EPERM, "permission")]
)
def test_trouble_of_the_kernel_log_has_a_reason(
    number: int, reason: str, log: tuple[KernelLog, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int, _size: int) -> bytes:
        raise OSError(number, os.strerror(number))

    stream, kernel = log
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", fail)
        with pytest.raises(UnavailableError) as caught:
            stream.read()
    assert caught.value.reason == reason
    stream.close()
    kernel.close()


def test_a_log_that_is_forbidden_names_the_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: str, _flags: int) -> int:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(UnavailableError, match="CAP_SYSLOG") as caught:
        open_stream(StreamName.KERNEL_LOG)
    assert caught.value.reason == "permission"


def test_route_events_are_open_at_once_and_leave_no_descriptor() -> None:
    with all_given_back():
        stream = open_stream(StreamName.ROUTE_EVENTS)
        assert isinstance(stream, RouteEvents)
        assert stream.read() == FROM_NOW_ON
        assert stream.read() != FROM_NOW_ON
        assert stream.fileno() >= 0
        stream.close()
