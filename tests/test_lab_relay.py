"""Ways of the relay, and bytes that go through one."""

import asyncio
import socket
from contextlib import suppress

import pytest

from natobs.errors import LabError
from natobs.lab.relay import LOOPBACK, Way, listening, relay


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("7=9650", Way(9650, 7)),
        ("7=9650@natobs-x-nat", Way(9650, 7, 0, "natobs-x-nat")),
        (":7001=9650@natobs-x-nat", Way(9650, None, 7001, "natobs-x-nat")),
    ],
)
def test_a_way_is_read_as_it_is_written(text: str, way: Way) -> None:
    assert Way.parse(text) == way
    assert str(way) == text


@pytest.mark.parametrize("text", ["", "7", "=9650", "x=9650", "7=port"])
def test_what_is_no_way_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Way.parse(text)


def test_a_taken_port_is_passed_over_and_named_where_there_is_no_other() -> None:
    with listening([0], "--port") as first:
        taken = first.getsockname()[1]
        with listening([taken, 0], "--port") as second:
            assert second.getsockname()[1] != taken
        with pytest.raises(LabError, match=rf"cannot listen on 127\.0\.0\.1:{taken}: .* choose another --port"):
            listening([taken], "--port")


async def through(*, served: bool) -> bytes:
    """Send a line through a relay to a server that repeats it, or to a port where nobody listens."""

    async def repeat(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.read())
        writer.close()

    server = await asyncio.start_server(repeat, LOOPBACK, 0)
    nobody = socket.socket()
    nobody.bind((LOOPBACK, 0))  # and never listens, nor can anybody else meanwhile
    port: int = (server.sockets[0] if served else nobody).getsockname()[1]
    outside = socket.create_server((LOOPBACK, 0))
    shown = outside.getsockname()[1]
    task = asyncio.create_task(relay([Way(port, outside.detach())]))
    try:
        reader, writer = await asyncio.open_connection(LOOPBACK, shown)
        writer.write(b"there and back\n")
        writer.write_eof()
        answer = b""
        with suppress(ConnectionResetError):
            answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    finally:
        task.cancel()
        await asyncio.wait([task])
        server.close()
        nobody.close()
    return answer


def test_bytes_go_through_and_come_back() -> None:
    assert asyncio.run(through(served=True)) == b"there and back\n"


def test_where_nobody_listens_the_connection_ends() -> None:
    assert asyncio.run(through(served=False)) == b""
