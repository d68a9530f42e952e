"""What one commit does to the record, worked out before it is done: pure, the same for every kind of store."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2
from countersign.recorder.entry import NOBODY, Entry, Verdict, Who


@dataclass(frozen=True, slots=True)
class Known:
    """What tells whether an event that is recorded already has the same content: its record and its body's SHA-256."""

    record: str
    body_sha256: bytes

    def same(self, entry: Entry) -> bool:
        """Whether the entry says what was recorded."""
        return self.record == entry.record and self.body_sha256 == hashlib.sha256(entry.body).digest()


@dataclass(frozen=True, slots=True)
class Row:
    """An entry with its places: ``index`` over all sessions, ``sequence`` within its own."""

    index: int
    sequence: int
    entry: Entry


@dataclass(slots=True)
class SessionChange:
    """What the entries of one commit add to a session. ``event_count`` and the like are to be added."""

    session_id: UUID
    is_new: bool
    first_index: int
    who: Who
    target: str
    first_time_us: int
    last_time_us: int
    event_count: int = 0
    allowed_count: int = 0
    denied_count: int = 0
    refused_count: int = 0
    finding_count: int = 0

    def add(self, entry: Entry) -> None:
        """Count an entry in."""
        if self.who is NOBODY:
            self.who = entry.who
        self.first_time_us = min(self.first_time_us, entry.time_us)
        self.last_time_us = max(self.last_time_us, entry.time_us)
        self.event_count += 1
        self.allowed_count += entry.outcome == event_pb2.OUTCOME_ALLOW
        self.denied_count += entry.outcome == event_pb2.OUTCOME_DENY
        self.refused_count += entry.outcome == event_pb2.OUTCOME_REFUSED
        self.finding_count += entry.findings


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows and session changes of one commit, and one verdict for each entry, in order."""

    verdicts: list[Verdict]
    rows: list[Row]
    sessions: list[SessionChange]


def plan(
    entries: Sequence[Entry], *, next_index: int, known: Mapping[UUID, Known], lengths: Mapping[UUID, int]
) -> Plan:
    """Give each new entry its dense index and sequence, in order, and settle those that are known already.

    ``lengths`` holds the number of events of each session that exists. An event that stands twice among ``entries`` is
    taken once.
    """
    verdicts: list[Verdict] = []
    rows: list[Row] = []
    sessions: dict[UUID, SessionChange] = {}
    taken: dict[UUID, Entry] = {}
    for entry in entries:
        verdict = _settled(entry, known.get(entry.event_id), taken.get(entry.event_id))
        verdicts.append(verdict or Verdict.RECORDED)
        if verdict is not None:
            continue
        taken[entry.event_id] = entry
        change = sessions.get(entry.session_id)
        index = next_index + len(rows)
        if change is None:
            change = sessions[entry.session_id] = SessionChange(
                session_id=entry.session_id,
                is_new=entry.session_id not in lengths,
                first_index=index,
                who=NOBODY,
                target=entry.target,
                first_time_us=entry.time_us,
                last_time_us=entry.time_us,
            )
        rows.append(Row(index, lengths.get(entry.session_id, 0) + change.event_count, entry))
        change.add(entry)
    return Plan(verdicts, rows, list(sessions.values()))


def _settled(entry: Entry, known: Known | None, twin: Entry | None) -> Verdict | None:
    if known is not None:
        return Verdict.RECORDED if known.same(entry) else Verdict.CONFLICT
    if twin is not None:
        return Verdict.RECORDED if (twin.record, twin.body) == (entry.record, entry.body) else Verdict.CONFLICT
    return None
