"""Events to record, as the gateway's services would make them."""

from __future__ import annotations

import uuid
from dataclasses import replace

from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal, PrincipalKind
from countersign.runtime.moments import now_us

ALICE = Principal(
    issuer="https://issuer.example",
    subject="alice",
    groups=("analysts",),
    kind=PrincipalKind.PERSON,
    token_id="token-1",
)
BOB = replace(ALICE, subject="bob", groups=("data-owners",), token_id="token-2")
START_US = now_us()
"""When events happen: the recorder refuses what is far from its clock."""


def decision(outcome: Outcome = Outcome.ALLOW, rule: str = "analysts read") -> Decision:
    """A decision of one rule."""
    return Decision(outcome=outcome, rules=(rule,), masks=("pii",), reason="", message="", policy_version="v1")


def new_id() -> str:
    """A fresh UUID."""
    return str(uuid.uuid4())


def request(session_id: str | None = None, **changes: object) -> Event:
    """A request event of alice's, with a new id."""
    event = Event(
        event_id=new_id(),
        session_id=session_id or new_id(),
        call_id=new_id(),
        kind=EventKind.REQUEST,
        time_us=START_US,
        target="orders",
        method="tools/call",
        name="query",
        principal=ALICE,
        source_address="192.0.2.7",
        decision=decision(),
        size_bytes=20,
        body=b'{"name":"query"}',
        body_type="application/json",
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # each test names the fields it means


def approval(session_id: str, method: str = "approved", **changes: object) -> Event:
    """An event of an approval that bob decided about, with a new id."""
    event = Event(
        event_id=new_id(),
        session_id=session_id,
        call_id=new_id(),
        kind=EventKind.APPROVAL,
        time_us=START_US + 500,
        target="orders",
        method=method,
        name="query",
        principal=BOB,
        approval_id=new_id(),
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # as above


def response(session_id: str, **changes: object) -> Event:
    """A response event, with a new id."""
    event = Event(
        event_id=new_id(),
        session_id=session_id,
        call_id=new_id(),
        kind=EventKind.RESPONSE,
        time_us=START_US + 1_000,
        target="orders",
        method="tools/call",
        name="query",
        status=200,
        body=b'{"result":{}}',
        body_type="application/json",
    )
    return replace(event, **changes)  # type: ignore[arg-type]  # as above
