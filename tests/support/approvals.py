"""Questions, and the people who answer them."""

from __future__ import annotations

import os
from dataclasses import replace
from uuid import uuid4

from countersign.model.approval import ApprovalSummary, BreakGlass, Person, Question, Requirement, Waiter
from countersign.model.principal import Principal, PrincipalKind

ISSUER = "https://issuer.example"
SECOND = 1_000_000
MINUTE = 60 * SECOND
NOON = 1_774_000_800_000_000
"""Friday 20 March 2026, 10:00 UTC."""

OWNERS = Requirement("orders need an owner", ("data-owners",))
TWO_OWNERS = replace(OWNERS, count=2)
SECURITY = Requirement("security looks", ("security", "auditors"))
GLASS = BreakGlass("on call", ("pager",), 0, 10 * MINUTE)
REASON = "the shop is down"


def person(
    subject: str,
    *groups: str,
    kind: PrincipalKind = PrincipalKind.PERSON,
    token_id: str = "",
    issuer: str = ISSUER,
    actors: tuple[str, ...] = (),
) -> Principal:
    """Somebody with a verified token."""
    return Principal(issuer, subject, groups, kind, token_id or f"token of {subject}", actors)


def owner(number: int = 1) -> Principal:
    """Somebody who may agree to what ``OWNERS`` are asked."""
    return person(f"owner {number}", "data-owners")


def waiter(
    session_id: str = "session", *, rpc_id: str = "1", until_us: int = NOON + MINUTE, waiter_id: str = ""
) -> Waiter:
    """One more held request."""
    return Waiter(waiter_id or str(uuid4()), session_id, rpc_id, until_us)


def question(
    *requirements: Requirement,
    caller: str = "",
    glass: tuple[BreakGlass, ...] = (),
    acts_for: tuple[Person, ...] = (),
    within_us: int = 15 * MINUTE,
    reuse_us: int = 0,
    most_pending: int = 10,
    waiting: Waiter | None = None,
    kind: PrincipalKind = PrincipalKind.AGENT,
) -> Question:
    """A question about a call like no other, by a caller of its own unless one is named."""
    subject = caller or f"caller {uuid4()}"
    return Question(
        digest=os.urandom(32),
        caller=Person(ISSUER, subject),
        caller_kind=kind,
        caller_token_id=f"token of {subject}",
        caller_groups=("agents",),
        acts_for=acts_for,
        session_id="session",
        call_id=str(uuid4()),
        target="orders",
        method="tools/call",
        name="query",
        policy_version="1",
        summary=ApprovalSummary('{\n  "a": 1\n}', "rule"),
        requirements=requirements or (OWNERS,),
        break_glass=glass,
        within_us=within_us,
        reuse_us=reuse_us,
        most_pending=most_pending,
        waiter=waiting or waiter(),
        source_address="192.0.2.1",
        traceparent="00-11-22-01",
    )


def again(asked: Question, *, waiting: Waiter | None = None) -> Question:
    """The same question by another HTTP request."""
    return replace(asked, call_id=str(uuid4()), waiter=waiting or waiter())
