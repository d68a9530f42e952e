"""Appending to the record in Postgres; ``reading`` reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from importlib.resources import files
from itertools import islice
from uuid import UUID

import psycopg
from psycopg import AsyncConnection

from countersign.model.continuation import continuations
from countersign.recorder.bodies import BodyKeeper, BodyUnreadable, Shelved
from countersign.recorder.commands import (
    COMMIT,
    ROLLBACK,
    Placed,
    changes_of,
    event_keys,
    inserts,
    looks,
    next_index,
    session_states,
)
from countersign.recorder.entry import Entry, Settled
from countersign.recorder.plan import Known, Plan, plan
from countersign.recorder.ports import Unstorable
from countersign.recorder.rows import BODY_COLUMNS, EVENT_COLUMNS, copied_bodies, copied_events, ids
from countersign.recorder.stored_events import with_bodies
from countersign.runtime.migrations import load_migrations, migrate
from countersign.runtime.pipelined import Pipelined
from countersign.runtime.postgres import DatabaseUnavailable, connect_writer, safe_reason

SCHEMA = "countersign"
# Below this, single INSERTs in the same round trip as the rest beat COPY, which needs two of its own.
COPY_FROM_ROWS = 12
# How much of a chain of sealed sessions is looked at in one statement.
_CHAIN_STEP = 100
_LARGE_BYTES = 1024 * 1024

_KNOWN = (
    with_bodies(b"SELECT event_id, record, shelf, index FROM countersign.events WHERE event_id = ANY(%s::uuid[])")
    + b"""
    SELECT e.event_id, e.record, e.shelf IS NOT NULL, b.size, b.form, b.content FROM e LEFT JOIN b USING (index)"""
)
_SEALED = b"""
    SELECT session_id FROM countersign.sessions WHERE seal_index IS NOT NULL AND session_id = ANY(%s::uuid[])"""
_SHELF_FOR = b"SELECT countersign.shelf_for(%s, %s)"
_COPY_EVENTS = b"COPY countersign.events " + EVENT_COLUMNS + b" FROM STDIN (FORMAT BINARY)"
_COPY_BODIES = b"COPY countersign.bodies " + BODY_COLUMNS + b" FROM STDIN (FORMAT BINARY)"


class PostgresAppendStore:
    """The writer: one connection, one transaction a group, serialised with other recorders by the head row's lock.

    ``is_configured`` says whether gateway.yaml names a target: the bodies of others lie on one shelf. ``clock`` gives
    seconds since the epoch.
    """

    def __init__(
        self,
        dsn: str,
        *,
        keeper: BodyKeeper | None = None,
        is_configured: Callable[[str], bool] = lambda _: True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._dsn = dsn
        self._keeper = keeper or BodyKeeper()
        self._is_configured = is_configured
        self._clock = clock
        self._migrations = load_migrations(files("countersign.recorder") / "migrations")
        self._line: Pipelined | None = None
        self._shelves: dict[tuple[str, date], int] = {}
        self._last: tuple[int, UUID] | None = None

    @property
    def last(self) -> tuple[int, UUID] | None:
        """The index and the id of the last event that this recorder made durable since it started."""
        return self._last

    async def open(self) -> None:
        """See ``AppendStore.open``."""
        await self._connected()

    async def close(self) -> None:
        """See ``AppendStore.close``."""
        self._shelves.clear()
        line, self._line = self._line, None
        if line is not None:
            await line.connection.close()

    async def ping(self) -> None:
        """See ``AppendStore.ping``."""
        line = await self._connected()
        try:
            await line.connection.execute(b"SELECT 1")
        except psycopg.Error as error:
            await self.close()
            raise DatabaseUnavailable(f"the database did not answer ({safe_reason(error)})") from None

    async def append(self, entries: Sequence[Entry]) -> list[Settled]:
        """See ``AppendStore.append``."""
        line = await self._connected()
        try:
            return await self._commit(line, entries)
        except psycopg.errors.CheckViolation as error:
            await self.close()
            if error.diag.table_name == "bodies":
                # No such partition: the shelf was erased since we asked for it. The next time we ask again.
                raise DatabaseUnavailable("the shelf of a body is gone") from None
            raise Unstorable(f"the database refuses the event ({safe_reason(error)})") from None
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            await self.close()
            raise Unstorable(f"the database refuses the event ({safe_reason(error)})") from None
        except psycopg.Error as error:
            await self.close()
            raise DatabaseUnavailable(f"the database did not commit ({safe_reason(error)})") from None
        except DatabaseUnavailable:
            await self.close()
            raise
        except Exception as error:
            # Whatever an event did to us, it must not stop the others: the committer finds it and refuses it alone.
            await self.close()
            raise Unstorable(f"the event cannot be stored ({type(error).__name__})") from None
        except BaseException:
            # Cancelled in the middle: the transaction must not linger with the head's lock.
            await self.close()
            raise

    async def _connected(self) -> Pipelined:
        if self._line is None or self._line.connection.closed:
            connection = await connect_writer(self._dsn, application_name="countersign-recorder")
            try:
                await migrate(connection, SCHEMA, self._migrations)
            except BaseException:
                await connection.close()
                raise
            self._line = Pipelined(connection)
        return self._line

    async def _commit(self, line: Pipelined, entries: Sequence[Entry]) -> list[Settled]:
        """One transaction: lock the head, look what is known, write, commit: two round trips, six with COPY.

        The look must be a statement after the lock: under READ COMMITTED each statement sees what was committed before
        it began, and one that itself waits for the lock would see the past. What takes time and needs no place in the
        record is done before the lock is had.
        """
        connection = line.connection
        now = datetime.fromtimestamp(self._clock(), UTC)
        shelved = await self._shelve(connection, [one for one in entries if one.body], now)
        _, head, found, states = await line.run(*looks(entries))
        following = next_index(head)
        if following is None:
            raise DatabaseUnavailable("the head row is missing: restore the database")
        known, there = event_keys(found), session_states(states)
        todo = plan(
            entries,
            next_index=following,
            known=await self._known(connection, known) if known else {},
            sessions=there,
            open_ends={key: await _open_end(connection, key) for key, one in there.items() if one.sealed},
        )
        if not todo.rows:
            await line.run(ROLLBACK)
            return todo.verdicts
        await _write(line, todo, [shelved.get(id(row.entry)) for row in todo.rows], int(now.timestamp() * 1_000_000))
        self._last = todo.rows[-1].index, todo.rows[-1].entry.event_id
        return todo.verdicts

    async def _shelve(
        self, connection: AsyncConnection, entries: Sequence[Entry], now: datetime
    ) -> dict[int, tuple[int, Shelved]]:
        """Shut bodies away; return the shelf of each and what is to be put there, by the ``id`` of its entry."""
        month = date(now.year, now.month, 1)
        shelves = {target: await self._shelf(connection, target, month) for target in {one.target for one in entries}}
        shelved: dict[int, tuple[int, Shelved]] = {}
        for one in entries:
            if len(one.body) < _LARGE_BYTES:
                kept = self._keeper.shut(one.event_id, one.salt, one.body)
            else:
                # Long enough to keep health checks and other senders waiting.
                kept = await asyncio.to_thread(self._keeper.shut, one.event_id, one.salt, one.body)
            shelved[id(one)] = shelves[one.target], kept
        return shelved

    async def _shelf(self, connection: AsyncConnection, target: str, month: date) -> int:
        place = (target if self._is_configured(target) else ""), month
        shelf = self._shelves.get(place)
        if shelf is None:
            row = await (await connection.execute(_SHELF_FOR, place)).fetchone()
            if row is None:
                raise DatabaseUnavailable("the database did not say which shelf it made")
            shelf = self._shelves[place] = row[0]
        return shelf

    async def _known(self, connection: AsyncConnection, keys: Sequence[bytes]) -> dict[bytes, Known]:
        """What is recorded of events that are known: that takes the time only when somebody sends them again."""
        found = await connection.execute(_KNOWN, (ids(keys),), binary=True)
        known: dict[bytes, Known] = {}
        for event_id, record, has_body, *kept in await found.fetchall():
            body: bytes | None = None if has_body else b""
            if kept[2] is not None:
                try:
                    body = self._keeper.open(event_id, Shelved(*kept)).body
                except BodyUnreadable:
                    body = None
            known[event_id.bytes] = Known(record, body)
        return known


async def _open_end(connection: AsyncConnection, key: bytes) -> UUID:
    """Return the session in which a sealed one goes on: the first of its chain that is not sealed itself."""
    chain = continuations(UUID(bytes=key))
    last = UUID(bytes=key)
    while step := list(islice(chain, _CHAIN_STEP)):
        last = step[-1]
        found = await connection.execute(_SEALED, (ids([one.bytes for one in step]),), binary=True)
        sealed = {session_id for (session_id,) in await found.fetchall()}
        for one in step:
            if one not in sealed:
                return one
    return last


async def _write(line: Pipelined, todo: Plan, placed: Sequence[Placed | None], now_us: int) -> None:
    """Write what is planned, and commit it; ``placed`` are the bodies of its rows."""
    commands = [*changes_of(todo.sessions, todo.rows[-1].index, now_us), COMMIT]
    if len(todo.rows) < COPY_FROM_ROWS:
        commands = [*inserts(todo.rows, placed, now_us), *commands]
    else:
        shelves = [None if one is None else one[0] for one in placed]
        bodies = [(row.index, *one) for row, one in zip(todo.rows, placed, strict=True) if one is not None]
        await _copy(line.connection, _COPY_EVENTS, copied_events(todo.rows, shelves, now_us))
        if bodies:
            await _copy(line.connection, _COPY_BODIES, copied_bodies(bodies))
    *_, done = await line.run(*commands)
    # COMMIT of a failed transaction is answered with ROLLBACK, and without an error.
    if done.command_status != b"COMMIT":
        raise DatabaseUnavailable("the database rolled back instead of committing")


async def _copy(connection: AsyncConnection, statement: bytes, rows: bytes) -> None:
    async with connection.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(rows)
