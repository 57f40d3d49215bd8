import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from natobs.cli import probe, probe_once
from natobs.cli.main import natobs
from natobs.errors import ConfigError, SetupError
from natobs.exposition.listen import Address
from natobs.exposition.prober import Prober
from natobs.probe_config import load
from natobs.probes import registry
from natobs.probes.model import Attempt, Clock, IcmpError, Outcome, Reason
from natobs.probes.service import ProbeService
from natobs.probes.targeting import aim, kind_of
from tests.loopback import eventually
from tests.scripted import settings, target

DEFINITIONS = sorted((Path(__file__).parent.parent / "probes").glob("*.toml"))


@contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened.getsockname()[1]


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that nobody listens on, and nobody else can: it is bound."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def once(*words: str) -> Result:
    return CliRunner().invoke(natobs, ["probe", "once", *words])


def test_good_attempts_end_with_0_and_a_table() -> None:
    with listener() as port:
        done = once(f"127.0.0.1:{port}", "--count", "3", "--interval", "0.02")
    assert done.exit_code == 0, done.output
    assert len(re.findall(rf"^127\.0\.0\.1:{port} +tcp +good +\S+ [µm]?s +tcp_info", done.output, re.MULTILINE)) == 3
    assert f"127.0.0.1:{port} (tcp): 3 of 3 succeeded, median round trip" in done.output


def test_a_failure_ends_with_1_and_says_why(closed: int) -> None:
    with listener() as port:
        done = once(f"127.0.0.1:{port}", f"127.0.0.1:{closed}")
    assert done.exit_code == 1
    assert re.search(rf"^127\.0\.0\.1:{closed} +tcp +refused .*Connection refused", done.output, re.MULTILINE)
    assert re.search(rf"^127\.0\.0\.1:{port} +tcp +good", done.output, re.MULTILINE)


def test_json_has_everything(closed: int) -> None:
    with listener() as port:
        done = once(f"127.0.0.1:{port}", f"127.0.0.1:{closed}", "--json")
    assert done.exit_code == 1
    by_target = {found["target"]: found for found in json.loads(done.output)}
    good, bad = by_target[f"127.0.0.1:{port}"], by_target[f"127.0.0.1:{closed}"]
    assert (good["success"], good["reason"], good["clock"], good["kind"]) == (True, None, "tcp_info", "tcp")
    assert 0 < good["rtt_seconds"] <= good["duration_seconds"]
    assert list(good["phases"])[:2] == ["resolve", "connect"]
    assert (bad["success"], bad["reason"], bad["rtt_seconds"]) == (False, "refused", None)
    assert good["started"] == pytest.approx(time.time(), abs=10)


def test_silence_ends_at_its_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Attempt] = []
    monkeypatch.setattr(probe_once, "_print", shown.extend)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        done = once(f"udp://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.2")
    assert done.exit_code == 1
    (attempt,) = shown
    assert (attempt.outcome.reason, attempt.target.settings.timeout_seconds) == (Reason.TIMEOUT, 0.2)
    assert attempt.seconds >= 0.2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing argument"),
        (("ftp://example.com",), "no probe is called 'ftp'; there are https, icmp"),
        (("a:b:c",), "is no IPv6 address"),
        (("host:99999",), "expected HOST, HOST:PORT"),
        (("host:\u00b2",), "expected HOST, HOST:PORT"),
        (("host:" + "9" * 5000,), "expected HOST, HOST:PORT"),
        (("a host",), "expected HOST, HOST:PORT"),
        (("host", "--source", "eth0"), "source 'eth0' is no IP address"),
        (("host", "--kind", "tcp"), "needs a port"),
        (("https://host", "--kind", "tls"), "the probe is of the kind tls"),
        (("https://user:secret@host/",), "no names and passwords"),
        (("udp://host/path",), "has no path"),
        (("host", "--kind", "carrier-pigeon"), "Invalid value for '--kind'"),
        (("host", "--count", "0"), "Invalid value for '--count'"),
    ],
)
def test_what_cannot_be_probed_is_wrong_usage(words: tuple[str, ...], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "natobs", "probe", "once", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("example.com", "icmp"),
        ("::1", "icmp"),
        ("example.com:443", "tcp"),
        ("[::1]:22", "tcp"),
        ("https://example.com/x", "http"),
        ("http://example.com", "http"),
        ("stun://example.com", "stun"),
        ("dns://192.0.2.1/example.com/AAAA", "dns"),
    ],
)
def test_the_kind_is_guessed_from_the_form(text: str, kind: str) -> None:
    assert kind_of(text) == kind


def test_a_url_becomes_settings() -> None:
    web = settings(kind="http")
    aimed, place = aim(web, "http://example.com/a?b=c")
    assert (place, aimed.http.tls, aimed.http.path) == ("example.com:80", False, "/a?b=c")
    aimed, place = aim(web, "https://[::1]:8443")
    assert (place, aimed.http.tls, aimed.http.path) == ("[::1]:8443", True, "/")
    aimed, place = aim(settings(kind="dns"), "dns://192.0.2.1:5353/example.org/MX")
    assert (place, aimed.dns.name, aimed.dns.type) == ("192.0.2.1:5353", "example.org", "MX")
    assert aim(web, "example.com:8443") == (web, "example.com:8443")


def test_text_from_the_network_cannot_write_on_the_terminal() -> None:
    hostile = Attempt(
        target(), 0, 1.0, 0.1, 0.0, Outcome(detail="[bold]\x1b[2Jgone\r\n\u202e", observed=("192.0.2.1", 1))
    )
    assert "; ".join(probe_once._remarks(hostile)).startswith("[bold]")
    shown = probe_once._printable("; ".join(probe_once._remarks(hostile)))
    assert shown == "[bold] [2Jgone   ; seen as 192.0.2.1"


def test_json_of_what_few_probes_know() -> None:
    outcome = Outcome(
        observed=("192.0.2.1", 4711),
        path_mtu=1400,
        syn_retransmits=2,
        icmp=IcmpError(3, 4, "192.0.2.254", 1400),
        certificate_expiry=2e9,
        rtt=0.1,
        clock=Clock.USERSPACE,
    )
    found = probe_once._as_dict(Attempt(target(), 0, 1.0, 0.1, 0.0, outcome))
    assert found["observed"] == {"address": "192.0.2.1", "port": 4711}
    assert found["icmp"] == {"type": 3, "code": 4, "sender": "192.0.2.254", "mtu": 1400}
    assert (found["path_mtu_bytes"], found["syn_retransmits"], found["certificate_expiry"]) == (1400, 2, 2e9)
    assert found["clock"] == "userspace"


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "natobs.probes.dns", None)  # as if its import failed
    with pytest.raises(SetupError, match=r"probes of the kind dns need .* pip install 'natobs\[probes\]'"):
        registry.Kinds()("dns")


def test_kinds_have_the_names_under_which_they_are_found() -> None:
    kinds = registry.Kinds()
    assert [kinds(name).name for name in registry.ALL] == list(registry.ALL)
    assert kinds("tcp") is kinds("tcp")
    assert kinds("tcp") is not registry.Kinds()("tcp")


def test_kinds_are_loaded_when_they_are_used() -> None:
    code = "import sys, natobs.probes.service; print([n for n in sys.modules if n.partition('.')[0] in ('dns', 'h2')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.stem)
def test_the_ready_definitions_are_right(path: Path) -> None:
    service = ProbeService(load(path))
    service.stop()
    assert service.targets
    done = CliRunner().invoke(natobs, ["probe", "--config", str(path), "--check"])
    assert (done.exit_code, done.output) == (0, f"{path}: good, {len(service.targets)} targets\n")


def test_there_are_definitions() -> None:
    assert [path.stem for path in DEFINITIONS] == ["critical", "default"]


def test_without_anything_it_says_what_to_do() -> None:
    done = CliRunner().invoke(natobs, ["probe"])
    assert done.exit_code == 2
    assert "natobs probe once HOST" in done.output


def test_a_listener_for_everybody_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "probes.toml"
    path.write_text('[[probe]]\nname = "x"\nkind = "tcp"\ntargets = ["127.0.0.1:1"]\n', "utf-8")

    def serve(service: Prober, begun: Callable[[], None], ready_fd: int | None) -> None:
        service.stop()
        begun()

    monkeypatch.setattr(probe, "serve", serve)
    monkeypatch.setattr(Prober, "addresses", (Address("127.0.0.1", 9651), Address("::", 9651)))
    assert CliRunner().invoke(natobs, ["probe", "--config", str(path)]).exit_code == 0
    assert "[::]:9651 is reachable from outside" in caplog.text
    assert "127.0.0.1:9651 is" not in caplog.text


def test_a_wrong_file_is_wrong_usage(tmp_path: Path) -> None:
    path = tmp_path / "probes.toml"
    path.write_text('[[probe]]\nname = "x"\nkind = "pigeon"\ntargets = ["a"]\n', "utf-8")
    with pytest.raises(ConfigError, match=r"probe\[0\]\.kind"):
        load(path)
    done = subprocess.run(
        [sys.executable, "-m", "natobs", "probe", "--config", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "probes.toml: probe[0].kind: Invalid enum value 'pigeon'" in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('source = "eth0"', "probe x: source 'eth0' is no IP address"),
        ('compare = { source = "nat.test" }', "probe x: compare.source 'nat.test' is no IP address"),
    ],
)
def test_a_source_is_an_address_and_no_name_that_each_attempt_would_wait_for(
    tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / "probes.toml"
    path.write_text(f'[[probe]]\nname = "x"\nkind = "udp"\ntargets = ["a"]\n{line}\n', "utf-8")
    with pytest.raises(ConfigError, match=said):
        load(path)


@pytest.mark.parametrize(
    ("kind", "line", "said"),
    [
        (
            "tcp",
            'expect = { addresses = ["192.0.2.1/32"] }',
            "kind tcp has no use for expect.addresses: it is for stun, http",
        ),
        ("udp", "expect = { certificate_days = 9 }", "kind udp has no use for expect.certificate_days"),
        ("tls", 'http = { path = "/x" }', "kind tls has no use for http"),
        ("tcp", "payload_bytes = 1400", "kind tcp has no use for payload_bytes"),
        ("dns", "source_ports = 2", "kind dns has no use for source_ports"),
        ("http", 'http = { method = "HEAD" }\nexpect = { body = "ok" }', "answer to HEAD has no body"),
    ],
)
def test_what_a_kind_would_pass_over_is_refused(tmp_path: Path, kind: str, line: str, said: str) -> None:
    path = tmp_path / "probes.toml"
    path.write_text(f'[[probe]]\nname = "x"\nkind = "{kind}"\ntargets = ["a:1"]\n{line}\n', "utf-8")
    with pytest.raises(ConfigError, match=f"probe x: .*the {said}"):
        load(path)


def test_a_url_in_a_file_is_told_what_to_write_instead(tmp_path: Path) -> None:
    path = tmp_path / "probes.toml"
    path.write_text('[[probe]]\nname = "x"\nkind = "http"\ntargets = ["https://a.test/x"]\n', "utf-8")
    with pytest.raises(ConfigError, match=r"probe x: target 'https://a\.test/x' is a URL; expected HOST:PORT"):
        Prober(partial(load, path))


def test_the_service_probes_reloads_and_ends(tmp_path: Path) -> None:
    path = tmp_path / "probes.toml"

    def write(port: int, interval: str) -> None:
        path.write_text(
            f'[[probe]]\nname = "web"\nkind = "tcp"\ntargets = ["127.0.0.1:{port}"]\ncritical = true\n'
            f"interval_seconds = {interval}\ntimeout_seconds = 0.1\n",
            "utf-8",
        )

    with listener() as port:
        write(port, "0.1")
        reading, writing = os.pipe()
        command = [sys.executable, "-m", "natobs", "probe", "--config", str(path)]
        log = (tmp_path / "log").open("w")
        service = subprocess.Popen(
            # with few descriptors, of which it takes as many as it may
            ["sh", "-c", 'ulimit -Sn 256; exec "$@"', "sh", *command, "--listen=127.0.0.1:0", f"--ready-fd={writing}"],
            pass_fds=[writing],
            stderr=log,
        )
        os.close(writing)
        log.close()
        said = partial((tmp_path / "log").read_text, "utf-8")
        try:
            with os.fdopen(reading) as ready:
                url, _gap, summary = ready.read().partition("\n\n")
            url = url.rstrip("/")
            assert summary == "1 target"
            limit, most = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
            assert limit == most > 256
            assert attempts(url, port, above=2) > 2
            write(port, '"soon"')
            service.send_signal(signal.SIGHUP)
            assert eventually(lambda: "the configuration stays as it was" in said())
            write(port, "0.2")
            service.send_signal(signal.SIGHUP)
            before = attempts(url, port, above=2)
            assert attempts(url, port, above=before + 2) > before
            assert eventually(lambda: "configuration read again" in said())
            service.send_signal(signal.SIGTERM)
            service.wait(20)
        finally:
            service.kill()
            service.wait()
    assert service.returncode == 0
    assert "probing 1 target\n" in said()
    assert "Traceback" not in said()


def attempts(url: str, port: int, above: float, within: float = 20.0) -> float:
    """The counter of attempts, once it is above a number."""
    pattern = rf'natobs_probe_attempts_total\{{probe="web",kind="tcp",target="127\.0\.0\.1:{port}"\}} (\d+)'
    deadline = time.monotonic() + within
    while True:
        with urlopen(f"{url}/metrics", timeout=5) as response:  # noqa: S310 - always http on loopback
            found = re.search(pattern, response.read().decode())
        if found and float(found[1]) > above:
            return float(found[1])
        assert time.monotonic() < deadline
        time.sleep(0.05)
