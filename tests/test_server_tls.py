"""TLS, client certificates, users and reload, as the web configuration asks for them."""

import base64
import shutil
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import bcrypt
import pytest

from natobs.errors import WebConfigError
from natobs.exposition.limits import Limits
from natobs.exposition.messages import Request, Response
from natobs.exposition.tlsrules import CURVES
from natobs.exposition.webconfig import load_web_config
from natobs.exposition.webschema import WebConfig
from tests.loopback import Answer, Certificates, eventually, fetch, raw, read_all, serving


def site(_: Request) -> Response:
    return Response(200, b"natobs_conntrack_entries 1\n", "text/plain")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    certificates = Certificates(tmp_path_factory.mktemp("pki"))
    certificates.issue("client", "DNS:prometheus.example,URI:spiffe://nat/prometheus,IP:2001:db8::7")
    certificates.issue("foreign", "DNS:prometheus.example", authority="other-ca")
    return certificates


def configure(directory: Path, text: str) -> WebConfig:
    path = directory / "web.yml"
    path.write_text(text)
    return load_web_config(path)


def tls_section(extra: str = "") -> str:
    return f"tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n{extra}"


MUTUAL = "  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"
REFUSED = (ssl.SSLError, ConnectionError)
"""What a client sees whose certificate was not good enough: an alert, or with TLS 1.3 perhaps only the end."""


def test_https(pki: Certificates) -> None:
    with serving(site, config=configure(pki.directory, tls_section())) as server:
        assert fetch(server.addresses[0], tls=pki.client()).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(server.addresses[0], tls=ssl.create_default_context())
        with raw(server.addresses[0], b"GET / HTTP/1.1\r\nHost: n\r\n\r\n") as plain:
            assert b"200" not in read_all(plain)


def test_certificate_and_key_in_place(pki: Certificates) -> None:
    def block(name: str) -> str:
        return "|\n" + "".join(f"    {line}\n" for line in pki.text(name).splitlines())

    text = (
        f"tls_server_config:\n  cert: {block('server.pem')}  key: {block('server.key')}  client_ca: {block('ca.pem')}"
    )
    config = configure(pki.directory, text + "  client_auth_type: RequireAndVerifyClientCert\n")
    assert "PRIVATE" not in repr(config)
    with serving(site, config=config) as server:
        assert fetch(server.addresses[0], tls=pki.client("client")).status == 200


def test_required_client_certificates(pki: Certificates) -> None:
    with serving(site, config=configure(pki.directory, tls_section(MUTUAL))) as server:
        assert fetch(server.addresses[0], tls=pki.client("client")).status == 200
        for name in ("", "foreign"):
            with pytest.raises(REFUSED):
                fetch(server.addresses[0], tls=pki.client(name))
        assert eventually(lambda: server.connections == 0)


def test_client_certificates_verified_if_given(pki: Certificates) -> None:
    text = tls_section(MUTUAL.replace("RequireAndVerifyClientCert", "VerifyClientCertIfGiven"))
    with serving(site, config=configure(pki.directory, text)) as server:
        for name in ("", "client"):
            assert fetch(server.addresses[0], tls=pki.client(name)).status == 200
        with pytest.raises(REFUSED):
            fetch(server.addresses[0], tls=pki.client("foreign"))


@pytest.mark.parametrize(
    ("allowed", "welcome"),
    [
        ("prometheus.example", True),
        ("spiffe://nat/prometheus", True),
        ("'2001:db8::7'", True),
        ("grafana.example", False),
        ("client", False),  # the common name is no alternative name
    ],
)
def test_allowed_alternative_names(pki: Certificates, allowed: str, *, welcome: bool) -> None:
    text = tls_section(f"{MUTUAL}  client_allowed_sans: [other.example, {allowed}]\n")
    with serving(site, config=configure(pki.directory, text)) as server:
        if welcome:
            assert fetch(server.addresses[0], tls=pki.client("client")).status == 200
        else:
            with pytest.raises(REFUSED):
                fetch(server.addresses[0], tls=pki.client("client"))


def test_versions_suites_and_curve_are_enforced(pki: Certificates) -> None:
    suites = "[TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, TLS_AES_128_GCM_SHA256]"
    extra = f"  max_version: TLS12\n  cipher_suites: {suites}\n  curve_preferences: [CurveP384]\n"
    with serving(site, config=configure(pki.directory, tls_section(extra))) as server:
        context = pki.client()
        with (
            socket.create_connection(server.addresses[0]) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as client,
        ):
            assert client.version() == "TLSv1.2"
            cipher = client.cipher()
            assert cipher
            assert cipher[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(REFUSED):
            fetch(server.addresses[0], tls=context)
        wrong_curve = pki.client()
        wrong_curve.set_ecdh_curve("prime256v1")
        with pytest.raises(REFUSED):
            fetch(server.addresses[0], tls=wrong_curve)


def test_a_curve_that_this_python_does_not_take_is_refused_by_its_name(
    pki: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CURVES, "X25519", "no such curve")
    with pytest.raises(WebConfigError, match="curve_preferences: X25519 cannot be chosen with Python 3"):
        configure(pki.directory, tls_section("  curve_preferences: [X25519]\n"))


def test_a_renewed_certificate_is_used_by_the_next_connection(pki: Certificates, tmp_path: Path) -> None:
    for name in ("ca.pem", "ca.key", "server.pem", "server.key"):
        shutil.copy(pki.path(name), tmp_path / name)
    with serving(site, config=configure(tmp_path, tls_section())) as server:

        def serial() -> str:
            with (
                socket.create_connection(server.addresses[0]) as plain,
                pki.client().wrap_socket(plain, server_hostname="127.0.0.1") as client,
            ):
                certificate = client.getpeercert()
                assert certificate
                return str(certificate["serialNumber"])

        first = serial()
        assert serial() == first
        pki.issue("renewed", "IP:127.0.0.1")
        shutil.copy(pki.path("renewed.pem"), tmp_path / "server.pem")
        assert serial() == first  # the key is not there yet: the old pair stays
        shutil.copy(pki.path("renewed.key"), tmp_path / "server.key")
        assert serial() != first


def test_silent_handshakes_up_to_the_cap_hold_their_places_until_the_deadline_only(pki: Certificates) -> None:
    limits = Limits(connections=4, handshake=1.0, head=2.0)
    config = configure(pki.directory, tls_section())
    started = time.monotonic()
    with serving(site, limits, config) as server, ExitStack() as attackers:
        for _ in range(4):
            attackers.enter_context(raw(server.addresses[0]))
        assert eventually(lambda: server.connections == 4)
        assert fetch(server.addresses[0], tls=pki.client()).status == 200
        assert 1.0 <= time.monotonic() - started < 5.0  # which it is where no limit is given


def test_a_silent_handshake_does_not_delay_the_others(pki: Certificates) -> None:
    with serving(site, config=configure(pki.directory, tls_section())) as server, raw(server.addresses[0], b"\x16\x03"):
        started = time.monotonic()
        assert fetch(server.addresses[0], tls=pki.client()).status == 200
        assert time.monotonic() - started < 4.5  # before its time is over


def test_idle_tls_connections_up_to_the_cap_hold_their_places_until_the_deadline_only(pki: Certificates) -> None:
    limits = Limits(connections=4, head=1.5)
    context = pki.client()
    with serving(site, limits, configure(pki.directory, tls_section())) as server, ExitStack() as attackers:
        for _ in range(4):
            plain = attackers.enter_context(raw(server.addresses[0]))
            attackers.enter_context(context.wrap_socket(plain, server_hostname="127.0.0.1"))
        assert server.connections == 4
        started = time.monotonic()
        assert fetch(server.addresses[0], tls=pki.client()).status == 200
        assert time.monotonic() - started < 4.5


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def users(**passwords: str) -> WebConfig:
    hashes = {name: bcrypt.hashpw(text.encode()[:72], bcrypt.gensalt(4)).decode() for name, text in passwords.items()}
    return WebConfig(basic_auth_users=hashes)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (basic("alice", "open sesame"), 200),
        (basic("alice", "open"), 401),
        (basic("bob", "open sesame"), 401),
        (basic("", ""), 401),
        ({"Authorization": "Bearer open sesame"}, 401),
        ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": "Basic YWxpY2U="}, 401),  # no colon
        (basic("alice", "x" * 100), 401),
        (basic("alice", "open\0sesame"), 401),
    ],
)
@pytest.mark.parametrize("path", ["/metrics", "/healthz"])
def test_basic_authentication(headers: dict[str, str], status: int, path: str) -> None:
    with serving(site, config=users(alice="open sesame")) as server:
        answer = fetch(server.addresses[0], path, headers=headers)
        assert answer.status == status
        assert ("www-authenticate" in answer.headers) == (status == 401)


def test_a_password_beyond_what_bcrypt_reads_is_cut_as_go_does() -> None:
    with serving(site, config=users(alice="x" * 80)) as server:
        assert fetch(server.addresses[0], headers=basic("alice", "x" * 75)).status == 200


def test_bcrypt_runs_once_for_a_known_password_and_in_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        calls.append(hashed)
        time.sleep(0.02)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)

    def scrape(_: int) -> Answer:
        return fetch(server.addresses[0], headers=basic("alice", "right"))

    with serving(site, config=users(alice="right")) as server, ThreadPoolExecutor(10) as scrapers:
        assert {answer.status for answer in scrapers.map(scrape, range(20))} == {200}
        assert len(calls) == 1
        assert fetch(server.addresses[0], headers=basic("nobody", "right")).status == 401
    assert len(calls) == 2
    assert calls[0][:7] == calls[1][:7]  # an unknown user costs what a known one does


def slow_refusal(_password: bytes, _hashed: bytes) -> bool:
    time.sleep(0.1)
    return False


def test_guessing_passwords_does_not_delay_the_known_scraper(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(site, config=users(alice="right")) as server, ThreadPoolExecutor(10) as guessers:
        assert fetch(server.addresses[0], headers=basic("alice", "right")).status == 200
        monkeypatch.setattr(bcrypt, "checkpw", slow_refusal)
        guesses = [guessers.submit(fetch, server.addresses[0], headers=basic("alice", str(i))) for i in range(10)]
        assert fetch(server.addresses[0], headers=basic("alice", "right")).status == 200
        assert not all(guess.done() for guess in guesses)  # one after the other, they take a second
        assert {guess.result().status for guess in guesses} == {401}


def test_reload_from_open_to_tls_and_users_on_the_same_socket(pki: Certificates, tmp_path: Path) -> None:
    with serving(site) as server, raw(server.addresses[0], b"HEAD / HTTP/1.1\r\nHost: n\r\n\r\n") as idle:
        address = server.addresses[0]
        assert idle.recv(65536)
        server.use(server.policy(configure(pki.directory, tls_section())))
        assert idle.recv(1) == b""  # a connection made under the old rules ends
        assert fetch(address, tls=pki.client()).status == 200
        server.use(server.policy(users(alice="right")))
        assert fetch(address).status == 401
        assert fetch(address, headers=basic("alice", "right")).status == 200
        server.use(server.policy(users(alice="changed")))
        assert fetch(address, headers=basic("alice", "right")).status == 401

        broken = configure(pki.directory, tls_section())
        assert broken.tls_server_config
        for name in ("server.pem", "server.key"):
            shutil.copy(pki.path(name), tmp_path / name)
        gone = configure(tmp_path, tls_section())
        (tmp_path / "server.key").unlink()
        with pytest.raises(WebConfigError, match=r"key_file: .*server.key cannot be read"):
            server.policy(gone)
        assert fetch(address, headers=basic("alice", "changed")).status == 200


def test_headers_of_the_configuration_have_the_last_word(tmp_path: Path) -> None:
    text = (
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n    Content-Security-Policy: default-src 'self'\n"
    )

    def page(_: Request) -> Response:
        return Response(200, b"", "text/html", (("Content-Security-Policy", "default-src 'none'"),))

    with serving(page, config=configure(tmp_path, text)) as server:
        answer = fetch(server.addresses[0])
    assert answer.headers["x-frame-options"] == "deny"
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_requests_over_the_rate_limit_are_refused(tmp_path: Path) -> None:
    with serving(site, config=configure(tmp_path, "rate_limit:\n  interval: 1h\n  burst: 2\n")) as server:
        assert [fetch(server.addresses[0]).status for _ in range(3)] == [200, 200, 429]
