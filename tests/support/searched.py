"""Many events of all kinds, made by chance, and what of them a filter names: worked out event by event."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind, Finding
from countersign.model.principal import Principal, PrincipalKind
from countersign.recorder.bodies import BodyKeeper
from countersign.recorder.entry import Verdict, accept
from countersign.recorder.search.index_store import PostgresIndexStore
from countersign.recorder.search.ports import Wanted
from countersign.recorder.store import PostgresAppendStore
from countersign.runtime.moments import now_us
from countersign.runtime.recording import to_message

TARGETS = ("orders", "crm", "wiki")
NAMES = ("query", "refund", "read page")
RULES = ("analysts read", "no exports")
LABELS = ("email", "iban")
RELATIONS = ("public.orders", "public.customers")
WORDS = ("shipped", "open", "Zürich", "invoice", "customer_id", "late")
HOUR_US = 3_600 * 1_000_000
PEOPLE = tuple(
    Principal("https://issuer.example", subject, groups, kind, f"token-{subject}")
    for subject, groups, kind in (
        ("alice", ("analysts",), PrincipalKind.PERSON),
        ("bob", ("owners", "analysts"), PrincipalKind.PERSON),
        ("ci", (), PrincipalKind.MACHINE),
    )
)


@dataclass(frozen=True)
class Placed:
    """An event with its index, and whose session it is of."""

    index: int
    event: Event
    principal: Principal


class Chance:
    """Makes events by chance; the same for the same seed. They are of the last two hours."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._now_us = now_us()
        self._sessions = [(self._id(), one, target) for one in PEOPLE for target in TARGETS]
        self.events: list[Placed] = []

    def more(self, count: int) -> list[Event]:
        """Return so many events more."""
        made = []
        for _ in range(count):
            session_id, principal, target = self._random.choice(self._sessions)
            event = self._event(session_id, principal, target)
            self.events.append(Placed(len(self.events), event, principal))
            made.append(event)
        return made

    def _event(self, session_id: str, principal: Principal, target: str) -> Event:
        chance = self._random
        kind = chance.choice((EventKind.REQUEST, EventKind.RESPONSE, EventKind.STREAM_EVENT))
        asks = kind == EventKind.REQUEST
        return Event(
            event_id=self._id(),
            session_id=session_id,
            call_id=self._id(),
            kind=kind,
            time_us=self._now_us - chance.randrange(2 * HOUR_US),
            target=target,
            method=chance.choice(("tools/call", "resources/read")),
            name=chance.choice(NAMES),
            principal=principal if asks else None,
            decision=self._decision() if asks else None,
            findings=tuple(Finding(one, "$", 1) for one in LABELS if chance.random() < 0.1),
            relations=tuple(one for one in RELATIONS if chance.random() < 0.2) if asks else (),
            approval_id=self._id() if asks and chance.random() < 0.05 else "",
            body=self._body() if chance.random() < 0.8 else b"",
            body_type="application/json",
        )

    def _decision(self) -> Decision:
        outcome = self._random.choice((Outcome.ALLOW, Outcome.ALLOW, Outcome.DENY, Outcome.APPROVE))
        rule = self._random.choice(RULES)
        return Decision(outcome=outcome, rules=(rule,), masks=(), reason="", message="", policy_version="v1")

    def _body(self) -> bytes:
        words = self._random.sample(WORDS, 2)
        return json.dumps({"text": " ".join(words), "id": self._random.randrange(200)}).encode()

    def _id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


async def record(dsn: str, events: Sequence[Event]) -> None:
    """Record events, as a recorder does."""
    store = PostgresAppendStore(dsn)
    await store.open()
    for start in range(0, len(events), 500):
        settled = await store.append([accept(to_message(one)) for one in events[start : start + 500]])
        assert set(settled) == {Verdict.RECORDED}
    await store.close()


async def index_all(dsn: str, *, at_most: int = 64) -> None:
    """Index all blocks that are full."""
    store = PostgresIndexStore(dsn, BodyKeeper())
    while await store.index(at_most):
        pass
    await store.close()


def fits(one: Placed, wanted: Wanted) -> bool:
    """Whether an event is wanted, by the plainest reading of ``Wanted``."""
    event, who = one.event, one.principal
    rules = event.decision.rules if event.decision else ()
    outcome = {Outcome.ALLOW: 1, Outcome.DENY: 2, Outcome.APPROVE: 4}[event.decision.outcome] if event.decision else 0
    kinds = {EventKind.REQUEST: 1, EventKind.RESPONSE: 2, EventKind.STREAM_EVENT: 3}
    return all(
        (
            wanted.since_us is None or event.time_us >= wanted.since_us,
            wanted.until_us is None or event.time_us < wanted.until_us,
            wanted.issuer in ("", who.issuer),
            wanted.subject in ("", who.subject),
            wanted.group in ("", *who.groups),
            wanted.principal_kind in ("", who.kind),
            wanted.target in ("", event.target),
            wanted.method in ("", event.method),
            wanted.name in ("", event.name),
            wanted.outcome in (0, outcome),
            wanted.rule in ("", *rules),
            wanted.approval_id in ("", event.approval_id),
            wanted.label in ("", *(finding.label for finding in event.findings)),
            wanted.relation in ("", *event.relations),
            wanted.session_id is None or str(wanted.session_id) == event.session_id,
            wanted.call_id is None or str(wanted.call_id) == event.call_id,
            not wanted.kinds or kinds[event.kind] in wanted.kinds,
            wanted.text is None or (event.body != b"" and wanted.text.matches(event.body)),
        )
    )


def without_index(dsn: str) -> None:
    """Forget the index, as if it was never made."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("TRUNCATE countersign.marks, countersign.words, countersign.session_marks")
        connection.execute("UPDATE countersign.search_progress SET next_block = 0")
