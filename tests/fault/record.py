"""The record as it lies in Postgres: what a test compares with what a target and a caller saw."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, LiteralString
from uuid import UUID

import psycopg
from psycopg.sql import SQL, Identifier

from countersign.local.state import StateDir
from countersign.recorder.bodies import BodyKeeper, Shelved
from tests.support.gateway import Gateway

ANSWERS = frozenset({"response", "stream_end"})
"""The kinds of event that end a call."""


@dataclass(frozen=True, slots=True)
class Row:
    """One event. ``text`` is everything that is kept of it, the body included."""

    index: int
    sequence: int
    session: str
    call: str
    event: str
    kind: str
    outcome: str
    status: int
    method: str
    name: str
    reason: str
    body: str
    text: str


class Record:
    """The events of a gateway's embedded database; every method reads anew, and raises ``psycopg.Error``."""

    def __init__(self, gateway: Gateway) -> None:
        self._dsn = f"host={StateDir(gateway.state.resolve()).sockets / 'pg'} user=countersign dbname=postgres"

    def size(self) -> int:
        """How many events there are."""
        [(size,)] = self.query("SELECT count(*) FROM countersign.events")
        return int(size)

    def rows(self, since: int = 0) -> list[Row]:
        """The events from that index on, in their order."""
        with psycopg.connect(self._dsn, connect_timeout=5) as connection:
            found = connection.execute(
                "SELECT e.event_id, e.index, e.sequence, e.record, b.size, b.form, b.content"
                " FROM countersign.events AS e LEFT JOIN countersign.bodies AS b USING (index)"
                " WHERE e.index >= %s ORDER BY e.index",
                (since,),
            ).fetchall()
        return [
            _row(index, sequence, record, _body(event_id, size, form, content))
            for event_id, index, sequence, record, size, form, content in found
        ]

    def query(self, statement: LiteralString, *values: object) -> list[tuple[Any, ...]]:
        """The rows that a statement gives with these values."""
        with psycopg.connect(self._dsn, connect_timeout=5) as connection:
            return connection.execute(statement, values).fetchall()

    @contextmanager
    def locked(self, table: LiteralString) -> Iterator[None]:
        """Hold the locks of all rows of a table inside the block."""
        with psycopg.connect(self._dsn, connect_timeout=5) as connection:
            connection.execute(SQL("SELECT FROM {} FOR UPDATE").format(Identifier("countersign", table)))
            yield
            connection.rollback()

    @contextmanager
    def shut(self, table: LiteralString) -> Iterator[None]:
        """Let nobody read or write a table inside the block."""
        with psycopg.connect(self._dsn, connect_timeout=5) as connection:
            connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier("countersign", table)))
            yield
            connection.rollback()

    def call(self, marker: str, since: int = 0) -> list[Row]:
        """All events of the call whose arguments hold ``marker``; empty when there is none."""
        rows = self.rows(since)
        calls = {row.call for row in rows if row.kind == "request" and marker in row.text}
        assert len(calls) <= 1, "one marker, one call"
        return [row for row in rows if row.call in calls]

    def everything(self) -> Iterator[str]:
        """Every value of every table, as text."""
        with psycopg.connect(self._dsn, connect_timeout=5) as connection:
            tables = connection.execute(
                "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
                " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for (table,) in tables:
                for (text,) in connection.execute(f"SELECT t::text FROM {table} t".encode()):
                    yield text
            for event_id, *kept in connection.execute(
                "SELECT e.event_id, b.size, b.form, b.content"
                " FROM countersign.events AS e JOIN countersign.bodies AS b USING (index)"
            ):
                yield _body(event_id, *kept).decode("utf-8", "replace")


def assert_whole(rows: Sequence[Row]) -> None:
    """Nothing lost and nothing doubled: dense indices and sequences, one request and at most one answer a call."""
    assert [row.index for row in rows] == list(range(len(rows)))
    sequences: dict[str, list[int]] = {}
    for row in rows:
        sequences.setdefault(row.session, []).append(row.sequence)
    assert all(found == list(range(len(found))) for found in sequences.values())
    assert len({row.event for row in rows}) == len(rows)
    assert _doubled([row for row in rows if row.kind in ("request", "refused")]) == []
    # A durable answer may be followed by the fact that it could not be handed over.
    assert _doubled([row for row in rows if row.kind in ANSWERS and not row.reason]) == []


def _doubled(rows: Sequence[Row]) -> list[Row]:
    counted = Counter(row.call for row in rows)
    return [row for row in rows if counted[row.call] > 1]


def _body(event_id: UUID, size: int | None, form: int | None, content: bytes | None) -> bytes:
    if size is None or form is None or content is None:
        return b""
    return BodyKeeper().open(event_id, Shelved(size, form, content)).body


def _row(index: int, sequence: int, record: str, body: bytes) -> Row:
    fact = json.loads(record)
    text = body.decode("utf-8", "replace")
    return Row(
        index=index,
        sequence=sequence,
        session=fact["session_id"],
        call=fact["call_id"],
        event=fact["event_id"],
        kind=fact["kind"],
        outcome=fact.get("decision", {}).get("outcome", ""),
        status=fact.get("status", 0),
        method=fact.get("method", ""),
        name=fact.get("name", ""),
        reason=fact.get("reason", ""),
        body=text,
        text=record + text,
    )
