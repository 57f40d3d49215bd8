import ssl
import subprocess
from pathlib import Path

import pytest
from hypothesis import given

from natobs.errors import FormatError
from natobs.wire.certificate import not_after
from tests.mutate import attempt, damaged


def element(kind: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = bytes([len(content)]) if len(content) < 128 else bytes([0x82]) + len(content).to_bytes(2, "big")
    return bytes([kind]) + size + content


def made(end: bytes, *, kind: int = 0x17, version: bool = True) -> bytes:
    signed = element(
        0x30,
        element(0xA0, element(0x02, b"\2")) if version else b"",
        element(0x02, b"\x42"),
        element(0x30, b"algorithm"),
        element(0x30, b"issuer" * 40),
        element(0x30, element(0x17, b"200101000000Z"), element(kind, end)),
        element(0x30, b"subject"),
    )
    return element(0x30, signed, element(0x30, b"algorithm"), element(0x03, b"signature"))


GOOD = made(b"300102030405Z")


def test_both_forms_of_time_are_read() -> None:
    assert not_after(GOOD) == ssl.cert_time_to_seconds("Jan  2 03:04:05 2030 GMT")
    assert not_after(made(b"20600102030405Z", kind=0x18)) == ssl.cert_time_to_seconds("Jan  2 03:04:05 2060 GMT")


def test_two_digits_mean_1950_to_2049() -> None:
    assert not_after(made(b"491231235959Z")) == ssl.cert_time_to_seconds("Dec 31 23:59:59 2049 GMT")
    assert not_after(made(b"500101000000Z")) == ssl.cert_time_to_seconds("Jan  1 00:00:00 1950 GMT")


def test_a_certificate_of_version_1_names_none() -> None:
    assert not_after(made(b"300102030405Z", version=False)) == not_after(GOOD)


@pytest.mark.parametrize("end", [b"300102030405+", b"301302030405Z", b"3001020304Z", b"\xff" * 13, b""])
def test_an_impossible_time_is_refused(end: bytes) -> None:
    with pytest.raises(FormatError):
        not_after(made(end))


@pytest.mark.parametrize("algorithm", ["rsa:2048", "ec"])
def test_openssl_says_the_same(algorithm: str, tmp_path: Path) -> None:
    curve = ["-pkeyopt", "ec_paramgen_curve:prime256v1"] if algorithm == "ec" else []
    command = ["openssl", "req", "-x509", "-newkey", algorithm, *curve, "-nodes", "-days", "4000", "-subj", "/CN=a"]
    key, pem = tmp_path / "key", tmp_path / "pem"
    subprocess.run([*command, "-keyout", str(key), "-out", str(pem)], check=True, capture_output=True)
    said = subprocess.run(["openssl", "x509", "-in", str(pem), "-noout", "-enddate"], check=True, capture_output=True)
    expected = ssl.cert_time_to_seconds(said.stdout.decode().strip().removeprefix("notAfter="))
    assert not_after(ssl.PEM_cert_to_DER_cert(pem.read_text())) == expected


@given(damaged(GOOD, made(b"20600102030405Z", kind=0x18)))
def test_damage_raises_the_one_error_or_gives_a_time(data: bytes) -> None:
    assert isinstance(attempt(not_after, data), float | None)
