"""Reads one URL again and again over one HTTP connection: a line on standard input, then length and body out.

Runs inside a host of the lab. The connection is kept open as Prometheus keeps
it: when the translation table is full, a new one would be dropped like any
other new flow.
"""

import http.client
import sys


def main(host: str, port: str, path: str) -> None:
    connection = http.client.HTTPConnection(host, int(port), timeout=15)
    for _request in sys.stdin:
        connection.request("GET", path)
        body = connection.getresponse().read()
        sys.stdout.write(f"{len(body)}\n")
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
