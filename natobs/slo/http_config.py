"""The file behind ``--http.config.file``: how to be let in by Prometheus or Alertmanager, in Prometheus' own format.

Of the format's keys these are known: ``authorization``, ``basic_auth`` and
``tls_config``. Every other one is refused by name, never ignored. Relative paths
start at the file's directory.

Source: Prometheus, ``docs/configuration/https.md`` and ``http_config`` of ``docs/configuration/configuration.md``.
"""

import base64
import ssl
from pathlib import Path

import msgspec

from natobs.config.toml import Section, explain
from natobs.errors import ConfigError
from natobs.exposition import strict_yaml
from natobs.probes.web_request import Access


class _Secretive(Section, frozen=True):
    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class Authorization(_Secretive, frozen=True):
    """``authorization``: a token, here or in a file."""

    type: str = "Bearer"
    credentials: str = ""
    credentials_file: str = ""


class BasicAuth(_Secretive, frozen=True):
    """``basic_auth``: a name, and a password here or in a file."""

    username: str
    password: str = ""
    password_file: str = ""


class TlsConfig(_Secretive, frozen=True):
    """``tls_config``: whom to trust, and who we are."""

    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


class HttpConfig(_Secretive, frozen=True):
    """A whole file."""

    authorization: Authorization | None = None
    basic_auth: BasicAuth | None = None
    tls_config: TlsConfig | None = None


def load(path: Path) -> Access:
    """Read a file, and those that it names.

    Raises:
        ConfigError: naming the file and the dotted path of the key.
    """
    try:
        return _access(_parse(path.read_bytes()), path.parent)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _parse(text: bytes) -> HttpConfig:
    document = strict_yaml.load(text)
    try:
        return msgspec.convert({} if document is None else document, HttpConfig)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(error, HttpConfig)) from error


def _access(config: HttpConfig, directory: Path) -> Access:
    if config.authorization and config.basic_auth:
        raise ConfigError("authorization and basic_auth exclude one another")
    header = ""
    if (token := config.authorization) is not None:
        secret = _secret("authorization.credentials", token.credentials, token.credentials_file, directory)
        header = f"{token.type} {secret}"
    if (user := config.basic_auth) is not None:
        if ":" in user.username:
            raise ConfigError("basic_auth.username: a name with a colon cannot log in (RFC 7617)")
        password = _secret("basic_auth.password", user.password, user.password_file, directory)
        header = f"Basic {base64.b64encode(f'{user.username}:{password}'.encode()).decode()}"
    if not (header.isascii() and header.isprintable()):
        raise ConfigError("authorization: type and credentials must be one line of printable ASCII")
    tls = config.tls_config
    return Access(header, None if tls is None else _context(tls, directory), "" if tls is None else tls.server_name)


def _secret(where: str, here: str, file: str, directory: Path) -> str:
    if bool(here) == bool(file):
        raise ConfigError(f"{where}: needs either a value or {where}_file")
    if here:
        return here
    try:
        return (directory / file).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise ConfigError(f"{where}_file: {directory / file}: {reason}") from error


def _context(tls: TlsConfig, directory: Path) -> ssl.SSLContext:
    if bool(tls.cert_file) != bool(tls.key_file):
        raise ConfigError("tls_config: cert_file and key_file go together")
    where = "ca_file"
    try:
        context = ssl.create_default_context(cafile=str(directory / tls.ca_file) if tls.ca_file else None)
        where = "cert_file, key_file"
        if tls.cert_file:
            context.load_cert_chain(directory / tls.cert_file, directory / tls.key_file)
    except OSError as error:  # ssl.SSLError is one: a file that holds no certificate
        raise ConfigError(f"tls_config.{where}: {error.strerror or error}") from error
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
