"""Which values of the TLS section can be honoured by Python's ssl module.

Knows the names of Go's crypto/tls and OpenSSL's for the same things. Opens no
file: tls.py does. What cannot be honoured exactly is refused by name.
"""

import ssl

from natobs.errors import WebConfigError
from natobs.exposition.webschema import TlsSection

AUTH_TYPES = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_UNVERIFIED_AUTH_TYPES = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
"""Policies that take a certificate without verifying it; the last is an old spelling of the second."""

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_OLD_VERSIONS = ("TLS10", "TLS11")
CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_TLS13_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
SUITES = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for go, openssl in (
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}
"""Names of Go's ``tls.CipherSuites()`` for TLS 1.2, and OpenSSL's for the same suites."""


def check_tls(section: TlsSection) -> None:
    """Check a section without opening its files.

    Raises:
        WebConfigError: beginning with the dotted path of the key.
    """
    _check_sources(section)
    _check_client_auth(section)
    _check_versions(section)
    _check_algorithms(section)


def wrong(key: str, problem: str) -> WebConfigError:
    """Make the error for a key of this section."""
    return WebConfigError(f"tls_server_config.{key}: {problem}")


def openssl_suites(section: TlsSection) -> list[str]:
    """Translate the suites of TLS 1.2; those of TLS 1.3 cannot be chosen, in Go neither."""
    return [SUITES[suite] for suite in section.cipher_suites if suite in SUITES]


def _check_sources(section: TlsSection) -> None:
    for name in ("cert", "key", "client_ca"):
        if getattr(section, name) and getattr(section, f"{name}_file"):
            raise wrong(name, f"excludes {name}_file: give one of the two")
    for name in ("cert", "key"):
        if not getattr(section, name) and not getattr(section, f"{name}_file"):
            raise wrong(f"{name}_file", f"missing (or {name}); for plain HTTP remove the whole section")


def _check_client_auth(section: TlsSection) -> None:
    kind = section.client_auth_type
    if kind in _UNVERIFIED_AUTH_TYPES:
        raise wrong("client_auth_type", f"{kind}: Python's ssl module cannot take a certificate without verifying it")
    if kind not in AUTH_TYPES:
        raise wrong("client_auth_type", f"{kind!r} is none of {', '.join(filter(None, AUTH_TYPES))}")
    mode = AUTH_TYPES[kind]
    has_authority = bool(section.client_ca or section.client_ca_file)
    if has_authority and not mode:
        raise wrong("client_auth_type", "missing, while a client CA is given")
    if mode and not has_authority:
        raise wrong("client_ca_file", f"missing (or client_ca): {kind} would trust the clients of any public authority")
    if section.client_allowed_sans is not None and mode is not ssl.CERT_REQUIRED:
        raise wrong("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert")


def _check_versions(section: TlsSection) -> None:
    for name, version in (("min_version", section.min_version), ("max_version", section.max_version)):
        if version in _OLD_VERSIONS:
            raise wrong(name, f"{version} cannot be offered: OpenSSL forbids it at its default security level")
        if version not in VERSIONS:
            raise wrong(name, f"{version!r} is not {' or '.join(VERSIONS)}")
    if VERSIONS[section.min_version] > VERSIONS[section.max_version]:
        raise wrong("min_version", "is above max_version")


def _check_algorithms(section: TlsSection) -> None:
    for suite in section.cipher_suites:
        if suite not in SUITES and suite not in _TLS13_SUITES:
            raise wrong("cipher_suites", f"{suite!r} is none of {', '.join([*SUITES, *_TLS13_SUITES])}")
    if section.cipher_suites and section.min_version == "TLS12" and not openssl_suites(section):
        raise wrong("cipher_suites", "names no suite of TLS 1.2; to forbid TLS 1.2 set min_version: TLS13")
    for curve in section.curve_preferences:
        if curve not in CURVES:
            raise wrong("curve_preferences", f"{curve!r} is none of {', '.join(CURVES)}")
    if len(section.curve_preferences) > 1:
        raise wrong("curve_preferences", "Python's ssl module takes one curve, not a list; name one or none")
