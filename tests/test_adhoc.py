"""One attempt for whoever asks, where a name server hangs; the rest of it is in test_probes_service.py."""

import socket
import threading

import pytest

from natobs.exposition.adhoc import AdHoc
from natobs.exposition.messages import Request
from natobs.probes.registry import Kinds
from natobs.probes.service import ProbeService
from tests.scripted import probe_file, settings


def test_names_that_hang_leave_few_threads_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    answering = threading.Event()

    def hang(*_name: object, **_hints: object) -> list[object]:
        assert answering.wait(60)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    file = probe_file(settings(kind="tcp", targets=("a.test:80",), timeout_seconds=0.02), adhoc_targets="any")
    service = ProbeService(file, Kinds)
    adhoc = AdHoc(service, Kinds)
    before = threading.active_count()
    for number in range(10):
        answer = adhoc(Request("GET", "/probe", f"target=host{number}.test:80&module=test", {}, 5.0))
        assert b'probe_failure_info{reason="timeout"} 1' in answer.body[:]
    assert threading.active_count() - before <= 4
    answering.set()
    adhoc.close()
    service.stop()
