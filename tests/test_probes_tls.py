import contextlib
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from natobs.errors import ConfigError
from natobs.probe_config import Expect, Tls
from natobs.probes.model import Clock, Outcome, Reason
from natobs.probes.tls import TlsKind
from tests import probing
from tests.loopback import PATIENCE, eventually
from tests.streaming import Faulty, Talk, bounded, server


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    made = Faulty(tmp_path_factory.mktemp("certificates"))
    made.issue_all()
    return made


def drain(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def outcome(port: int, certificates: Faulty, *, seconds: float = PATIENCE, days: float = 0, **tls: Any) -> Outcome:  # noqa: ANN401 - any key of the section
    settings = Tls(**({"ca_file": certificates.path("ca.pem")} | tls))
    expect = Expect(certificate_days=days)
    target = probing.target("127.0.0.1", port, kind="tls", timeout_seconds=seconds, tls=settings, expect=expect)
    return bounded(TlsKind(), target).outcome


def test_a_good_certificate_and_how_long_it_is_good(certificates: Faulty) -> None:
    began = time.monotonic()
    with server(drain, certificates.serving("server")) as port:
        got = outcome(port, certificates)
    took = time.monotonic() - began
    assert got.success
    assert list(got.phases) == ["resolve", "connect", "tls"]
    assert got.clock is Clock.TCP_INFO
    assert got.certificate_expiry is not None
    assert 1.9 < (got.certificate_expiry - time.time()) / 86_400 <= 2
    assert 0 < got.phases["tls"] < took


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("expired", "certificate has expired"),
        ("elsewhere", "IP address mismatch"),
        ("stranger", "unable to get local issuer certificate"),
    ],
)
def test_each_fault_of_a_certificate_fails_with_its_name(certificates: Faulty, name: str, words: str) -> None:
    with server(drain, certificates.serving(name)) as port:
        got = outcome(port, certificates)
    assert got.reason is Reason.TLS
    assert words in got.detail
    assert list(got.phases) == ["resolve", "connect", "tls"]
    assert got.rtt is not None


def test_the_name_that_is_sent_and_verified_can_be_chosen(certificates: Faulty) -> None:
    asked: list[str | None] = []
    context = certificates.serving("elsewhere")
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    with server(drain, context) as port:
        good = outcome(port, certificates, server_name="elsewhere.example")
        bad = outcome(port, certificates, server_name="other.example")
    assert good.success
    assert bad.reason is Reason.TLS
    assert "Hostname mismatch" in bad.detail
    assert asked == ["elsewhere.example", "other.example"]


def test_without_verification_every_certificate_will_do_and_its_end_is_still_known(certificates: Faulty) -> None:
    with server(drain, certificates.serving("expired")) as port:
        got = outcome(port, certificates, verify=False)
    assert got.success
    assert got.certificate_expiry is not None
    assert -1.1 < (got.certificate_expiry - time.time()) / 86_400 < -0.9


def test_a_certificate_that_ends_too_soon_fails(certificates: Faulty) -> None:
    with server(drain, certificates.serving("server")) as port:
        assert outcome(port, certificates, days=1).success
        got = outcome(port, certificates, days=14)
    assert got.reason is Reason.TLS
    assert "2.0 more days" in got.detail
    assert got.certificate_expiry is not None


def test_the_server_sees_a_clean_end_and_no_reset(certificates: Faulty) -> None:
    ends: list[str] = []

    def note(connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            ends.append("closed" if connection.recv(10) == b"" else "data")
        except OSError as error:
            ends.append(type(error).__name__)

    with server(note, certificates.serving("server")) as port, probing.environment() as (around, _noted):
        tls = Tls(ca_file=certificates.path("ca.pem"))
        prober = TlsKind().open(probing.target("127.0.0.1", port, kind="tls", tls=tls), around)
        assert probing.probe(prober).success
        assert eventually(lambda: bool(ends))
        prober.close()
    assert ends == ["closed"]


def test_old_protocols_fail_with_tls(certificates: Faulty) -> None:
    context = certificates.serving("server")
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with server(drain, context) as port:
        got = outcome(port, certificates)
    assert got.reason is Reason.TLS


def reset(connection: socket.socket) -> None:
    connection.recv(100)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def close(connection: socket.socket) -> None:
    connection.recv(65536)


def garbage(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 100)


def records_without_end(connection: socket.socket) -> None:
    record = b"\x16\x03\x03\x40\x00" + bytes(16384)
    while True:
        connection.sendall(record)


def alerts_without_end(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"\x15\x03\x03\x00\x02\x01\x5a" * 1000)  # warnings: no renegotiation


def echo(connection: socket.socket) -> None:
    while data := connection.recv(65536):
        connection.sendall(data)


def slow(connection: socket.socket) -> None:
    for byte in b"\x16\x03\x03\x40\x00" + bytes(100):
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def silent(connection: socket.socket) -> None:
    drain(connection)


@pytest.mark.parametrize(
    ("talk", "reasons"),
    [
        (reset, {Reason.RESET}),
        (close, {Reason.RESET}),
        (garbage, {Reason.TLS}),
        (records_without_end, {Reason.TLS, Reason.TIMEOUT}),
        (alerts_without_end, {Reason.TLS, Reason.TIMEOUT}),
        (echo, {Reason.TLS}),
        (slow, {Reason.TIMEOUT}),
        (silent, {Reason.TIMEOUT}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_hostile_server_is_never_a_success(certificates: Faulty, talk: Talk, reasons: set[Reason]) -> None:
    with server(talk) as port:
        got = outcome(port, certificates, seconds=0.8 if Reason.TIMEOUT in reasons else PATIENCE)
    assert got.reason in reasons, got
    assert list(got.phases) == ["resolve", "connect", "tls"]
    if got.reason is Reason.TIMEOUT:
        assert "TLS handshake" in got.detail
        assert got.phases["tls"] > 0.3


@pytest.mark.parametrize("cut", [1, 3, 5, 60, 120, 500])
def test_a_handshake_cut_short_is_never_a_success(certificates: Faulty, cut: int) -> None:
    context = certificates.serving("server")

    def truncated(connection: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=True)
        incoming.write(connection.recv(65536))
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        connection.sendall(outgoing.read()[:cut])

    with server(truncated) as port:
        got = outcome(port, certificates)
    assert got.reason is Reason.RESET


@pytest.mark.parametrize("content", [None, "no certificate at all"])
def test_a_file_of_authorities_that_is_none_is_refused(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    target = probing.target("127.0.0.1", 443, kind="tls", tls=Tls(ca_file=str(path)))
    with probing.environment() as (around, _noted), pytest.raises(ConfigError, match=r"tls\.ca_file"):
        TlsKind().open(target, around)


def test_a_name_that_cannot_be_one_is_refused() -> None:
    target = probing.target("127.0.0.1", 443, kind="tls", tls=Tls(server_name=".example"))
    with probing.environment() as (around, _noted), pytest.raises(ConfigError, match="cannot be a server's name"):
        TlsKind().open(target, around)


def test_definitions_that_trust_the_same_share_a_context(certificates: Faulty) -> None:
    kind = TlsKind()
    tls = Tls(ca_file=certificates.path("ca.pem"))
    with probing.environment() as (around, _noted):
        for port in range(1, 20):
            kind.open(probing.target("127.0.0.1", port, kind="tls", tls=tls), around)
    assert len(kind._contexts._made) == 1
