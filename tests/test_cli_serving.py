"""Signals of a process that serves, with a service made up for it.

They are sent to the test's own thread, where serving blocks them: other threads of the tests do not.
"""

import gc
import logging
import os
import signal
from collections.abc import Iterator

import pytest

from natobs.cli import serving
from natobs.errors import ConfigError, ReflectorError
from natobs.exposition.listen import Address
from tests.fakes import FakeMachine


class Served:
    listening = ("listening on 127.0.0.1:1",)
    urls = ("http://127.0.0.1:1/", "http://[::1]:1/")

    def __init__(self, *reloads: bool | Exception, ends: bool = False) -> None:
        self.summary = "3 targets"
        self.reloads = list(reloads)
        self.ends = ends
        self.checked = self.stopped = 0

    def start(self) -> None:
        """Nothing to begin."""

    def stop(self) -> None:
        self.stopped += 1

    def reload(self) -> bool:
        outcome = self.reloads.pop(0)
        signal.raise_signal(signal.SIGHUP if self.reloads else signal.SIGTERM)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def check(self) -> None:
        self.checked += 1
        if self.ends:
            raise ReflectorError("the loop has ended")
        signal.raise_signal(signal.SIGTERM)


class ExitError(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Signals as serving leaves them, back as they were; its end as an exception."""

    def leave(status: int) -> None:
        raise ExitError(status)

    monkeypatch.setattr(os, "_exit", leave)
    monkeypatch.setattr(logging, "shutdown", lambda: None)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield
    gc.unfreeze()
    signal.sigtimedwait({signal.SIGTERM, signal.SIGINT, signal.SIGHUP}, 0)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_reloads_are_told_as_they_were(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    served = Served(True, False, ConfigError("f.toml: wrong"), RuntimeError("a bug"))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    signal.raise_signal(signal.SIGHUP)
    with pytest.raises(ExitError):
        serving.serve(served, lambda: None, None)
    assert [record.message for record in caplog.records] == [
        "listening on 127.0.0.1:1",
        "probing 3 targets",
        "configuration read again",
        "SIGHUP: there is no configuration to read again",
        "the configuration stays as it was: f.toml: wrong",
        "a reload has failed",
        "stopping",
    ]
    assert served.stopped == 1


def test_a_service_that_cannot_go_on_is_stopped_and_its_error_goes_up() -> None:
    served = Served(ends=True)
    with pytest.raises(ReflectorError, match="the loop has ended"):
        serving.serve(served, lambda: None, None)
    assert (served.checked, served.stopped) == (1, 1)


@pytest.mark.parametrize(
    ("summary", "said"),
    [("3 targets", "http://127.0.0.1:1/\nhttp://[::1]:1/\n\n3 targets"), ("", "http://127.0.0.1:1/\nhttp://[::1]:1/")],
)
def test_readiness_is_told_with_urls_and_what_is_probed(summary: str, said: str) -> None:
    served = Served()
    served.summary = summary
    reading, writing = os.pipe()
    with pytest.raises(ExitError):
        serving.serve(served, lambda: None, writing)
    with os.fdopen(reading) as ready:
        assert ready.read() == said
    assert served.checked == 1


def test_a_listener_for_everybody_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    serving.warn_of_exposure([Address("127.0.0.1", 1), Address("::", 2)], FakeMachine())
    serving.warn_of_exposure([Address("::", 3)])
    said = [record.message for record in caplog.records]
    assert [text.partition(" ")[0] for text in said] == ["[::]:2", "[::]:3"]
    assert all("reachable from outside: it means every interface" in text for text in said)
