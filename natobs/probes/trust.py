"""TLS contexts as probe definitions ask for them, and the judgement on a server's certificate.

A context with the system's authorities takes 10 ms and 1 MB, so definitions
that ask for the same share one. Knows certificates; refuses to know sockets.
"""

import ssl
import time
from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path

from natobs.errors import ConfigError, FormatError
from natobs.probe_config import ProbeSettings
from natobs.probes.model import Reason, Target, Wait
from natobs.probes.progress import FailedError, Progress
from natobs.probes.stream import Stream
from natobs.wire import certificate

_DAY = 86_400.0


class Contexts:
    """One context for each set of authorities.

    Args:
        protocols: offered by ALPN, best first.
    """

    def __init__(self, protocols: tuple[str, ...] = ()) -> None:
        self._protocols = protocols
        self._made: dict[tuple[str, int, bool], ssl.SSLContext] = {}

    def get(self, settings: ProbeSettings) -> ssl.SSLContext:
        """The context for a definition; a file that has changed since is read again.

        Raises:
            ConfigError: the file of authorities cannot be read, or holds none.
        """
        tls = settings.tls
        try:
            written = Path(tls.ca_file).stat().st_mtime_ns if tls.ca_file else 0
            key = (tls.ca_file, written, tls.verify)
            if key not in self._made:
                context = ssl.create_default_context(cafile=tls.ca_file or None)
                # Debian 12's Python 3.11.2 takes the end of the connection for the end of the data (CPython's gh-95494)
                context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
                if not tls.verify:
                    context.check_hostname = False
                    context.verify_mode = ssl.CERT_NONE
                if self._protocols:
                    context.set_alpn_protocols(list(self._protocols))
                self._made[key] = context
        except OSError as error:  # ssl.SSLError is one: a file without a certificate
            reason = error.strerror or str(error)
            raise ConfigError(f"probe {settings.name}: tls.ca_file {tls.ca_file}: {reason}") from error
        return self._made[key]


def server_name(target: Target, context: ssl.SSLContext) -> str:
    """The name to send and to verify.

    Raises:
        ConfigError: it cannot be a server's name.
    """
    name = target.settings.tls.server_name or target.host
    try:
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=name)
    except ValueError as error:  # UnicodeError is one
        raise ConfigError(f"probe {target.settings.name}: {name!r} cannot be a server's name: {error}") from error
    return name


def handshake(
    stream: Stream, context: ssl.SSLContext, name: str, settings: ProbeSettings, progress: Progress
) -> Generator[Wait, None, ssl.SSLObject]:
    """Put TLS on a stream, and judge the certificate. The phase ``tls`` ends with the server's last message.

    Raises:
        FailedError: the handshake failed, or the certificate is not good.
    """
    progress.doing = "doing the TLS handshake"
    begun = time.monotonic()
    try:
        tls = yield from stream.secure(context, name)
    except BaseException:
        progress.spent("tls", time.monotonic() - begun)
        raise
    finally:
        progress.arrived = stream.received_at
    progress.spent("tls", stream.received_at - begun)
    _judge(settings, tls, progress)
    return tls


def _judge(settings: ProbeSettings, tls: ssl.SSLObject, progress: Progress) -> None:
    """Note when the server's certificate ends, and fail if that is too soon.

    Raises:
        FailedError: fewer days are left than ``expect.certificate_days``.
    """
    encoded = tls.getpeercert(binary_form=True)
    if encoded is None:
        return  # an anonymous cipher; no context made here allows one
    try:
        ends = certificate.not_after(encoded)
    except FormatError as error:
        raise FailedError(Reason.TLS, str(error)) from error
    progress.certificate_expiry = ends
    wanted = settings.expect.certificate_days
    left = (ends - time.time()) / _DAY
    if wanted and left < wanted:
        moment = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%d %H:%M UTC")
        raise FailedError(Reason.TLS, f"certificate: valid for {left:.1f} more days, until {moment}; {wanted:g} wanted")
