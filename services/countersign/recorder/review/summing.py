"""Use, summed up by principal and by what was used, and by session."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from countersign.api.recorder.v1 import event_pb2
from countersign.model.methods import KNOWN_METHODS, is_connection
from countersign.recorder.review.ports import Piece

MOST_USES = 100_000
MOST_SESSIONS = 200_000
# Anybody may make names up, as long as they are denied: so many of them are told of a principal at a target.
MOST_DENIED_NAMES = 100
OTHERS = "…"
"""The name under which further ones are counted together."""
_MOST_NAMES = 1_000
_MOST_GROUPS = 200
_DECODER = json.JSONDecoder()


class TooMuch(Exception):
    """More was used, by more, than can be summed up at once."""


class Of(NamedTuple):
    """Who used what."""

    issuer: str
    subject: str
    target: str
    method: str
    name: str


@dataclass(slots=True)
class UseSum:
    """See ``Use`` in review.proto: same fields, same units."""

    kind: str
    groups: set[str] = field(default_factory=set)
    rules: set[str] = field(default_factory=set)
    allowed: int = 0
    denied: int = 0
    asked: int = 0
    approved: int = 0
    masked: int = 0
    rows: int = 0
    size_bytes: int = 0
    first_us: int = 0
    last_us: int = 0
    by_hour: list[int] = field(default_factory=lambda: [0] * 24)


@dataclass(slots=True)
class SessionSum:
    """See ``SessionUse`` in review.proto: same fields, same units."""

    issuer: str
    subject: str
    target: str
    started_us: int
    names: set[str] = field(default_factory=set)
    calls: int = 0
    rows: int = 0
    size_bytes: int = 0
    by_hour: list[int] = field(default_factory=lambda: [0] * 24)


class Summing:
    """Takes pieces in any order. What it holds is bounded, whatever callers ask for."""

    def __init__(self) -> None:
        self._uses: dict[Of, UseSum] = {}
        self._sessions: dict[UUID, SessionSum] = {}
        self._denied_names: dict[tuple[str, str, str], int] = {}

    def add(self, pieces: Iterable[Piece]) -> None:
        """Count them. Raises ``TooMuch``."""
        for piece in pieces:
            self._use(piece)
            if not is_connection(piece.method):
                self._session(piece)

    def uses(self) -> Iterator[tuple[Of, UseSum]]:
        """All uses, the busiest first."""
        yield from sorted(self._uses.items(), key=lambda one: (-one[1].allowed, -one[1].denied, one[0]))

    def sessions(self) -> Iterator[tuple[UUID, SessionSum]]:
        """Sessions in which something was used, the oldest first."""
        used = [one for one in self._sessions.items() if one[1].calls]
        yield from sorted(used, key=lambda one: (one[1].started_us, one[0]))

    def _use(self, piece: Piece) -> None:
        of = self._of(piece)
        use = self._uses.get(of)
        if use is None:
            if len(self._uses) >= MOST_USES:
                raise TooMuch
            use = self._uses[of] = UseSum(piece.principal_kind, first_us=piece.first_us)
        use.first_us, use.last_us = min(use.first_us, piece.first_us), max(use.last_us, piece.last_us)
        use.masked += piece.found
        use.rows += piece.rows
        use.size_bytes += piece.size_bytes
        if not piece.is_call:
            return
        if len(use.groups) < _MOST_GROUPS:
            use.groups.update(_texts(piece.groups))
        use.rules.update(_texts(piece.rules))
        match piece.outcome:
            case event_pb2.OUTCOME_ALLOW:
                use.allowed += piece.events
                use.approved += piece.events if piece.approved else 0
                use.by_hour[piece.hour] += piece.events
            case event_pb2.OUTCOME_APPROVE:
                use.asked += piece.events
            case _:
                use.denied += piece.events

    def _of(self, piece: Piece) -> Of:
        method = piece.method if piece.method in KNOWN_METHODS else OTHERS
        of = Of(piece.issuer, piece.subject, piece.target, piece.method, piece.name)
        if of in self._uses or not (piece.is_call and piece.outcome not in _MAY_PASS):
            return of
        who = of[:3]
        told = self._denied_names.get(who, 0)
        if told >= MOST_DENIED_NAMES:
            return of._replace(method=method, name=OTHERS)
        self._denied_names[who] = told + 1
        return of

    def _session(self, piece: Piece) -> None:
        passed = piece.is_call and piece.outcome == event_pb2.OUTCOME_ALLOW
        session = self._sessions.get(piece.session_id)
        if session is None:
            if piece.is_call and not passed:
                return
            if len(self._sessions) >= MOST_SESSIONS:
                raise TooMuch
            session = self._sessions[piece.session_id] = SessionSum(
                piece.issuer, piece.subject, piece.target, piece.first_us
            )
        session.rows += piece.rows
        session.size_bytes += piece.size_bytes
        if passed:
            session.started_us = min(session.started_us, piece.first_us)
            session.calls += piece.events
            session.by_hour[piece.hour] += piece.events
            if len(session.names) < _MOST_NAMES:
                session.names.add(piece.name or piece.method)


_MAY_PASS = frozenset({event_pb2.OUTCOME_ALLOW, event_pb2.OUTCOME_APPROVE})


@lru_cache(maxsize=1024)
def _texts(json_text: str) -> tuple[str, ...]:
    """Read an array of texts, whatever stands behind it; none where there is none."""
    if not json_text:
        return ()
    return tuple(_DECODER.raw_decode(json_text)[0])
