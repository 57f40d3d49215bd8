"""The bounds of the HTTP server, each with its reason.

Knows numbers only. All times are in seconds, all sizes in bytes.
"""

import math
from dataclasses import dataclass

ADHOC_AT_ONCE = 8
"""Probes under way for those who ask for one. Each holds a worker of the server: there are more workers than these."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one server, and one connection of it, may take.

    A connection holds its place for at most ``head`` (no request comes), then ``scrape + grace``
    (the answer is made) and twice ``write`` (the answer is sent, and the connection closed behind
    it). Between requests it gives its place to the next one that waits, unless
    it is one of few.

    Args:
        connections: open connections. The next ones wait in the kernel's backlog.
        kept: idle connections that are not closed for the next ones, at most half of the places: those of scrapers
            that were here before a crowd came, which shall not have to queue behind it.
        backlog: connections that the kernel keeps waiting for us, per address.
        head: from the arrival of a connection, TLS handshake included, to its complete request head; for later
            requests of the same connection, from their first byte.
        handshake: for the TLS handshake alone.
        idle: between two requests. Above the usual scrape interval of a minute, so that a scraper
            need not repeat the TLS handshake; idle connections make room when the places are taken.
        write: for one response. A scraper gives up after 10 s by default; slower readers are broken or hostile.
        life: of a connection; after it, no further request is waited for.
        sent_size: of all bodies on one connection; after it, likewise.
        linger: for the rest of a request that was refused while it was still being sent.
        scrape: for the handler, where the scraper gives no time limit; also the most that it can give.
            Prometheus' default of 10 s less the margin.
        grace: added to the handler's time before it is answered for with 503.
        head_size: size of a request head; what is larger is refused with 431. Counted in chunks of 4 KiB.
        receive_buffer: kernel memory for bytes that we have not read, per connection; the most that is read at once.
        send_buffer: kernel memory for bytes that the client has not taken, per connection. Holds a whole
            compressed exposition; the kernel's own limit is 4 MiB.
        workers: threads that run the handler and compress.
    """

    connections: int = 64
    kept: int = 8
    backlog: int = 128
    head: float = 5.0
    handshake: float = 5.0
    idle: float = 75.0
    write: float = 30.0
    life: float = math.inf
    sent_size: float = math.inf
    linger: float = 1.0
    scrape: float = 9.5
    grace: float = 0.25
    head_size: int = 16 * 1024
    receive_buffer: int = 64 * 1024
    send_buffer: int = 256 * 1024
    workers: int = 4
