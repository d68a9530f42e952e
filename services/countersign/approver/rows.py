"""Approvals as rows of the database, and back; see ``migrations/0001_approvals.sql``."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from countersign.api.approvals.v1 import approval_pb2, broker_pb2
from countersign.approver import states
from countersign.approver.ports import Transition
from countersign.model.approval import Approval, ApprovalState, Person, PersonDecision, Question, ShownToken
from countersign.model.principal import Principal
from countersign.runtime.approval_messages import approval_message, approval_of, question_message, question_of

COLUMNS = (
    b"a.id, a.state, a.version, a.question, a.asked_at_us, a.expires_at_us, a.decided_at_us, a.grant_until_us,"
    b" a.reuse_us, a.uses, a.used_by, a.reason, coalesce((SELECT json_agg(json_build_array("
    b"d.issuer, d.subject, d.agrees, d.note, d.at_us, d.rules, d.glass,"
    b" d.token_id, d.issued_s, d.signed_in, d.token_subject) ORDER BY d.version)"
    b" FROM countersign_approvals.decisions AS d WHERE d.approval_id = a.id), '[]')"
)
"""What ``kept_of`` reads, of a table named ``a``."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An approval and the question that it came from."""

    approval: Approval
    question: Question


def kept_of(row: tuple[Any, ...]) -> Kept:
    """Read a row of ``COLUMNS``."""
    approval_id, state, version, question, asked_at_us, expires_at_us, *rest = row
    decided_at_us, grant_until_us, reuse_us, uses, used_by, reason, decisions = rest
    asking = question_of(broker_pb2.AskRequest.FromString(question))
    approval = replace(
        states.asked(asking, approval_id, asked_at_us).approval,
        state=ApprovalState(state),
        version=version,
        decisions=tuple(map(_decision_of, decisions)),
        expires_at_us=expires_at_us,
        decided_at_us=decided_at_us,
        grant_until_us=grant_until_us,
        reuse_us=reuse_us,
        uses=uses,
        used_by=used_by,
        reason=reason,
    )
    return Kept(approval, asking)


def decision_values(one: PersonDecision) -> tuple[object, ...]:
    """Return what is kept of a decision, beside the approval and the version that it made."""
    said = (text(one.by.issuer), text(one.by.subject), one.agrees, one.note, one.at_us, list(one.rules), one.glass)
    if one.token is None:
        return (*said, None, None, None, None)
    return (*said, one.token.token_id, one.token.issued_s, one.token.signed_in, one.token.token_subject)


def question_bytes(question: Question) -> bytes:
    """Return what is kept of a question: all but who waits for it."""
    message = question_message(question)
    message.ClearField("waiter")
    return message.SerializeToString()


def outbox_values(one: Transition) -> tuple[object, ...]:
    """Return a row of the outbox; ``transition_of`` reads it back."""
    approval = approval_message(one.approval).SerializeToString()
    texts = (one.call_id, one.note, one.source_address, one.traceparent)
    return (one.event_id, one.approval.id, one.what, approval, _actor(one.by), one.at_us, *map(text, texts))


def transition_of(row: tuple[Any, ...]) -> Transition:
    """Read a row of the outbox. Raises ``ValueError`` when a newer version wrote it."""
    event_id, _, what, approval, actor, *rest = row
    message = approval_pb2.Approval.FromString(approval)
    return Transition(str(event_id), what, approval_of(message), _actor_of(actor), *rest)


def text(value: str) -> str:
    """Return a text as the database can keep it: NUL is the one character that it cannot."""
    return value.replace("\0", "\ufffd")


def _decision_of(fields: list[Any]) -> PersonDecision:
    issuer, subject, agrees, note, at_us, rules, glass, token_id, *more = fields
    token = None if token_id is None else ShownToken(token_id, *more)
    return PersonDecision(Person(issuer, subject), agrees, note, at_us, tuple(rules), glass, token)


def _actor(by: Principal | Person | None) -> str:
    if by is None:
        return ""
    if isinstance(by, Person):
        return json.dumps([by.issuer, by.subject])
    return json.dumps(by.listed())


def _actor_of(actor: str) -> Principal | Person | None:
    if not actor:
        return None
    issuer, subject, *more = json.loads(actor)
    if not more:
        return Person(issuer, subject)
    # What was written before more was known of principals ends earlier.
    return Principal.of_listed([issuer, subject, *more, *(0, "", "")[len(more) - 4 :]])
