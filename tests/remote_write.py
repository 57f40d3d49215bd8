"""Samples into a Prometheus by remote write, of whatever age.

Source: https://prometheus.io/docs/concepts/remote_write_spec/, and prompb/remote.proto of Prometheus.
"""

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http.client import HTTPConnection

import cramjam

Series = tuple[Mapping[str, str], Sequence[tuple[float, float]]]
"""Labels with ``__name__``, and samples: time in seconds and value, in order."""
STALE: float = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
"""The value with which Prometheus marks the end of a series (model/value/value.go)."""
ARGUMENT = "--web.enable-remote-write-receiver"
_VARINT, _DOUBLE, _BYTES = 0, 1, 2
_MOST = 20_000
"""Samples in one request."""


def write(address: str, series: Iterable[Series]) -> int:
    """Send samples; gives how many.

    Raises:
        AssertionError: Prometheus did not take them.
    """
    sent = 0
    for request in _requests(series):
        body = cramjam.snappy.compress_raw(request)
        connection = HTTPConnection(address, timeout=60)
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        connection.request("POST", "/api/v1/write", bytes(body), headers)
        answer = connection.getresponse()
        assert answer.status == 204, answer.read().decode()
        connection.close()
        sent += 1
    return sent


def _requests(series: Iterable[Series]) -> Iterator[bytes]:
    parts: list[bytes] = []
    samples = 0
    for labels, values in series:
        parts.append(_field(1, _series(labels, values)))
        samples += len(values)
        if samples >= _MOST:
            yield b"".join(parts)
            parts, samples = [], 0
    if parts:
        yield b"".join(parts)


def _series(labels: Mapping[str, str], samples: Sequence[tuple[float, float]]) -> bytes:
    named = (_field(1, _field(1, name.encode()) + _field(2, labels[name].encode())) for name in sorted(labels))
    points = (
        _field(2, _tag(1, _DOUBLE) + struct.pack("<d", value) + _tag(2, _VARINT) + _varint(round(time * 1000)))
        for time, value in samples
    )
    return b"".join((*named, *points))


def _field(number: int, content: bytes) -> bytes:
    return _tag(number, _BYTES) + _varint(len(content)) + content


def _tag(number: int, kind: int) -> bytes:
    return _varint(number << 3 | kind)


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*found, number))
