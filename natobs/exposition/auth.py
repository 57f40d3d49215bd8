"""HTTP basic authentication against bcrypt hashes (RFC 7617).

Knows names, passwords and hashes. Refuses to know what they protect. One thread
of its own runs bcrypt, one check at a time: somebody who guesses passwords takes
one CPU at most, and no thread from the scrapers whose password is known.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

_REMEMBERED = 64
"""Verified passwords kept, as keyed hashes; more than the users of any agent."""

_BCRYPT_LIMIT = 72
"""Bytes that bcrypt looks at; exporter-toolkit cuts a longer password, so we do."""


class BasicAuth:
    """Checks ``Authorization`` headers; with no users, everybody may enter.

    Args:
        users: names to bcrypt hashes.
        executor: where bcrypt runs, with one thread.
    """

    def __init__(self, users: Mapping[str, str], executor: ThreadPoolExecutor) -> None:
        self._hashes = {name.encode(): hashed.encode() for name, hashed in users.items()}
        self._executor = executor
        self._secret = secrets.token_bytes(32)
        self._verified: dict[bytes, None] = {}  # the oldest first; changed in the executor's thread only
        # An unknown user costs what the dearest known one costs, so that time does not tell them apart.
        cost = max((hashed[4:6] for hashed in self._hashes.values()), default=b"10")
        self._nobody = b"$2b$" + cost + b"$" + b"." * 53

    async def allows(self, authorization: str) -> bool:
        """Check the header; a password that was verified before costs no bcrypt."""
        if not self._hashes:
            return True
        credentials = _decode(authorization)
        if credentials is None:
            return False
        name, password = credentials
        hashed = self._hashes.get(name, self._nobody)
        # Keyed and one-way: neither a memory dump nor a timing of the look-up gives the password away.
        mark = hmac.digest(self._secret, b"\0".join((name, hashed, password)), hashlib.sha256)
        if mark in self._verified:
            return True
        loop = asyncio.get_running_loop()
        correct = await loop.run_in_executor(self._executor, self._check, mark, password, hashed)
        return correct and name in self._hashes

    def _check(self, mark: bytes, password: bytes, hashed: bytes) -> bool:
        import bcrypt  # noqa: PLC0415 - only an agent with users pays for it

        if mark in self._verified:  # for another connection, while this one was waiting
            return True
        correct = bcrypt.checkpw(password[:_BCRYPT_LIMIT], hashed)
        if correct:
            if len(self._verified) >= _REMEMBERED:
                del self._verified[next(iter(self._verified))]
            self._verified[mark] = None
        return correct


def _decode(authorization: str) -> tuple[bytes, bytes] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (name, password) if colon else None
