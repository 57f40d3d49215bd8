"""When bytes came, whatever was sent meanwhile."""

import select
import socket
import time
from contextlib import closing

import pytest

from natobs.probes.stamped import hold_stamping
from natobs.probes.stream import Stream

HELD_SECONDS = 0.2


def test_what_came_before_something_was_sent_has_the_time_at_which_it_came() -> None:
    """As HTTP/2 has it: settings are acknowledged while the answer lies in the kernel already."""
    hold_stamping()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _peer = listener.accept()
    client.setblocking(False)
    with server, closing(Stream(client)) as stream:
        server.sendall(b"answer")
        sent = time.monotonic()
        assert select.select([client], [], [], 5)[0]
        time.sleep(HELD_SECONDS)  # an engine that is busy elsewhere
        assert list(stream.send(b"acknowledged")) == []
        receiving = stream.receive()
        next(receiving)
        with pytest.raises(StopIteration) as end:
            next(receiving)
        assert end.value.value == b"answer"
        assert stream.received_at - sent < HELD_SECONDS / 2
        assert stream.sent_at - sent >= HELD_SECONDS
