"""A record of very many plausible events, copied into a database past the recorder, so that it takes a minute."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg

from countersign.recorder.bodies import SALT_BYTES, BodyKeeper
from countersign.recorder.store import PostgresAppendStore

FIRST = datetime(2026, 8, 3, 6, tzinfo=UTC)
STEP = timedelta(seconds=9)
TARGETS = {
    "orders": ("query", "list_orders", "refund"),
    "billing": ("invoice", "query_billing"),
    "crm": ("find_contact", "update_contact", "notes"),
    "wiki": ("search_pages", "read_page"),
    "tickets": ("list_tickets", "comment", "close_ticket"),
}
SUBJECTS = 400
SESSION_EVENTS = 20
RARE_EVERY = 100_000
_STATES = ("shipped", "open", "paid", "returned", "cancelled")
_RULES = ("analysts read", "agents ask", "night shift", "owners write")


@dataclass(slots=True)
class _Session:
    session_id: str
    first_index: int
    subject: str
    target: str
    events: int = 0
    first_us: int = 0
    last_us: int = 0
    call_id: str = ""
    name: str = ""


class ManyEvents:
    """Copies ``count`` events: calls and their answers, sixteen sessions at a time. The same for the same seed."""

    def __init__(self, count: int, *, seed: int = 7) -> None:
        self._count = count
        self._random = random.Random(seed)
        self._keeper = BodyKeeper()
        self._live: list[_Session] = []
        self.bodies_bytes = 0

    async def fill(self, dsn: str) -> None:
        """Migrate the database, and fill it."""
        store = PostgresAppendStore(dsn)
        await store.open()
        await store.close()
        with psycopg.connect(dsn) as connection:
            shelves = {
                (target, month): self._shelf(connection, target, month)
                for target in TARGETS
                for month in sorted({self._at(index).strftime("%Y-%m-01") for index in range(0, self._count, 1_000)})
            }
            last = self._at(self._count).strftime("%Y-%m-01")
            shelves |= {(target, last): self._shelf(connection, target, last) for target in TARGETS}
            sessions: list[_Session] = []
            for start in range(0, self._count, 50_000):
                rows = list(self._rows(start, min(self._count, start + 50_000), sessions, shelves))
                with connection.cursor() as cursor:
                    with cursor.copy(
                        "COPY countersign.events (index, sequence, time_us, recorded_at, event_id, session_id, call_id,"
                        " shelf, kind, outcome, target, method, name, record) FROM STDIN"
                    ) as copy:
                        for event, _ in rows:
                            copy.write_row(event)
                    with cursor.copy(
                        "COPY countersign.bodies (index, shelf, size, form, content) FROM STDIN (FORMAT BINARY)"
                    ) as copy:
                        copy.set_types(("int8", "int4", "int4", "int2", "bytea"))
                        for _, body in rows:
                            copy.write_row(body)
            self._sessions(connection, sessions)
            connection.execute("UPDATE countersign.head SET next_index = %s", (self._count,))
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    @staticmethod
    def _shelf(connection: psycopg.Connection, target: str, month: str) -> int:
        row = connection.execute("SELECT countersign.shelf_for(%s, %s)", (target, month)).fetchone()
        assert row is not None
        return int(row[0])

    @staticmethod
    def _at(index: int) -> datetime:
        return FIRST + STEP * index

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _rows(
        self, start: int, stop: int, sessions: list[_Session], shelves: dict[tuple[str, str], int]
    ) -> Iterator[tuple[tuple[object, ...], tuple[object, ...]]]:
        chance = self._random
        for index in range(start, stop):
            if len(self._live) < 16:
                target = chance.choice(tuple(TARGETS))
                subject = f"person-{int(chance.paretovariate(0.6)) % SUBJECTS}"
                self._live.append(_Session(self._id(), index, subject, target))
                sessions.append(self._live[-1])
            one = chance.choice(self._live)
            yield self._row(index, one, shelves)
            if one.events >= SESSION_EVENTS:
                self._live.remove(one)

    def _row(
        self, index: int, one: _Session, shelves: dict[tuple[str, str], int]
    ) -> tuple[tuple[object, ...], tuple[object, ...]]:
        chance = self._random
        at = self._at(index)
        time_us = int(at.timestamp() * 1_000_000)
        asks = one.events % 2 == 0
        outcome = 0
        if asks:
            one.call_id, one.name = self._id(), chance.choice(TARGETS[one.target])
            outcome = 2 if chance.random() < 0.02 else 1
        body = self._asked(index, one) if asks else self._answered(index)
        event_id = self._id()
        shelf = shelves[one.target, at.strftime("%Y-%m-01")]
        kept = self._keeper.shut(uuid.UUID(event_id), chance.randbytes(SALT_BYTES), body)
        self.bodies_bytes += len(body)
        event = (
            *(index, one.events, time_us, at, event_id, one.session_id, one.call_id, shelf, 1 if asks else 2, outcome),
            *(one.target, "tools/call", one.name, self._record(one, event_id, asks, outcome, time_us, len(body))),
        )
        one.first_us, one.last_us = one.first_us or time_us, time_us
        one.events += 1
        return event, (index, shelf, kept.size_bytes, kept.form, kept.content)

    def _record(self, one: _Session, event_id: str, asks: bool, outcome: int, time_us: int, size_bytes: int) -> str:
        chance = self._random
        fact: dict[str, object] = {
            "body_type": "application/json",
            "call_id": one.call_id,
            "commitment": f"{chance.getrandbits(256):064x}",
            "event_id": event_id,
            "kind": "request" if asks else "response",
            "method": "tools/call",
            "name": one.name,
            "recorded_us": time_us,
            "session_id": one.session_id,
            "size_bytes": size_bytes,
            "target": one.target,
            "time_us": time_us,
            "traceparent": f"00-{chance.getrandbits(128):032x}-{chance.getrandbits(64):016x}-01",
        }
        if asks:
            fact["decision"] = {
                "masks": ["pii"],
                "outcome": "deny" if outcome == 2 else "allow",
                "policy_version": "3f9a2c5d8e1b4a70",
                "reason": "",
                "rules": [chance.choice(_RULES) if outcome == 1 else "no exports"],
            }
            fact["principal"] = {
                "groups": ["analysts"],
                "issuer": "https://issuer.example",
                "kind": "person",
                "subject": one.subject,
                "token_id": one.session_id[:8],
            }
            fact["source_address"] = "192.0.2.7"
            if one.name.startswith("query"):
                fact["relations"] = ["public.orders", "public.customers"]
        else:
            fact["status"] = 200
            fact["duration_us"] = chance.randrange(1_000, 90_000)
            if chance.random() < 0.3:
                label = "passport" if chance.random() < 0.0005 else chance.choice(("email", "iban", "phone"))
                fact["findings"] = [{"count": 3, "label": label, "place": "$.result.content[0].text"}]
        return json.dumps(fact, sort_keys=True, separators=(",", ":"))

    def _asked(self, index: int, one: _Session) -> bytes:
        chance = self._random
        day = f"2026-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
        statement = (
            "SELECT o.id, o.total, o.created_at, c.name, c.city FROM public.orders AS o"
            " JOIN public.customers AS c ON c.id = o.customer_id"
            f" WHERE o.customer_id = {chance.randrange(10**6)} AND o.created_at > '{day}'"
            " ORDER BY o.created_at DESC LIMIT 50"
        )
        rare = f" needle{index // RARE_EVERY}" if index % RARE_EVERY == RARE_EVERY // 2 else ""
        reason = "The customer asks why the order has not arrived, and which of the last ones was paid twice." + rare
        return json.dumps({"arguments": {"sql": statement, "why": reason}, "name": one.name}).encode()

    def _answered(self, index: int) -> bytes:
        chance = self._random
        rows = [
            {
                "id": chance.randrange(10**6),
                "name": f"[PERSON_{chance.randrange(1, 9)}]",
                "total": f"{chance.randrange(100_000) / 100:.2f}",
                "status": chance.choice(_STATES),
            }
            for _ in range(6)
        ]
        text = json.dumps(rows)
        return json.dumps(
            {"id": index % 1_000, "jsonrpc": "2.0", "result": {"content": [{"text": text, "type": "text"}]}}
        ).encode()

    def _sessions(self, connection: psycopg.Connection, sessions: list[_Session]) -> None:
        with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY countersign.sessions (session_id, first_index, issuer, subject, groups, kind, token_id, target,"
                " first_time_us, last_time_us, event_count, allowed_count, denied_count, refused_count, finding_count)"
                " FROM STDIN"
            ) as copy,
        ):
            for one in sessions:
                copy.write_row(
                    (
                        *(one.session_id, one.first_index, "https://issuer.example", one.subject, ["analysts"]),
                        *("person", one.session_id[:8], one.target, one.first_us, one.last_us, one.events),
                        *((one.events + 1) // 2, 0, 0, 0),
                    )
                )
