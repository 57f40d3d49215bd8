"""Hold connections to an echo server and talk over them: ``python -m tests.lab.talk ADDRESS COUNT``.

For each line on standard input, sends a line over every connection and prints
how many of them answered within a second.
"""

import select
import socket
import sys
import time

SECONDS = 1.0


def say(connections: list[socket.socket]) -> int:
    for connection in connections:
        connection.sendall(b"natobs lab\n")
    waiting, deadline = set(connections), time.monotonic() + SECONDS
    while waiting and (left := deadline - time.monotonic()) > 0:
        for connection in select.select(list(waiting), [], [], left)[0]:
            connection.recv(64)
            waiting.discard(connection)
    return len(connections) - len(waiting)


def main() -> None:
    address, count = sys.argv[1], int(sys.argv[2])
    connections = [socket.create_connection((address, 7), timeout=5) for _ in range(count)]
    for _line in sys.stdin:
        sys.stdout.write(f"{say(connections)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
