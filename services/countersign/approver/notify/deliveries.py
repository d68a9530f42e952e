"""Deliveries in Postgres: the only SQL of notifications."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID, uuid5

from countersign.approver.notify.ports import Delivery, DeliveryState, News
from countersign.runtime.postgres import Writers

_NEWS = b"""
    SELECT event_id::text, approval_id, version, what, at_us FROM countersign_approvals.notices
    ORDER BY at_us, version LIMIT %s"""
# Two that address the same news: the second waits for the first's commit, and finds nothing left to delete.
_TAKE_NEWS = b"DELETE FROM countersign_approvals.notices WHERE event_id = %s"
_ADDRESS = b"""
    INSERT INTO countersign_approvals.deliveries
        (id, event_id, approval_id, version, what, at_us, channel, next_try_us, created_us)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (event_id, channel) DO NOTHING"""
_HURRY = b"""
    UPDATE countersign_approvals.deliveries SET next_try_us = %s
    WHERE approval_id = %s AND state = 'waiting' AND what IN ('asked', 'agreed')"""
_COLUMNS = b"""
    id, event_id::text, approval_id, version, what, at_us, channel, state, attempts, problem, created_us,
    next_try_us, memory"""
# What was picked is looked at again once its lock is held: another may have taken and let go of it in between.
_CLAIM = b"""
    WITH due AS (
        SELECT id, row_number() OVER (PARTITION BY channel ORDER BY next_try_us, version) AS turn
        FROM countersign_approvals.deliveries AS mine
        WHERE state = 'waiting' AND next_try_us <= %(now)s AND lease_until_us <= %(now)s AND channel <> ALL (%(busy)s)
        AND NOT EXISTS (
            SELECT 1 FROM countersign_approvals.deliveries AS earlier
            WHERE earlier.approval_id = mine.approval_id AND earlier.channel = mine.channel
            AND earlier.version < mine.version AND earlier.state = 'waiting')
    ), picked AS (
        SELECT one.id FROM countersign_approvals.deliveries AS one JOIN due ON due.id = one.id
        WHERE due.turn <= %(each)s
        AND one.state = 'waiting' AND one.next_try_us <= %(now)s AND one.lease_until_us <= %(now)s
        ORDER BY one.next_try_us LIMIT %(at_most)s FOR UPDATE OF one SKIP LOCKED
    )
    UPDATE countersign_approvals.deliveries AS one SET attempts = attempts + 1, lease_until_us = %(lease_until)s
    FROM picked WHERE one.id = picked.id RETURNING """ + b", ".join(
    b"one." + name.strip() for name in _COLUMNS.split(b",")
)
# Told is told, whoever else may be at it again by now.
_DELIVERED = b"""
    UPDATE countersign_approvals.deliveries SET state = 'delivered', memory = %s, problem = '', lease_until_us = 0,
        next_try_us = %s WHERE id = %s AND state = 'waiting'"""
_FAILED = b"""
    UPDATE countersign_approvals.deliveries AS mine SET problem = %(problem)s, lease_until_us = 0, next_try_us = CASE
        WHEN what IN ('asked', 'agreed') AND EXISTS (
            SELECT 1 FROM countersign_approvals.deliveries AS later
            WHERE later.approval_id = mine.approval_id AND later.channel = mine.channel
            AND later.version > mine.version AND later.what NOT IN ('asked', 'agreed'))
        THEN %(now)s ELSE %(next_try)s END
    WHERE id = %(id)s AND state = 'waiting' AND attempts = %(attempts)s"""
_DEAD = b"""
    UPDATE countersign_approvals.deliveries SET state = 'dead', problem = %s, lease_until_us = 0, next_try_us = %s
    WHERE id = %s AND state = 'waiting' AND attempts = %s"""
_FORGET = b"DELETE FROM countersign_approvals.deliveries WHERE id = %s AND state = 'waiting' AND attempts = %s"
_MEMORY = b"""
    SELECT memory FROM countersign_approvals.deliveries
    WHERE approval_id = %s AND channel = %s AND memory <> '' ORDER BY version DESC LIMIT 1"""
_PAGE = (
    b"SELECT "
    + _COLUMNS
    + b""" FROM countersign_approvals.deliveries
    WHERE (%(approval_id)s = '' OR approval_id = %(approval_id)s) AND (NOT %(dead)s OR state = 'dead')
    AND (%(created)s::bigint IS NULL OR (created_us, id) < (%(created)s, %(id)s))
    ORDER BY created_us DESC, id DESC LIMIT %(limit)s"""
)


class PostgresDeliveryStore:
    """See :class:`countersign.approver.notify.ports.DeliveryStore`. The store of approvals makes the tables."""

    def __init__(self, dsn: str) -> None:
        self._writers = Writers(dsn, application_name="countersign-notifier", size=2)

    async def close(self) -> None:
        """See the port."""
        await self._writers.close()

    async def news(self, limit: int) -> Sequence[News]:
        """See the port."""
        return [News(*row) for row in await self._rows(_NEWS, (limit,))]

    async def address(self, news: News, channels: Collection[str], now_us: int) -> None:
        """See the port."""
        about = (news.event_id, news.approval_id, news.version, news.what, news.at_us)
        async with self._writers.transaction() as connection:
            if (await connection.execute(_TAKE_NEWS, (news.event_id,))).rowcount == 0:
                return
            for channel in channels:
                name = str(uuid5(UUID(news.event_id), channel))
                await connection.execute(_ADDRESS, (name, *about, channel, now_us, now_us))
            if news.what not in ("asked", "agreed"):
                await connection.execute(_HURRY, (now_us, news.approval_id))

    async def claim(
        self, *, at_most: int, each: int, busy: Collection[str], lease_until_us: int, now_us: int
    ) -> Sequence[Delivery]:
        """See the port."""
        bounds = {"at_most": at_most, "each": each, "busy": list(busy), "lease_until": lease_until_us, "now": now_us}
        return [_delivery(row) for row in await self._rows(_CLAIM, bounds)]

    async def delivered(self, delivery: Delivery, memory: str, now_us: int) -> None:
        """See the port."""
        await self._change(_DELIVERED, (memory, now_us, delivery.id))

    async def failed(self, delivery: Delivery, problem: str, next_try_us: int, now_us: int) -> None:
        """See the port."""
        what = {"problem": problem, "next_try": next_try_us, "now": now_us}
        await self._change(_FAILED, {**what, "id": delivery.id, "attempts": delivery.attempts})

    async def dead(self, delivery: Delivery, problem: str, now_us: int) -> bool:
        """See the port."""
        return await self._change(_DEAD, (problem, now_us, delivery.id, delivery.attempts)) > 0

    async def forget(self, delivery: Delivery) -> None:
        """See the port."""
        await self._change(_FORGET, (delivery.id, delivery.attempts))

    async def memory(self, approval_id: str, channel: str) -> str:
        """See the port."""
        rows = await self._rows(_MEMORY, (approval_id, channel))
        return str(rows[0][0]) if rows else ""

    async def page(
        self, *, approval_id: str = "", dead: bool = False, after: tuple[int, str] | None = None, limit: int
    ) -> Sequence[Delivery]:
        """See the port."""
        created, last = after or (None, "")
        bounds = {"approval_id": approval_id, "dead": dead, "created": created, "id": last, "limit": limit}
        return [_delivery(row) for row in await self._rows(_PAGE, bounds)]

    async def _rows(self, query: bytes, parameters: Any) -> list[tuple[Any, ...]]:
        async with self._writers.transaction() as connection:
            return await (await connection.execute(query, parameters)).fetchall()

    async def _change(self, query: bytes, parameters: Any) -> int:
        async with self._writers.transaction() as connection:
            return (await connection.execute(query, parameters)).rowcount


def _delivery(row: tuple[Any, ...]) -> Delivery:
    name, event_id, approval_id, version, what, at_us, channel, state, attempts, *rest = row
    problem, created_us, next_try_us, memory = rest
    news = News(event_id, approval_id, version, what, at_us)
    return Delivery(name, news, channel, DeliveryState(state), attempts, problem, created_us, next_try_us, memory)
