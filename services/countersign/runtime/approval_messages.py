"""Approvals as protobuf messages, and back."""

from __future__ import annotations

from types import MappingProxyType

from countersign.api.approvals.v1 import approval_pb2, broker_pb2
from countersign.model.approval import (
    Approval,
    ApprovalState,
    ApprovalSummary,
    BreakGlass,
    Person,
    PersonDecision,
    Question,
    Requirement,
    StatementSummary,
    Waiter,
)

STATES = MappingProxyType(
    {
        ApprovalState.PENDING: approval_pb2.APPROVAL_STATE_PENDING,
        ApprovalState.APPROVED: approval_pb2.APPROVAL_STATE_APPROVED,
        ApprovalState.DENIED: approval_pb2.APPROVAL_STATE_DENIED,
        ApprovalState.EXPIRED: approval_pb2.APPROVAL_STATE_EXPIRED,
        ApprovalState.ABANDONED: approval_pb2.APPROVAL_STATE_ABANDONED,
        ApprovalState.CANCELLED: approval_pb2.APPROVAL_STATE_CANCELLED,
        ApprovalState.CONSUMED: approval_pb2.APPROVAL_STATE_CONSUMED,
    }
)
STATES_BACK = MappingProxyType({number: state for state, number in STATES.items()})


def person_message(person: Person) -> approval_pb2.Person:
    """Return the message of a person."""
    return approval_pb2.Person(issuer=person.issuer, subject=person.subject)


def person_of(message: approval_pb2.Person) -> Person:
    """Read a person."""
    return Person(message.issuer, message.subject)


def approval_message(approval: Approval) -> approval_pb2.Approval:
    """Return the message of an approval."""
    return approval_pb2.Approval(
        id=approval.id,
        state=STATES[approval.state],
        version=approval.version,
        digest=approval.digest,
        asked_by=person_message(approval.asked_by),
        asked_by_kind=approval.asked_by_kind,
        acts_for=map(person_message, approval.acts_for),
        session_id=approval.session_id,
        target=approval.target,
        method=approval.method,
        name=approval.name,
        policy_version=approval.policy_version,
        summary=_summary_message(approval.summary),
        requirements=map(_requirement_message, approval.requirements),
        break_glass=map(_glass_message, approval.break_glass),
        decisions=map(_decision_message, approval.decisions),
        asked_at_us=approval.asked_at_us,
        expires_at_us=approval.expires_at_us,
        decided_at_us=approval.decided_at_us,
        grant_until_us=approval.grant_until_us,
        reuse_us=approval.reuse_us,
        uses=approval.uses,
        used_by=approval.used_by,
        reason=approval.reason,
    )


def approval_of(message: approval_pb2.Approval) -> Approval:
    """Read an approval. Raises ``ValueError`` for a state that this version does not know."""
    state = STATES_BACK.get(message.state)
    if state is None:
        raise ValueError("an approval in an unknown state")
    return Approval(
        id=message.id,
        state=state,
        version=message.version,
        digest=message.digest,
        asked_by=person_of(message.asked_by),
        asked_by_kind=message.asked_by_kind,
        acts_for=tuple(map(person_of, message.acts_for)),
        session_id=message.session_id,
        target=message.target,
        method=message.method,
        name=message.name,
        policy_version=message.policy_version,
        summary=_summary_of(message.summary),
        requirements=tuple(map(_requirement_of, message.requirements)),
        break_glass=tuple(map(_glass_of, message.break_glass)),
        decisions=tuple(map(_decision_of, message.decisions)),
        asked_at_us=message.asked_at_us,
        expires_at_us=message.expires_at_us,
        decided_at_us=message.decided_at_us,
        grant_until_us=message.grant_until_us,
        reuse_us=message.reuse_us,
        uses=message.uses,
        used_by=message.used_by,
        reason=message.reason,
    )


def question_message(question: Question) -> broker_pb2.AskRequest:
    """Return the message of a question."""
    return broker_pb2.AskRequest(
        digest=question.digest,
        caller=person_message(question.caller),
        caller_kind=question.caller_kind,
        caller_token_id=question.caller_token_id,
        caller_groups=question.caller_groups,
        acts_for=map(person_message, question.acts_for),
        session_id=question.session_id,
        call_id=question.call_id,
        target=question.target,
        method=question.method,
        name=question.name,
        policy_version=question.policy_version,
        summary=_summary_message(question.summary),
        requirements=map(_requirement_message, question.requirements),
        break_glass=map(_glass_message, question.break_glass),
        within_us=question.within_us,
        reuse_us=question.reuse_us,
        most_pending=question.most_pending,
        waiter=waiter_message(question.waiter),
        source_address=question.source_address,
        traceparent=question.traceparent,
        caller_issued_s=question.caller_issued_s,
        caller_signed_in=question.caller_signed_in,
        caller_token_subject=question.caller_token_subject,
    )


def question_of(message: broker_pb2.AskRequest) -> Question:
    """Read a question."""
    return Question(
        digest=message.digest,
        caller=person_of(message.caller),
        caller_kind=message.caller_kind,
        caller_token_id=message.caller_token_id,
        caller_groups=tuple(message.caller_groups),
        acts_for=tuple(map(person_of, message.acts_for)),
        session_id=message.session_id,
        call_id=message.call_id,
        target=message.target,
        method=message.method,
        name=message.name,
        policy_version=message.policy_version,
        summary=_summary_of(message.summary),
        requirements=tuple(map(_requirement_of, message.requirements)),
        break_glass=tuple(map(_glass_of, message.break_glass)),
        within_us=message.within_us,
        reuse_us=message.reuse_us,
        most_pending=message.most_pending,
        waiter=waiter_of(message.waiter),
        source_address=message.source_address,
        traceparent=message.traceparent,
        caller_issued_s=message.caller_issued_s,
        caller_signed_in=message.caller_signed_in,
        caller_token_subject=message.caller_token_subject,
    )


def waiter_message(waiter: Waiter) -> broker_pb2.Waiter:
    """Return the message of a waiter."""
    return broker_pb2.Waiter(id=waiter.id, session_id=waiter.session_id, rpc_id=waiter.rpc_id, until_us=waiter.until_us)


def waiter_of(message: broker_pb2.Waiter) -> Waiter:
    """Read a waiter."""
    return Waiter(message.id, message.session_id, message.rpc_id, message.until_us)


def _summary_message(summary: ApprovalSummary) -> approval_pb2.Summary:
    statements = [
        approval_pb2.Statement(
            argument=one.argument,
            dialect=one.dialect,
            text=one.text,
            classes=one.classes,
            relations=one.relations,
            bound=one.bound,
        )
        for one in summary.statements
    ]
    return approval_pb2.Summary(arguments=summary.arguments, statements=statements, why=summary.why, tool=summary.tool)


def _summary_of(message: approval_pb2.Summary) -> ApprovalSummary:
    statements = tuple(
        StatementSummary(one.argument, one.dialect, one.text, tuple(one.classes), tuple(one.relations), one.bound)
        for one in message.statements
    )
    return ApprovalSummary(message.arguments, message.why, statements, message.tool)


def _requirement_message(requirement: Requirement) -> approval_pb2.Requirement:
    return approval_pb2.Requirement(
        rule=requirement.rule,
        groups=requirement.groups,
        count=requirement.count,
        note_required=requirement.note_required,
        window=requirement.window,
    )


def _requirement_of(message: approval_pb2.Requirement) -> Requirement:
    return Requirement(message.rule, tuple(message.groups), message.count, message.note_required, message.window)


def _glass_message(glass: BreakGlass) -> approval_pb2.BreakGlass:
    return approval_pb2.BreakGlass(
        rule=glass.rule, alert=glass.alert, reuse_us=glass.reuse_us, within_us=glass.within_us
    )


def _glass_of(message: approval_pb2.BreakGlass) -> BreakGlass:
    return BreakGlass(message.rule, tuple(message.alert), message.reuse_us, message.within_us)


def _decision_message(decision: PersonDecision) -> approval_pb2.Decision:
    return approval_pb2.Decision(
        by=person_message(decision.by),
        agrees=decision.agrees,
        note=decision.note,
        at_us=decision.at_us,
        rules=decision.rules,
        glass=decision.glass,
    )


def _decision_of(message: approval_pb2.Decision) -> PersonDecision:
    return PersonDecision(
        person_of(message.by), message.agrees, message.note, message.at_us, tuple(message.rules), message.glass
    )
