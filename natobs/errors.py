"""The tree of errors that natobs raises on purpose.

::

    NatobsError
    ├── CatalogueError        a row of the catalogue contradicts itself
    ├── ConfigError           the configuration file is wrong
    │   └── WebConfigError    the --web.config.file is wrong
    ├── KernelError           Linux could not be asked, or answered oddly
    │   ├── FormatError       bytes that are not what the kernel documents
    │   └── UnavailableError  the source is not there, or not for us
    ├── AccountingError       the accounting table cannot be installed or removed
    ├── CaptureError          a recorded machine cannot be written or read
    ├── ExpositionError       samples cannot be served or written
    ├── OperationsError       the record of events and maintenance cannot be read or written
    ├── MonitoringError       Prometheus or Alertmanager does not answer as needed
    ├── ReflectorError        the reflector cannot serve
    ├── LabError              the NAT lab cannot be built or reached
    └── SetupError            a program or a capability that the command needs is missing

Every class has a ``slug``, its anchor in ``docs/errors.md``. This module knows
no subject: it gives each kind of trouble one name and nothing more.
"""

from typing import ClassVar


class NatobsError(Exception):
    """Any trouble that natobs names itself; the message says what happened, where, and what to do."""

    slug: ClassVar[str] = "natobs"


class CatalogueError(NatobsError):
    """A row of the catalogue breaks a rule that it was checked against when it was built."""

    slug = "catalogue"


class ConfigError(NatobsError):
    """A configuration that cannot be used; the message starts with the file and the dotted path."""

    slug = "config"


class WebConfigError(ConfigError):
    """A ``--web.config.file`` that cannot be honoured; the message names the key."""

    slug = "web-config"


class KernelError(NatobsError):
    """Linux could not be asked for something, or its answer is of no use.

    ``reason`` is the closed word that ends up in ``natobs_collector_unavailable{reason}``.
    """

    slug = "kernel"
    reason: str = "error"


class FormatError(KernelError):
    """Bytes that are not in the format their parser documents: truncated, foreign or hostile."""

    slug = "format"
    reason = "format"


class UnavailableError(KernelError):
    """A source that is absent on this machine, or that this process may not read.

    Args:
        reason: one of ``absent``, ``permission``, ``unsupported``, ``busy``, ``timeout``, ``error``.
        detail: one sentence for a person: what was asked, what the kernel said, what would help.
    """

    slug = "unavailable"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class AccountingError(NatobsError):
    """The kernel refuses the accounting table, or a table of its name is somebody else's; nothing was changed."""

    slug = "accounting"


class CaptureError(NatobsError):
    """A recorded machine that cannot be written or replayed."""

    slug = "capture"


class ExpositionError(NatobsError):
    """Samples that cannot be served or written where the user asked."""

    slug = "exposition"


class OperationsError(NatobsError):
    """The file that keeps events and maintenance cannot be read or written; what was not acknowledged is not in it."""

    slug = "operations"


class MonitoringError(NatobsError):
    """Prometheus or Alertmanager did not answer, refused, or said something of no use; nothing is known, or changed."""

    slug = "monitoring"


class ReflectorError(NatobsError):
    """The reflector cannot listen where it was told to, or its loop has ended."""

    slug = "reflector"


class LabError(NatobsError):
    """The NAT lab cannot be built, reached or taken down."""

    slug = "lab"


class SetupError(NatobsError):
    """A program, package or capability that the command needs is missing; the message says which, and how to get it."""

    slug = "setup"
