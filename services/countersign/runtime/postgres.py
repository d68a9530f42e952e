"""Connections to Postgres with the bounds that every part of the house needs.

A connection string may hold a password and an error of the server may hold values, so neither is ever shown: what
leaves this file are our own errors, whose messages are an error class and an SQLSTATE.
"""

from __future__ import annotations

import asyncio
import logging
import select
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool, PoolTimeout

CONNECT_TIMEOUT_S = 5
_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED"
# A dead TCP peer is noticed after about 25 s instead of the system's hours.
_KEEPALIVE = MappingProxyType(
    {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
)

# psycopg and its pool write why a connection broke, and with it host, user and the server's words, to their own logs.
logging.getLogger("psycopg").setLevel(logging.CRITICAL)


class DatabaseError(Exception):
    """Base of what this file raises. The message is safe to show."""


class DatabaseUnavailable(DatabaseError):
    """The database cannot be reached, or does not do its work now; the same may succeed later."""


class DatabaseMisconfigured(DatabaseError):
    """The connection string cannot be read, or the database cannot hold our texts; waiting does not help."""


def safe_reason(error: psycopg.Error) -> str:
    """Return what may be shown of an error of psycopg: its class and SQLSTATE, never its message."""
    return f"{type(error).__name__}, SQLSTATE {error.sqlstate}" if error.sqlstate else type(error).__name__


def _conninfo(dsn: str, application_name: str, settings: Mapping[str, str]) -> str:
    ours = [f"-c {name}={value}" for name, value in settings.items()]
    try:
        # Ours come last, and win: they are promises, the file's are wishes.
        options = " ".join([str(conninfo_to_dict(dsn).get("options") or ""), *ours]).strip()
        return make_conninfo(
            dsn,
            application_name=application_name,
            options=options,
            connect_timeout=CONNECT_TIMEOUT_S,
            # What we write by hand is UTF-8, whatever the string or the environment wishes.
            client_encoding="UTF8",
            **_KEEPALIVE,
        )
    except psycopg.Error:
        raise DatabaseMisconfigured(
            "the Postgres connection string cannot be read: write it as postgresql://USER@HOST:PORT/DATABASE"
        ) from None


async def connect_writer(dsn: str, *, application_name: str) -> psycopg.AsyncConnection:
    """Open a connection (autocommit) on which COMMIT returns only when the commit is on disk.

    A writer that hangs in a transaction loses its locks after 15 s, so that others can go on.
    Raises ``DatabaseUnavailable``, ``DatabaseMisconfigured``.
    """
    settings = {
        "synchronous_commit": "on",
        "default_transaction_isolation": "read\\ committed",
        "idle_in_transaction_session_timeout": "15s",
        "lock_timeout": "15s",
        "statement_timeout": "60s",
    }
    try:
        connection = await psycopg.AsyncConnection.connect(
            _conninfo(dsn, application_name, settings), autocommit=True, prepare_threshold=2
        )
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"the database cannot be reached ({safe_reason(error)})") from None
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        await connection.close()
        raise DatabaseMisconfigured(f"the database's encoding is {encoding}: make one with ENCODING 'UTF8'")
    return connection


class Readers:
    """A small pool of read-only connections; opened by the first use, healthy when handed out.

    ``planner`` are settings of the server's that say how it goes about its work.
    """

    def __init__(
        self,
        dsn: str,
        *,
        application_name: str,
        size: int = 4,
        wait_s: float = 5.0,
        statement_timeout_s: float = 30.0,
        planner: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        settings = {
            **planner,
            "default_transaction_read_only": "on",
            "statement_timeout": f"{statement_timeout_s:g}s",
            "idle_in_transaction_session_timeout": "15s",
        }
        self._pool = AsyncConnectionPool[psycopg.AsyncConnection](
            _conninfo(dsn, application_name, settings),
            kwargs={"autocommit": True},
            min_size=0,
            max_size=size,
            timeout=wait_s,
            reconnect_timeout=wait_s,
            max_idle=60.0,
            open=False,
            check=_check,
        )

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection. Raises ``DatabaseUnavailable`` for every error of Postgres, also inside the block."""
        try:
            if self._pool.closed:
                await self._pool.open()
            async with self._pool.connection() as connection:
                yield connection
        except PoolTimeout:
            raise DatabaseUnavailable("the database cannot be reached, or all readers are busy") from None
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"the database did not answer ({safe_reason(error)})") from None

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


async def _check(connection: psycopg.AsyncConnection) -> None:
    """Raise when the server is gone. It is asked only when it said something: that it ends, or that it has ended."""
    said = select.poll()
    said.register(connection.fileno(), select.POLLIN)
    if said.poll(0):
        await AsyncConnectionPool.check_connection(connection)


class Writers:
    """A few connections that write, so that many wait for one commit together; opened by their first use."""

    def __init__(self, dsn: str, *, application_name: str, size: int = 4) -> None:
        self._dsn = dsn
        self._name = application_name
        self._size = size
        self._idle: asyncio.LifoQueue[psycopg.AsyncConnection | None] = asyncio.LifoQueue()
        for _ in range(size):
            self._idle.put_nowait(None)

    @asynccontextmanager
    async def transaction(self, *, commit_on: type[Exception] | None = None) -> AsyncIterator[psycopg.AsyncConnection]:
        """Lend a connection for one transaction (READ COMMITTED), durable once the block is left.

        An error of ``commit_on`` commits, too, and goes on; any other leaves nothing behind. Raises
        ``DatabaseUnavailable`` for every error of Postgres; it may have committed when it was the commit that failed.
        """
        connection = await self._idle.get()
        kept: psycopg.AsyncConnection | None = None
        try:
            connection = await self._begin(connection)
            refusal: Exception | None = None
            try:
                yield connection
            except Exception as error:
                if commit_on is None or not isinstance(error, commit_on):
                    raise
                refusal = error
            done = await connection.execute(b"COMMIT")
            # COMMIT of a failed transaction is answered with ROLLBACK, and without an error.
            if done.statusmessage != "COMMIT":
                raise DatabaseUnavailable("the database rolled back instead of committing")
            kept = connection
            if refusal is not None:
                raise refusal
        except psycopg.Error as error:
            raise DatabaseUnavailable(f"the database did not commit ({safe_reason(error)})") from None
        finally:
            # Cancelled or failed in the middle: the transaction must not linger with its locks.
            if kept is None and connection is not None:
                await connection.close()
            self._idle.put_nowait(kept)

    async def close(self) -> None:
        """Close all connections, once what they do is done."""
        for connection in [await self._idle.get() for _ in range(self._size)]:
            self._idle.put_nowait(None)
            if connection is not None:
                await connection.close()

    async def _begin(self, connection: psycopg.AsyncConnection | None) -> psycopg.AsyncConnection:
        """Begin on a connection, or on a new one where it broke since its last use: nothing was done on it yet."""
        if connection is not None and not connection.closed:
            try:
                await connection.execute(_BEGIN)
            except psycopg.OperationalError:
                await connection.close()
            else:
                return connection
        connection = await connect_writer(self._dsn, application_name=self._name)
        try:
            # A statement whose client is gone ends, and with it its locks, wherever the server's system can tell.
            with suppress(psycopg.errors.InvalidParameterValue):
                await connection.execute(b"SET client_connection_check_interval = '500ms'")
            await connection.execute(_BEGIN)
        except BaseException:
            await connection.close()
            raise
        return connection


async def can_connect(dsn: str) -> bool:
    """Whether the database takes connections now."""
    try:
        connection = await connect_writer(dsn, application_name="countersign-probe")
    except DatabaseError:
        return False
    await connection.close()
    return True
