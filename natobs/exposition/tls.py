"""The TLS section of the web configuration, as a context of Python's ssl module.

Knows OpenSSL through Python, and the certificate files, which it watches. Trusts
that the section was checked (tlsrules.py). Knows nothing of HTTP.
"""

import ipaddress
import logging
import os
import platform
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from natobs.errors import WebConfigError
from natobs.exposition.tlsrules import AUTH_TYPES, CURVES, VERSIONS, openssl_suites, wrong
from natobs.exposition.webschema import TlsSection

_log = logging.getLogger(__name__)


def build_context(section: TlsSection) -> ssl.SSLContext:
    """Make the context of a checked section, reading its files.

    Raises:
        WebConfigError: a file cannot be read, or does not hold what it should; or this Python takes no such curve.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = VERSIONS[section.min_version]
    context.maximum_version = VERSIONS[section.max_version]
    context.verify_mode = AUTH_TYPES[section.client_auth_type]
    # Go trusts every certificate of the client CA file, also one that another authority has signed.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not section.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    suites = openssl_suites(section)
    if suites:
        context.set_ciphers(":".join(suites))
    for curve in section.curve_preferences:
        _set_curve(context, curve)
    _load_pair(context, section)
    _load_authority(context, section)
    context.set_alpn_protocols(["http/1.1"])
    return context


class WatchedContext:
    """The context of a section, made anew when one of its files was replaced.

    New files that cannot be used (a certificate renewed before its key) are logged once, and the
    old context stays.

    Raises:
        WebConfigError: when it is made, as :func:`build_context`.
    """

    def __init__(self, section: TlsSection) -> None:
        self.section = section
        self._seen = self._look()
        self._context = build_context(section)

    def current(self) -> ssl.SSLContext:
        """Return the context for a new connection. Costs one ``stat`` a file when nothing changed."""
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            try:
                self._context = build_context(self.section)
                _log.info("TLS: the certificate files have changed and are in use")
            except WebConfigError as error:
                _log.warning("TLS: the changed certificate files cannot be used, the old ones stay: %s", error)
        return self._context

    def _look(self) -> list[tuple[int, int, int] | None]:
        """Identify the present state of each file; None for one that is not there."""
        section = self.section
        return [_identity(name) for name in (section.cert_file, section.key_file, section.client_ca_file) if name]


def has_allowed_name(section: TlsSection, certificate: dict[str, Any]) -> bool:
    """Whether a verified client certificate bears one of ``client_allowed_sans``; True where none are asked for.

    Args:
        section: of the configuration.
        certificate: as :meth:`ssl.SSLSocket.getpeercert` returns it. OpenSSL's form of an IPv6 address is
            brought into the usual one.
    """
    if section.client_allowed_sans is None:
        return True
    names = set()
    for kind, value in certificate.get("subjectAltName", ()):
        if kind in {"DNS", "email", "URI"}:
            names.add(value)
        elif kind == "IP Address":
            names.add(_plain_address(value))
    return not names.isdisjoint(section.client_allowed_sans)


def _plain_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return ""


def _set_curve(context: ssl.SSLContext, curve: str) -> None:
    try:
        context.set_ecdh_curve(CURVES[curve])
    except (ValueError, ssl.SSLError) as error:  # Debian 12's Python 3.11.2 takes no X25519
        problem = f"{curve} cannot be chosen with Python {platform.python_version()}; name another, or none for all"
        raise wrong("curve_preferences", problem) from error


def _load_pair(context: ssl.SSLContext, section: TlsSection) -> None:
    with ExitStack() as unwind:
        cert = section.cert_file or unwind.enter_context(_in_memory(section.cert))
        key = section.key_file or unwind.enter_context(_in_memory(section.key))
        for name, path in (("cert_file", section.cert_file), ("key_file", section.key_file)):
            if path:
                _check_readable(name, path)
        try:
            # The empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(cert, key, password="")
        except (OSError, ValueError) as error:
            where = " and ".join(filter(None, (section.cert_file or "cert", section.key_file or "key")))
            problem = _openssl_reason(error)
            raise wrong("cert_file", f"{where} are not an unencrypted PEM pair: {problem}") from error


def _load_authority(context: ssl.SSLContext, section: TlsSection) -> None:
    if section.client_ca_file:
        _check_readable("client_ca_file", section.client_ca_file)
    try:
        if section.client_ca_file:
            context.load_verify_locations(cafile=section.client_ca_file)
        elif section.client_ca:
            context.load_verify_locations(cadata=section.client_ca)
    except (OSError, ValueError) as error:
        name = "client_ca_file" if section.client_ca_file else "client_ca"
        raise wrong(name, f"holds no PEM certificate: {_openssl_reason(error)}") from error


@contextmanager
def _in_memory(pem: str) -> Iterator[str]:
    """Give a text a path, for a library that reads files only; it never reaches a disk."""
    descriptor = os.memfd_create("natobs-pem")
    with os.fdopen(descriptor, "w") as file:
        file.write(pem)
        file.flush()
        yield f"/proc/self/fd/{descriptor}"


def _check_readable(name: str, path: str) -> None:
    # OpenSSL's own errors do not say which of two files is meant.
    try:
        Path(path).open("rb").close()
    except OSError as error:
        raise wrong(name, f"{path} cannot be read: {error.strerror}") from error


def _identity(path: str) -> tuple[int, int, int] | None:
    try:
        status = Path(path).stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _openssl_reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
