"""What one commit does to the record, worked out before it is done: pure, the same for every kind of store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2
from countersign.model.continuation import continuations, next_session
from countersign.recorder.entry import SEAL, Entry, Sealed, Settled, Verdict
from countersign.recorder.leaf import sent_content
from countersign.recorder.who import NOBODY, Who

_REQUEST = event_pb2.EVENT_KIND_REQUEST


@dataclass(frozen=True, slots=True)
class Known:
    """An event that is recorded already, with its body: ``None`` when it cannot be had any more."""

    record: str
    body: bytes | None

    def same(self, entry: Entry) -> bool:
        """Whether the entry says what was recorded, there or in a session before or after it of the same chain.

        Who sends again may have learned meanwhile that the session was sealed, or may have forgotten it.
        """
        mine, theirs = sent_content(self.record), sent_content(entry.record)
        if self.body is not None and self.body != entry.body:
            return False
        if self.body is None and not entry.body:
            return False
        return mine == theirs or _same_but_continued(mine, theirs)


def _same_but_continued(recorded: dict[str, object], sent: dict[str, object]) -> bool:
    asked, found = (UUID(str(one.pop("session_id"))) for one in (sent, recorded))
    recorded.pop("continues", None)
    sent.pop("continues", None)
    return recorded == sent and asked != found and (found in continuations(asked) or asked in continuations(found))


@dataclass(slots=True)
class SessionState:
    """What there is of a session: how many events, whose it is (empty: not known yet), whether it is sealed."""

    event_count: int = 0
    issuer: str = ""
    subject: str = ""
    target: str = ""
    sealed: bool = False

    def takes(self, entry: Entry) -> bool:
        """Whether a request is of the session's principal and target, as far as they are known."""
        if self.target and self.target != entry.target:
            return False
        return not self.subject or (self.issuer, self.subject) == (entry.who.issuer, entry.who.subject)

    def add(self, entry: Entry) -> None:
        """Count an entry in."""
        if not self.event_count:
            self.target = entry.target
        if not self.subject:
            self.issuer, self.subject = entry.who.issuer, entry.who.subject
        self.event_count += 1
        self.sealed = entry.kind == SEAL


@dataclass(frozen=True, slots=True)
class Row:
    """An entry with its places: ``index`` over all sessions, ``sequence`` within its own."""

    index: int
    sequence: int
    entry: Entry


@dataclass(slots=True)
class SessionChange:
    """What the entries of one commit add to a session. ``event_count`` and the like are to be added."""

    session_key: bytes
    is_new: bool
    first_index: int
    target: str
    first_time_us: int
    last_time_us: int
    who: Who = NOBODY
    continues_key: bytes = b""
    event_count: int = 0
    allowed_count: int = 0
    denied_count: int = 0
    refused_count: int = 0
    finding_count: int = 0
    named: bool = False
    """Whether it says for the first time whose session it is."""
    ended: bool = False
    seal: tuple[int, Entry] | None = None

    @property
    def session_id(self) -> UUID:
        """The session's id."""
        return UUID(bytes=self.session_key)

    def add(self, index: int, entry: Entry) -> None:
        """Count an entry in."""
        if self.who is NOBODY:
            self.who = entry.who
        time_us = entry.time_us
        if time_us > self.last_time_us:
            self.last_time_us = time_us
        elif time_us < self.first_time_us:
            self.first_time_us = time_us
        self.event_count += 1
        self.finding_count += entry.findings
        if outcome := entry.outcome:
            self.allowed_count += outcome == event_pb2.OUTCOME_ALLOW
            self.denied_count += outcome == event_pb2.OUTCOME_DENY
            self.refused_count += outcome == event_pb2.OUTCOME_REFUSED
        if entry.ends_session:
            self.ended = True
        if entry.continues_key and not self.continues_key:
            self.continues_key = entry.continues_key
        if entry.kind == SEAL:
            self.seal = (index, entry)


@dataclass(frozen=True, slots=True)
class Plan:
    """The rows and session changes of one commit, and what becomes of each entry, in order."""

    verdicts: list[Settled]
    rows: list[Row]
    sessions: list[SessionChange]


@dataclass(slots=True)
class _Planner:
    """One group's way through the rules."""

    next_index: int
    known: Mapping[bytes, Known]
    states: dict[bytes, SessionState]
    open_ends: Mapping[bytes, UUID]
    rows: list[Row] = field(default_factory=list)
    changes: dict[bytes, SessionChange] = field(default_factory=dict)
    taken: dict[bytes, Entry] = field(default_factory=dict)

    def settle(self, entry: Entry) -> Settled:
        state = self.states.get(entry.session_key)
        if entry.kind == SEAL:
            if state is None or state.sealed or state.event_count != entry.sealed_count:
                return Verdict.STALE
        elif entry.event_key in self.known:
            return Verdict.RECORDED if self.known[entry.event_key].same(entry) else Verdict.CONFLICT
        elif (twin := self.taken.get(entry.event_key)) is not None:
            return Verdict.RECORDED if Known(twin.record, twin.body).same(entry) else Verdict.CONFLICT
        else:
            if state is None:
                state = self.states[entry.session_key] = SessionState()
            if not self._belongs(entry, state):
                return Verdict.WRONG_SESSION
            if state.sealed:
                return Sealed(self.open_ends.get(entry.session_key) or next_session(entry.session_id))
        self._take(entry, state)
        return Verdict.RECORDED

    def _belongs(self, entry: Entry, state: SessionState) -> bool:
        if entry.continues_key:
            before = self.states.get(entry.continues_key)
            if before is None or not before.sealed:
                return False
            if entry.kind == _REQUEST and not state.subject and not before.takes(entry):
                return False
        return entry.kind != _REQUEST or state.takes(entry)

    def _take(self, entry: Entry, state: SessionState) -> None:
        key = entry.session_key
        self.taken[entry.event_key] = entry
        index = self.next_index + len(self.rows)
        change = self.changes.get(key)
        if change is None:
            is_new = not state.event_count
            change = SessionChange(key, is_new, index, entry.target, entry.time_us, entry.time_us)
            self.changes[key] = change
        self.rows.append(Row(index, state.event_count, entry))
        change.named |= not state.subject and bool(entry.who.subject)
        change.add(index, entry)
        state.add(entry)


def plan(
    entries: Sequence[Entry],
    *,
    next_index: int,
    known: Mapping[bytes, Known],
    sessions: Mapping[bytes, SessionState],
    open_ends: Mapping[bytes, UUID],
) -> Plan:
    """Give each new entry its dense index and sequence, in order, and settle those that are not to be recorded.

    Keys are those of entries. ``sessions`` are those of the entries, and those that they continue, that exist;
    ``open_ends`` the sessions in which sealed ones of them go on. An event that stands twice is taken once.
    """
    planner = _Planner(next_index, known, dict(sessions), open_ends)
    verdicts = [planner.settle(entry) for entry in entries]
    return Plan(verdicts, planner.rows, list(planner.changes.values()))
