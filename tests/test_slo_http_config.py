"""The file behind ``--http.config.file``, and that secrets go only where they belong."""

import base64
import re
import ssl
from pathlib import Path

import pytest

from natobs.errors import ConfigError
from natobs.probes.web_request import Access, RequestError, WebRequests
from natobs.slo.http_config import load
from tests.loopback import Certificates
from tests.web_answers import Answering, answer, web


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("t0ken\n", "utf-8")
    (tmp_path / "password").write_text("geheim\n", "utf-8")
    return tmp_path / "http.yml"


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("", ""),
        ("authorization: {credentials: abc}", "Bearer abc"),
        ("authorization: {type: Token, credentials_file: token}", "Token t0ken"),
        ("basic_auth: {username: u, password: p}", f"Basic {base64.b64encode(b'u:p').decode()}"),
        (
            "basic_auth: {username: ü, password_file: password}",
            f"Basic {base64.b64encode('ü:geheim'.encode()).decode()}",
        ),
    ],
)
def test_who_is_asking(path: Path, text: str, header: str) -> None:
    path.write_text(text, "utf-8")
    assert load(path) == Access(header)
    assert "abc" not in repr(load(path))


def test_whom_to_trust_and_who_we_are(path: Path) -> None:
    certificates = Certificates(path.parent)
    certificates.issue("client", "DNS:client")
    text = "tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: inner.test}"
    path.write_text(text, "utf-8")
    access = load(path)
    assert access.tls is not None
    assert access.tls.verify_mode is ssl.CERT_REQUIRED
    assert [found["subject"] for found in access.tls.get_ca_certs()] == [((("commonName", "ca"),),)]
    assert access.server_name == "inner.test"
    path.write_text("tls_config: {insecure_skip_verify: true}", "utf-8")
    context = load(path).tls
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("proxy_url: http://x", "proxy_url: unknown key; known here: authorization, basic_auth, tls_config"),
        ("authorization: {token: x}", "authorization.token: unknown key; known here: credentials, credentials_file"),
        ("authorization: {}", "authorization.credentials: needs either a value or authorization.credentials_file"),
        ("authorization: {credentials: a, credentials_file: token}", "needs either a value or"),
        ("authorization: {credentials_file: missing}", "missing: No such file or directory"),
        ("authorization: {credentials: 'a\n\n  b'}", "must be one line of printable ASCII"),
        ("authorization: {credentials: é}", "must be one line of printable ASCII"),
        ("basic_auth: {password: p}", "basic_auth: Object missing required field `username`"),
        ("basic_auth: {username: 'a:b', password: p}", "a name with a colon cannot log in"),
        ("{authorization: {credentials: a}, basic_auth: {username: u, password: p}}", "exclude one another"),
        ("tls_config: {cert_file: x}", "cert_file and key_file go together"),
        ("tls_config: {ca_file: missing}", "tls_config.ca_file: No such file"),
        ("tls_config: {ca_file: token}", "tls_config.ca_file: "),
        ("tls_config: {cert_file: token, key_file: token}", "tls_config.cert_file, key_file: "),
        ("a: 1\na: 2", "line 1: a is given twice"),
        ("{", "line 1: not YAML"),
        ("[]", "Expected `object`, got `array`"),
    ],
)
def test_what_is_refused(path: Path, text: str, problem: str) -> None:
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=f"^{re.escape(str(path))}: .*{re.escape(problem)}"):
        load(path)


def test_a_file_that_is_not_there(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"http\.yml: cannot be read: No such file"):
        load(path)


def redirect(to: str) -> Answering:
    return answer(b"", "302 Found", "", f"Location: {to}")


def test_a_token_is_not_sent_to_another_origin() -> None:
    with web(end=answer(b"[]")) as other, web(end=answer(b"[]")) as served:
        served.paths["/here"] = redirect("/end")
        served.paths["/there"] = redirect(other.url("/end"))
        requests = WebRequests(5.0, 100, Access("Bearer t0ken"))
        for path in ("/here", "/there"):
            assert requests.send("GET", served.url(path, "name:password@127.0.0.1")).status == 200
    assert [b"Authorization: Bearer t0ken\r\n" in request for request in served.requests] == [True, True, True]
    assert [b"uthorization" in request for request in other.requests] == [False]
    assert not any(b"Basic" in request for request in served.requests)


def test_a_document_is_posted_once_and_its_redirect_is_an_answer() -> None:
    with web() as served:
        served.paths["/"] = redirect("/elsewhere")
        found = WebRequests(5.0, 100).send("POST", served.url("/"), {"Content-Type": "text/plain"}, b"body")
        assert found.status == 302
        served.paths["/"] = answer(b"gone")
        assert WebRequests(5.0, 100).send("DELETE", served.url("/")).body == b"gone"
    assert served.requests[0].startswith(b"POST / HTTP/1.1\r\n")
    assert served.requests[0].endswith(b"\r\n\r\nbody")
    assert served.requests[1].startswith(b"DELETE / HTTP/1.1\r\n")


def test_an_answer_that_is_too_large_is_none() -> None:
    with web() as served:
        served.paths["/"] = answer(b"x" * 101)
        with pytest.raises(RequestError, match="more than 100 bytes"):
            WebRequests(5.0, 100).send("GET", served.url("/"))
