"""Which links were used, in Postgres: the only SQL of the page."""

from __future__ import annotations

from countersign.approver.page.links import Link
from countersign.model.approval import Person
from countersign.runtime.postgres import Readers, Writers

_FORGET = b"""
    DELETE FROM countersign_approvals.used_links WHERE link_id IN (
        SELECT link_id FROM countersign_approvals.used_links WHERE until_us <= %s LIMIT 100 FOR UPDATE SKIP LOCKED)"""
# Of two at once the second waits for the first's commit, and inserts nothing.
_USE = b"""
    INSERT INTO countersign_approvals.used_links (link_id, approval_id, issuer, subject, at_us, until_us)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (link_id) DO NOTHING"""
_IS_USED = b"SELECT 1 FROM countersign_approvals.used_links WHERE link_id = %s"


class PostgresUsedLinks:
    """See ``UsedLinks``. The approver's store makes the table."""

    def __init__(self, dsn: str) -> None:
        self._readers = Readers(dsn, application_name="countersign-links", size=2)
        self._writers = Writers(dsn, application_name="countersign-links-writer", size=1)

    async def use(self, link: Link, by: Person, now_us: int) -> bool:
        """See ``UsedLinks.use``."""
        row = (link.id, link.approval_id, by.issuer, by.subject, now_us, link.until_us)
        async with self._writers.transaction() as connection:
            await connection.execute(_FORGET, (now_us,))
            return (await connection.execute(_USE, row)).rowcount == 1

    async def is_used(self, link: Link) -> bool:
        """See ``UsedLinks.is_used``."""
        async with self._readers.connection() as connection:
            found = await connection.execute(_IS_USED, (link.id,))
            return await found.fetchone() is not None

    async def close(self) -> None:
        """Let go of the database."""
        await self._readers.close()
        await self._writers.close()
