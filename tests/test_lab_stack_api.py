"""Answers over HTTP: whole or not at all."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from natobs.errors import LabError
from natobs.lab.stack import api

VECTOR = b'{"status":"success","data":{"resultType":"vector","result":[{"metric":{"nat":"nat1"},"value":[1.5,"7"]}]}}'


@contextmanager
def answering(body: bytes, status: int = 200) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_a_vector_is_series_with_a_value_each() -> None:
    with answering(VECTOR) as url:
        assert api.Prometheus(url).query("up") == [api.Series({"nat": "nat1"}, [(1.5, 7.0)])]
        assert api.Prometheus(url).value("up") == 7


def test_an_answer_beyond_all_bounds_is_refused_and_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_MOST_BYTES", len(VECTOR) - 1)
    with answering(VECTOR) as url, pytest.raises(LabError, match="the answer is longer than"):
        api.Prometheus(url).query("up")


def test_a_refusal_has_the_words_of_the_server() -> None:
    with answering(b"parse error", 400) as url:
        assert not api.Prometheus(url).ready()
        with pytest.raises(LabError, match="400 parse error"):
            api.Prometheus(url).query("up{")
