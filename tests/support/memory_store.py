"""A store in memory that keeps the promises of the real one, for tests of what stands before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from countersign.model.continuation import continuations
from countersign.recorder.entry import Entry, Settled, searchable
from countersign.recorder.plan import Known, SessionChange, SessionState, plan
from countersign.recorder.ports import (
    CallFilter,
    FactPage,
    SealRow,
    SessionFilter,
    SessionRow,
    StoredEvent,
    StoredFact,
    Unstorable,
)
from countersign.recorder.search.facets import details_of
from countersign.runtime.postgres import DatabaseUnavailable

PAGE_EVENTS = 3


class MemoryStore:
    """Both sides of the store. Set ``away`` to make it unavailable; ``poison`` holds event ids that it refuses."""

    def __init__(self) -> None:
        self.away = False
        self.lose_acknowledgement = False
        self.poison: set[UUID] = set()
        self.commits: list[int] = []
        self.rows: list[tuple[int, int, Entry]] = []
        self._sessions: dict[UUID, SessionRow] = {}

    async def open(self) -> None:
        """See ``AppendStore``."""
        await self.ping()

    async def ping(self) -> None:
        """See ``AppendStore``."""
        if self.away:
            raise DatabaseUnavailable("away")

    async def close(self) -> None:
        """See ``AppendStore``."""

    async def append(self, entries: Sequence[Entry]) -> list[Settled]:
        """See ``AppendStore``."""
        await self.ping()
        if any(entry.event_id in self.poison for entry in entries):
            raise Unstorable("poison")
        todo = plan(
            entries,
            next_index=len(self.rows),
            known={entry.event_key: Known(entry.record, entry.body) for *_, entry in self.rows},
            sessions={session_id.bytes: _state(row) for session_id, row in self._sessions.items()},
            open_ends={one.bytes: self._open_end(one) for one, row in self._sessions.items() if row.seal is not None},
        )
        self.rows += [(row.index, row.sequence, row.entry) for row in todo.rows]
        for change in todo.sessions:
            self._change(change)
        self.commits.append(len(todo.rows))
        if self.lose_acknowledgement:
            self.lose_acknowledgement = False
            raise DatabaseUnavailable("the connection was lost after COMMIT")
        return todo.verdicts

    def _open_end(self, session_id: UUID) -> UUID:
        sealed = {one for one, row in self._sessions.items() if row.seal is not None}
        return next(one for one in continuations(session_id) if one not in sealed)

    def _change(self, change: SessionChange) -> None:
        before = self._sessions.get(UUID(bytes=change.continues_key)) if change.continues_key else None
        who = change.who if before is None or change.who.subject else before.who
        old = self._sessions.get(change.session_id) or SessionRow(
            *(change.session_id, change.first_index, who, change.target),
            *(change.first_time_us, change.last_time_us, 0, 0, 0, 0, 0),
            continues=UUID(bytes=change.continues_key) if change.continues_key else None,
        )
        seal = old.seal
        if change.seal is not None:
            index, sealing = change.seal
            now = datetime.now(UTC)
            seal = SealRow(index, sealing.seal_root, sealing.unanswered_count, now, sealing.method)
        self._sessions[change.session_id] = replace(
            old,
            who=old.who if old.who.subject else change.who,
            first_time_us=min(old.first_time_us, change.first_time_us),
            last_time_us=max(old.last_time_us, change.last_time_us),
            event_count=old.event_count + change.event_count,
            allowed_count=old.allowed_count + change.allowed_count,
            denied_count=old.denied_count + change.denied_count,
            refused_count=old.refused_count + change.refused_count,
            finding_count=old.finding_count + change.finding_count,
            seal=seal,
        )

    async def sessions(self, wanted: SessionFilter, *, before: int | None, limit: int) -> list[SessionRow]:
        """See ``ReadStore``."""
        await self.ping()
        newest = sorted(self._sessions.values(), key=lambda row: -row.first_index)
        found = [row for row in newest if (before is None or row.first_index < before) and self._matches(row, wanted)]
        return found[:limit]

    def _matches(self, row: SessionRow, wanted: SessionFilter) -> bool:
        mine = [entry for *_, entry in self.rows if entry.session_id == row.session_id]
        counts = {0: 1, 1: row.allowed_count, 2: row.denied_count, 3: row.refused_count}
        counts[4] = sum(one.kind == 1 and one.outcome == 4 for one in mine)
        since = wanted.since_us if wanted.since_us is not None else -(2**62)
        until = wanted.until_us if wanted.until_us is not None else 2**62
        return (
            wanted.subject in ("", row.who.subject)
            and wanted.target in ("", row.target)
            and wanted.issuer in ("", row.who.issuer)
            and wanted.group in ("", *row.who.groups)
            and wanted.principal_kind in ("", row.who.kind)
            and all(
                any(value in ("", *had(one)) for one in mine)
                for value, had in (
                    (wanted.method, lambda one: [one.method]),
                    (wanted.rule, lambda one: details_of(one.record).rules),
                    (wanted.approval_id, lambda one: [details_of(one.record).approval_id]),
                    (wanted.label, lambda one: details_of(one.record).labels),
                    (wanted.relation, lambda one: details_of(one.record).relations),
                )
            )
            and counts[wanted.outcome] > 0
            and (not wanted.name or any(one.kind == 1 and one.name == searchable(wanted.name) for one in mine))
            and any(since <= one.time_us < until for one in mine)
        )

    async def session(self, session_id: UUID) -> SessionRow | None:
        """See ``ReadStore``."""
        await self.ping()
        return self._sessions.get(session_id)

    async def events(self, session_id: UUID, *, start: int, stop: int) -> list[StoredEvent]:
        """See ``ReadStore``."""
        await self.ping()
        found = [
            StoredEvent(index, sequence, datetime.now(UTC), entry.record, entry.body, entry.salt)
            for index, sequence, entry in self.rows
            if entry.session_id == session_id and start <= sequence < stop
        ]
        return found[:PAGE_EVENTS]

    async def indices(self, since_us: int, until_us: int) -> range:
        """See ``ReadStore``."""
        await self.ping()
        return range(len(self.rows))

    async def facts(self, wanted: CallFilter, *, start: int, stop: int) -> FactPage:
        """See ``ReadStore``."""
        await self.ping()
        found = []
        for index, sequence, entry in self.rows[start:stop]:
            who = self._sessions[entry.session_id].who
            if (
                entry.kind in (1, 2, 3, 4)
                and wanted.since_us <= entry.time_us < wanted.until_us
                and wanted.target in ("", entry.target)
                and wanted.subject in ("", who.subject)
            ):
                body = entry.body if entry.kind == 1 and entry.time_us >= wanted.bodies_since_us else None
                stored = StoredEvent(index, sequence, datetime.now(UTC), entry.record, body)
                found.append(StoredFact(stored, entry.kind == 1, who.issuer, who.subject))
        page = found[:PAGE_EVENTS]
        return FactPage(page, page[-1].event.index + 1 if len(found) > PAGE_EVENTS else stop)

    async def call(self, event_id: UUID) -> StoredEvent | None:
        """See ``ReadStore``."""
        await self.ping()
        for index, sequence, entry in self.rows:
            if entry.event_id == event_id and entry.kind == 1:
                return StoredEvent(index, sequence, datetime.now(UTC), entry.record, entry.body)
        return None


def _state(row: SessionRow) -> SessionState:
    return SessionState(row.event_count, row.who.issuer, row.who.subject, row.target, row.seal is not None)
