"""What is good once, for the whole deployment: the first to take it has it, whichever replica it asks."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Protocol

from countersign.runtime.postgres import Writers

_FORGET = b"""
    DELETE FROM countersign_portal.used WHERE (kind, digest) IN (
        SELECT kind, digest FROM countersign_portal.used WHERE until_us <= %s LIMIT 100 FOR UPDATE SKIP LOCKED)"""
# Of two at once the second waits for the first's commit, and inserts nothing.
_TAKE = b"""
    INSERT INTO countersign_portal.used (kind, digest, until_us) VALUES (%s, %s, %s)
    ON CONFLICT (kind, digest) DO NOTHING"""


class Once(StrEnum):
    """What may be taken once."""

    SIGN_IN = "sign_in"
    """A browser's attempt to sign in, by its state."""
    SAML_REQUEST = "saml_request"
    """A request to a SAML identity provider, by its id, when it is answered."""
    ASSERTION = "assertion"
    """A SAML assertion, by its issuer and id."""
    HEARD = "heard"
    """A logout token or security event token, by its issuer and ``jti``."""


class UsedOnce(Protocol):
    """Remembers what was taken until nobody would take it anyway."""

    async def take(self, kind: Once, taken: str, until_us: int, now_us: int) -> bool:
        """Take it; return whether this was the first time. Durable once it returns.

        ``until_us`` (microseconds since the epoch) is when it is refused for its age, as far as that may be off.
        Raises ``countersign.runtime.postgres.DatabaseUnavailable`` when that cannot be told: then it was not taken, or
        nobody can take it any more.
        """


class PostgresUsedOnce:
    """See ``UsedOnce``. ``countersign.portal.tables`` makes the table."""

    def __init__(self, dsn: str) -> None:
        self._writers = Writers(dsn, application_name="countersign-portal-used", size=2)

    async def take(self, kind: Once, taken: str, until_us: int, now_us: int) -> bool:
        """See ``UsedOnce.take``."""
        row = (kind.value, hashlib.sha256(taken.encode("utf-8", "surrogatepass")).digest(), until_us)
        async with self._writers.transaction() as connection:
            await connection.execute(_FORGET, (now_us,))
            return (await connection.execute(_TAKE, row)).rowcount == 1

    async def close(self) -> None:
        """Let go of the database."""
        await self._writers.close()
