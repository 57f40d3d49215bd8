"""Long-lived connections over which data moves: ``python -m natobs.lab.talk ADDRESS COUNT [SECONDS]`` in a client host.

Holds connections to an echo server open. For each line on standard input, or
every SECONDS, a line is sent over each of them. Prints how many there are
(``20 connections``) once they are open; then, for each line of input, how many
answered within a second. Every SECONDS, one that was closed is opened again.
"""

import select
import socket
import sys
import time
from contextlib import suppress

from natobs.lab.servers import ECHO_PORT

_ANSWER_SECONDS = 1.0
_CONNECT_SECONDS = 5.0


def say(connections: list[socket.socket]) -> list[socket.socket]:
    """Send a line over each connection; give those that answered in time."""
    waiting: set[socket.socket] = set()
    for connection in connections:
        with suppress(OSError):  # closed by somebody else
            connection.sendall(b"natobs lab\n")
            waiting.add(connection)
    answered = []
    deadline = time.monotonic() + _ANSWER_SECONDS
    while waiting and (left := deadline - time.monotonic()) > 0:
        for connection in select.select(list(waiting), [], [], left)[0]:
            waiting.discard(connection)
            with suppress(OSError):
                if connection.recv(4096):
                    answered.append(connection)
    return answered


def keep_talking(address: str, connections: list[socket.socket], seconds: float) -> None:
    """Say something over all connections again and again, and open anew those that were closed."""
    while True:
        say(connections)
        for place, connection in enumerate(connections):
            with suppress(OSError):
                if connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == _CLOSED:
                    connections[place] = socket.create_connection((address, ECHO_PORT), _CONNECT_SECONDS)
                    connection.close()
        time.sleep(seconds)


_CLOSED = b"\x07"
"""TCP_CLOSE (include/net/tcp_states.h), the first byte of struct tcp_info."""


def main() -> None:
    """Talk as the command line says until standard input, or this process, is ended."""
    address, count, *every = sys.argv[1:]
    connections = [socket.create_connection((address, ECHO_PORT), _CONNECT_SECONDS) for _ in range(int(count))]
    _print(f"{count} connections")
    if every:
        keep_talking(address, connections, float(every[0]))
    for _line in sys.stdin:
        _print(str(len(say(connections))))


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
