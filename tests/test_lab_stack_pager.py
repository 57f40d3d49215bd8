"""The pager of a stack writes down what comes, and no more than it has room for."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from natobs.lab.stack import pager

FIRING = {
    "status": "firing",
    "labels": {"alertname": "NatTableFull", "nat_cluster": "game"},
    "annotations": {"summary": "full"},
    "startsAt": "2024-05-01T10:00:00.5Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://monitor:9090/graph",
    "fingerprint": "1",
}
NOTIFICATION: dict[str, Any] = {
    "version": "4",
    "groupKey": "{}:{}",
    "truncatedAlerts": 0,
    "status": "firing",
    "receiver": "page",
    "groupLabels": {"nat_cluster": "game"},
    "commonLabels": {},
    "commonAnnotations": {},
    "externalURL": "http://monitor:9093",
    "alerts": [FIRING, {**FIRING, "status": "resolved"}],
}


@contextmanager
def serving(path: Path, most: int = pager.MOST) -> Iterator[int]:
    takes = pager.Pager(path, most)
    server = pager.server(0, takes)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        takes.close()


def post(port: int, body: bytes, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", "/", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_each_alert_of_a_notification_is_a_page(tmp_path: Path) -> None:
    path = tmp_path / "pages"
    with serving(path) as port:
        assert post(port, msgspec.json.encode(NOTIFICATION)) == 200
        assert post(port, msgspec.json.encode({**NOTIFICATION, "alerts": [FIRING]})) == 200
        found = pager.pages(path.read_bytes())
    assert [(page.notification, page.status, page.name) for page in found] == [
        (1, "firing", "NatTableFull"),
        (1, "resolved", "NatTableFull"),
        (2, "firing", "NatTableFull"),
    ]
    assert found[0].receiver == "page"
    assert found[0].annotations == {"summary": "full"}
    assert found[0].group == {"nat_cluster": "game"}
    assert found[0].starts_at == "2024-05-01T10:00:00.5Z"
    assert found[0].time <= found[2].time


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"alerts": []}'])
def test_what_is_no_notification_is_refused_and_not_written(tmp_path: Path, body: bytes) -> None:
    with serving(tmp_path / "pages") as port:
        assert post(port, body) == 400
    assert (tmp_path / "pages").read_bytes() == b""


def test_a_body_beyond_all_bounds_is_not_read(tmp_path: Path) -> None:
    with serving(tmp_path / "pages") as port:
        assert post(port, b"", **{"Content-Length": str(1 << 30)}) == 413


def test_a_full_pager_refuses_whole_notifications(tmp_path: Path) -> None:
    body = msgspec.json.encode(NOTIFICATION)
    with serving(tmp_path / "pages", most=3) as port:
        assert [post(port, body), post(port, body)] == [200, 507]
    assert len(pager.pages((tmp_path / "pages").read_bytes())) == 2


def test_half_a_line_is_left_for_later(tmp_path: Path) -> None:
    with serving(tmp_path / "pages") as port:
        post(port, msgspec.json.encode(NOTIFICATION))
    content = (tmp_path / "pages").read_bytes()
    assert len(pager.pages(content[:-1])) == 1
    assert pager.pages(b"") == []
