import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from natobs.catalogue.metrics import agent, conntrack
from natobs.catalogue.types import metrics_of
from natobs.errors import ExpositionError
from natobs.exposition.encode import encode
from natobs.exposition.textfile import write_textfile
from tests.loopback import PATIENCE, eventually, reserved_port

WRITER = """
import sys
from pathlib import Path
from natobs.exposition.textfile import write_textfile
generation = 0
while True:
    generation += 1
    write_textfile(Path(sys.argv[1]), b"natobs_test %d\\n" % generation * 20000 + b"# end\\n")
"""

HOLDER = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
input()
"""


def temporaries(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name != "natobs.prom"]


def test_writes_a_file_that_everybody_may_read(tmp_path: Path) -> None:
    previous = os.umask(0o077)
    try:
        path = write_textfile(tmp_path, b"natobs_test 1\n")
    finally:
        os.umask(previous)
    assert path == tmp_path / "natobs.prom"
    assert path.read_bytes() == b"natobs_test 1\n"
    assert path.stat().st_mode & 0o777 == 0o644
    write_textfile(tmp_path, b"natobs_test 2\n")
    assert path.read_bytes() == b"natobs_test 2\n"
    assert temporaries(tmp_path) == []


def test_errors_say_which_file_and_why(tmp_path: Path) -> None:
    with pytest.raises(ExpositionError, match=r"absent/natobs\.prom: No such file or directory"):
        write_textfile(tmp_path / "absent", b"")
    for name in ("natobs.txt", "../natobs.prom", ""):
        with pytest.raises(ExpositionError, match=r"must be a plain file name that ends in \.prom"):
            write_textfile(tmp_path, b"", name)
    (tmp_path / "natobs.prom").mkdir()
    with pytest.raises(ExpositionError, match="Is a directory"):
        write_textfile(tmp_path, b"")
    assert temporaries(tmp_path) == []


def test_only_temporary_files_without_a_living_writer_are_swept(tmp_path: Path) -> None:
    dead, foreign = tmp_path / ".natobs.prom.dead.tmp", tmp_path / ".other.prom.dead.tmp"
    for path in (dead, foreign):
        path.write_text("half")
    command = [sys.executable, "-c", HOLDER, str(tmp_path / ".natobs.prom.alive.tmp")]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        write_textfile(tmp_path, b"")
        assert sorted(temporaries(tmp_path)) == [".natobs.prom.alive.tmp", ".other.prom.dead.tmp"]
        holder.kill()
    write_textfile(tmp_path, b"")
    assert temporaries(tmp_path) == [".other.prom.dead.tmp"]


def is_whole(text: bytes) -> bool:
    lines = text.splitlines()
    return lines[-1] == b"# end" and len(lines) == 20001 and len(set(lines)) == 2


def test_a_reader_never_sees_a_half_file_while_writers_are_killed(tmp_path: Path) -> None:
    path = tmp_path / "natobs.prom"
    reads = kills = 0
    generations = set()
    for i in range(15):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) as writer:
            path.unlink(missing_ok=True)
            assert eventually(path.exists)
            seen: set[bytes] = set()
            while len(seen) <= i or reads < 8 * (i + 1):
                assert writer.poll() is None
                text = path.read_bytes()
                assert is_whole(text)
                seen.add(text[:20])
                reads += 1
            generations |= seen
            writer.send_signal(signal.SIGKILL)
        kills += writer.returncode == -signal.SIGKILL
        assert is_whole(path.read_bytes())
    assert kills == 15
    assert reads >= 120
    assert len(generations) > 10
    write_textfile(tmp_path, b"natobs_test 1\n")
    assert temporaries(tmp_path) == []


def test_node_exporter_takes_the_file(tmp_path: Path) -> None:
    metrics = [*metrics_of(agent), *metrics_of(conntrack)]
    samples = [m.sample(1, *(label.domain[0] if label.domain else 'a "\\\n b' for label in m.labels)) for m in metrics]
    write_textfile(tmp_path, encode(samples).body)
    command = ["prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile"]
    with reserved_port() as port:
        command += [f"--collector.textfile.directory={tmp_path}", f"--web.listen-address=127.0.0.1:{port}"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as exporter:
            try:
                scrape = scraped(port)
            finally:
                exporter.terminate()
    assert "node_textfile_scrape_error 0" in scrape
    assert 'natobs_collector_success{collector="a \\"\\\\\\n b"} 1' in scrape
    for metric in metrics:
        assert f"\n# HELP {metric.name} {metric.help}" in scrape


def scraped(port: int) -> str:
    """The metrics of node_exporter, as soon as it answers."""
    answers: list[str] = []

    def answered() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        try:
            connection.request("GET", "/metrics")
            answers.append(connection.getresponse().read().decode())
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()
        return True

    assert eventually(answered)
    return answers[0]
