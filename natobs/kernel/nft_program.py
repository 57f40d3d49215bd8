"""The program ``nft`` of nftables: a text goes in, and takes effect as a whole or not at all.

Knows how the program is found, called and bounded in time, and which line it
complains about; refuses to know what the text says. Each text is one
transaction of the kernel (nf_tables_commit in net/netfilter/nf_tables_api.c).
"""

import os
import re
import shutil
import subprocess

from natobs.errors import AccountingError, SetupError

SECONDS = 30.0
"""nft loads this project's table in 0.03 s; a firewall of 100,000 elements beside it takes some seconds to list."""
PLACES = (os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin")
"""Debian keeps nft where the PATH of an ordinary user, or of a service, may not look."""
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
_COMPLAINT = re.compile(r"^\S*?:(\d+):[\d-]+: (Error: .*)$", re.MULTILINE)
_MOST_CHARACTERS = 400


def load(text: str, *, only_check: bool = False) -> None:
    """Have nft load a text.

    Args:
        text: in nft's language.
        only_check: ask program and kernel whether they would take it, and change nothing.

    Raises:
        SetupError: there is no nft.
        AccountingError: it refused the text, and nothing was changed; or it did not end in time.
    """
    arguments = [_program(), *(["--check"] if only_check else []), "--file", "-"]
    try:
        done = subprocess.run(
            arguments, input=text, capture_output=True, text=True, timeout=SECONDS, check=False, env=_ENVIRONMENT
        )
    except subprocess.TimeoutExpired as error:
        raise AccountingError(
            f"nft did not end within {SECONDS:.0f} s; `natobs accounting status` says what is there now"
        ) from error
    except OSError as error:
        raise SetupError(f"{arguments[0]}: {error.strerror}") from error
    if done.returncode != 0:
        raise AccountingError(complaint(done.stderr, text) or f"nft ended with status {done.returncode}")


def complaint(said: str, text: str) -> str:
    """What nft said, in one line, with the line of the text that it was about.

    Args:
        said: its standard error.
        text: what it was given.
    """
    found = _COMPLAINT.search(said)
    if found is None:
        return " ".join(said.split())[:_MOST_CHARACTERS]
    number, lines = int(found[1]), text.splitlines()
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    return f"nft: line {number}: {found[2]}" + (f": {line[:_MOST_CHARACTERS]}" if line else "")


def _program() -> str:
    found = shutil.which("nft", path=os.pathsep.join(PLACES))
    if found is None:
        raise SetupError("nft is missing; it is in the package nftables")
    return found
