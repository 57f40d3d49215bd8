"""A program beside the agent: what it leaves, every way in which it can fail, and that nothing of it stays."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from natobs.errors import UnavailableError
from natobs.kernel.worker import Ended, Worker
from tests.loopback import eventually
from tests.scripted import all_given_back


def worker(code: str, clock: Callable[[], float] = time.monotonic) -> Worker:
    return Worker([sys.executable, "-I", "-c", f"import os, sys, time\n{code}"], {"COLOUR": "blue"}, clock)


def outcome(subject: Worker, seconds: float = 20.0) -> Ended:
    found: list[Ended] = []

    def look() -> bool:
        ended = subject.poll()
        found.extend([] if ended is None else [ended])
        return bool(found)

    assert eventually(look, seconds)
    assert subject.pid is None
    return found[0]


def run(code: str, order: bytes = b"") -> Ended:
    subject = worker(code)
    subject.start(order, 20)
    return outcome(subject)


def test_the_order_comes_in_and_the_output_goes_out() -> None:
    order = os.urandom(300_000)  # more than a pipe holds
    ended = run("sys.stdout.buffer.write(sys.stdin.buffer.read()[::-1] + os.environ['COLOUR'].encode())", order)
    assert ended.output == order[::-1] + b"blue"
    assert ended.trouble == ""
    assert 0 < ended.cpu_seconds < 10


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("raise ValueError('no such thing')", "ended with status 1: ValueError: no such thing"),
        ("sys.exit(3)", "ended with status 3"),
        ("sys.stderr.buffer.write(b'x\\xff\\x1b[31m'); sys.exit(1)", "ended with status 1: x\ufffd [31m"),
        ("os.kill(os.getpid(), 11)", "was killed by signal 11"),
        ("sys.stdout.write('x' * (17 << 20))", "wrote 17825792 bytes"),
        ("sys.stderr.write('y' * (1 << 20)); sys.exit(1)", "ended with status 1: " + "y" * 300),
    ],
)
def test_what_went_wrong_is_said_in_one_line(code: str, trouble: str) -> None:
    ended = run(code)
    assert (ended.output, ended.trouble) == (b"", trouble)


def test_one_that_hangs_is_killed_in_time_and_looking_never_waits() -> None:
    now = [0.0]
    subject = worker("time.sleep(100)", lambda: now[0])
    subject.start(b"", 30)
    start = time.monotonic()
    for now[0] in (0.0, 10.0, 29.9):
        assert subject.poll() is None
    assert time.monotonic() - start < 50  # of the 100 that it sleeps
    now[0] = 30.0
    assert outcome(subject).trouble == "took too long and was killed"


def test_one_that_cannot_be_started() -> None:
    with pytest.raises(UnavailableError, match="process /nowhere/python: No such file"):
        Worker(["/nowhere/python"], {}).start(b"", 1)


def test_stopping_kills_it_and_nothing_is_left() -> None:
    with all_given_back():
        subject = worker("time.sleep(100)")
        for _time in range(3):
            subject.start(b"order", 100)
            process = psutil.Process(subject.pid)
            subject.stop()
            assert not process.is_running()
            subject.stop()
        run("pass")


def test_its_lifeline_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """The program writes down its number, waits for the end of its lifeline, and goes."""
    pidfile = tmp_path / "pid"
    program = (
        "import os, sys, pathlib; p = pathlib.Path(sys.argv[1]); p.with_suffix('.new').write_text(str(os.getpid()));"
        "p.with_suffix('.new').rename(p); os.read(int(sys.argv[2]), 1)"
    )
    owner = (
        "import sys, time; from natobs.kernel.worker import Worker\n"
        f"w = Worker([sys.executable, '-I', '-c', {program!r}, {str(pidfile)!r}], {{}}); w.start(b'', 100)\n"
        "time.sleep(100)"
    )
    with psutil.Popen([sys.executable, "-c", owner]) as parent:
        assert eventually(pidfile.exists, 20)
        child = psutil.Process(int(pidfile.read_text()))
        time.sleep(0.2)
        assert child.is_running()
        parent.kill()
    assert eventually(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
