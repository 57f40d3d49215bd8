from pathlib import Path

import bcrypt
import pytest

from natobs.errors import WebConfigError
from natobs.exposition.webconfig import load_web_config, parse_web_config
from natobs.exposition.webschema import WebConfig
from tests.loopback import Certificates

HASH = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"
"""The example of exporter-toolkit's documentation."""

PAIR = "tls_server_config:\n  cert_file: server.pem\n  key_file: /etc/tls/server.key\n"
MUTUAL = f"{PAIR}  client_ca_file: ca.pem\n  client_auth_type: RequireAndVerifyClientCert\n"


def parse(text: str) -> WebConfig:
    return parse_web_config(text.encode(), Path("/etc/natobs"))


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "{}", "tls_server_config:\nhttp_server_config: {}\n", "tls_server_config: {}"]
)
def test_nothing_configured_is_plain_http_open_to_all(text: str) -> None:
    assert parse(text) == WebConfig()


def test_a_full_file() -> None:
    config = parse(
        f"""
        tls_server_config:
          cert_file: server.pem
          key_file: /etc/tls/server.key
          client_auth_type: RequireAndVerifyClientCert
          client_ca_file: ../ca.pem
          client_allowed_sans: [prometheus.example]
          min_version: TLS12
          max_version: TLS13
          cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
          prefer_server_cipher_suites: false
          curve_preferences: [X25519]
        http_server_config:
          http2: false
          headers:
            X-Frame-Options: deny
            Strict-Transport-Security: max-age=31536000
        basic_auth_users:
          alice: {HASH}
        rate_limit:
          interval: 1s
          burst: 20
        """
    )
    tls = config.tls_server_config
    assert tls
    assert tls.cert_file == "/etc/natobs/server.pem"
    assert tls.key_file == "/etc/tls/server.key"
    assert tls.client_ca_file == "/etc/natobs/../ca.pem"
    assert config.http_server_config.headers["X-Frame-Options"] == "deny"
    assert config.basic_auth_users == {"alice": HASH}
    assert config.rate_limit.burst == 20


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls: {}", "tls: no such key in this format"),
        ("tls:", "tls: no such key in this format"),
        (f"{PAIR}  cert_fil: x", "tls_server_config.cert_fil: no such key in this format"),
        (f"{PAIR}  cert_fil:", "tls_server_config.cert_fil: no such key in this format"),
        ("- a", "the file: expected `object`, got `array`"),
        ("http_server_config: on", "http_server_config: expected `object`, got `bool`"),
        (f"{PAIR}  min_version: 12", "tls_server_config.min_version: expected `str`, got `int`"),
        (f"{PAIR}  cipher_suites: [1]", r"tls_server_config.cipher_suites\[0\]: expected `str`, got `int`"),
        (f"basic_auth_users: {{12: {HASH}}}", "basic_auth_users: .*as a key; put it in quotes"),
        ("basic_auth_users:\n  alice:", r"basic_auth_users.\*: expected `str`, got `null`"),
        ("a: 1\na: 2", "line 1: a is given twice"),
        ("basic_auth_users:\n  a: x\n  a: y", "line 2: a is given twice"),
        ("a: [", "line 1: not YAML"),
        ("a: \x01", "not YAML"),
    ],
)
def test_the_shape_is_strict(text: str, message: str) -> None:
    with pytest.raises(WebConfigError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls_server_config: {cert_file: a}", "key_file: missing"),
        ("tls_server_config: {key_file: a}", "cert_file: missing"),
        ("tls_server_config: {min_version: TLS13}", "cert_file: missing .or cert.; for plain HTTP remove the whole"),
        (f"{PAIR}  cert: inline", "cert: excludes cert_file"),
        (f"{PAIR}  client_auth_type: RequestClientCert", "client_auth_type: RequestClientCert: Python's ssl module"),
        (f"{PAIR}  client_auth_type: RequireAnyClientCert", "client_auth_type: RequireAnyClientCert: Python's ssl"),
        (f"{PAIR}  client_auth_type: Always", "client_auth_type: 'Always' is none of NoClientCert, Verify"),
        (f"{PAIR}  client_auth_type: RequireAndVerifyClientCert", "client_ca_file: missing"),
        (f"{PAIR}  client_ca_file: ca.pem", "client_auth_type: missing"),
        (f"{PAIR}  client_auth_type: NoClientCert\n  client_ca: x", "client_auth_type: missing"),
        (f"{PAIR}  client_allowed_sans: []", "client_allowed_sans: needs client_auth_type"),
        (f"{MUTUAL}  min_version: TLS10", "min_version: TLS10 cannot be offered"),
        (f"{MUTUAL}  max_version: TLS14", "max_version: 'TLS14' is not TLS12 or TLS13"),
        (f"{MUTUAL}  max_version: TLS12\n  min_version: TLS13", "min_version: is above max_version"),
        (
            f"{MUTUAL}  cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]",
            "cipher_suites: 'TLS_RSA_WITH_RC4_128_SHA' is none of",
        ),
        (f"{MUTUAL}  cipher_suites: [TLS_AES_128_GCM_SHA256]", "cipher_suites: names no suite of TLS 1.2"),
        (f"{MUTUAL}  curve_preferences: [P-256]", "curve_preferences: 'P-256' is none of CurveP256"),
        (f"{MUTUAL}  curve_preferences: [X25519, CurveP256]", "curve_preferences: Python's ssl module takes one curve"),
    ],
)
def test_tls_keys_that_contradict_or_cannot_be_honoured_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(WebConfigError, match=f"^tls_server_config.{message}"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http_server_config: {http2: true}", "http_server_config.http2: this server speaks HTTP/1.1 only"),
        ("http_server_config: {headers: {Server: x}}", "http_server_config.headers.Server: cannot be set"),
        ("http_server_config: {headers: {X-Frame-Options: never}}", "X-Frame-Options: 'never' is not deny or same"),
        ('http_server_config: {headers: {X-XSS-Protection: "0\\nX: y"}}', "X-XSS-Protection: a header is one line"),
        (f"basic_auth_users: {{'a:b': {HASH}}}", "basic_auth_users.a:b: a name with a colon"),
        ("basic_auth_users: {alice: secret}", "basic_auth_users.alice: not a bcrypt hash"),
        ("rate_limit: {interval: 1, burst: 1}", "rate_limit.interval: '1' is not a duration"),
        ("rate_limit: {interval: 1 s, burst: 1}", "rate_limit.interval: '1 s' is not a duration"),
        ("rate_limit: {interval: 1s}", "rate_limit.burst: must be at least 1"),
        ("rate_limit: {burst: -1}", "rate_limit.burst: cannot be negative"),
    ],
)
def test_other_values_are_checked(text: str, message: str) -> None:
    with pytest.raises(WebConfigError, match=message):
        parse(text)


def test_no_error_and_no_repr_shows_a_secret() -> None:
    word = "hunter2"
    for text in (
        f"basic_auth_users: {{alice: {word}}}",
        f"basic_auth_users:\n  alice: '{word}\n: [",
        f"x: {word}",
    ):
        with pytest.raises(WebConfigError) as caught:
            parse(text)
        assert word not in str(caught.value)
    assert HASH not in repr(parse(f"basic_auth_users: {{alice: {HASH}}}"))
    assert word not in repr(parse(f"tls_server_config: {{cert: a, key: {word}}}"))


def test_the_file_is_named_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    with pytest.raises(WebConfigError, match=r"web\.yml: cannot be read: No such file"):
        load_web_config(path)
    path.write_text("http2: true")
    with pytest.raises(WebConfigError, match=r"web\.yml: http2: no such key"):
        load_web_config(path)


def test_certificates_are_checked_when_the_file_is_loaded(tmp_path: Path) -> None:
    pki = Certificates(tmp_path)
    path = tmp_path / "web.yml"

    def load(cert: str, key: str, ca: str) -> None:
        text = f"tls_server_config:\n  cert_file: {cert}\n  key_file: {key}\n  client_ca_file: {ca}\n"
        path.write_text(f"{text}  client_auth_type: RequireAndVerifyClientCert\n")
        load_web_config(path)

    load("server.pem", "server.key", "ca.pem")
    for arguments, message in (
        (("absent.pem", "server.key", "ca.pem"), r"cert_file: .*absent\.pem cannot be read: No such file"),
        (("server.pem", ".", "ca.pem"), r"key_file: .* cannot be read: Is a directory"),
        (("server.pem", "ca.key", "ca.pem"), "cert_file: .*server.pem and .*ca.key are not an unencrypted PEM pair"),
        (("server.pem", "server.key", "server.key"), "client_ca_file: holds no PEM certificate"),
    ):
        with pytest.raises(WebConfigError, match=message):
            load(*arguments)
    assert pki.text("server.pem")


def test_the_hash_of_the_documentation_is_one_that_bcrypt_reads() -> None:
    assert bcrypt.checkpw(b"wrong", HASH.encode()) is False
