"""What the record says of approvals: one event for each change, and for each thing that somebody was refused."""

from __future__ import annotations

import json
import uuid
from types import MappingProxyType

from countersign.approver.ports import Came, Transition
from countersign.model.approval import Approval, ApprovalState, ApprovalSummary, Person, PersonDecision, Requirement
from countersign.model.decision import Decision, Outcome
from countersign.model.event import Event, EventKind
from countersign.model.principal import Principal, PrincipalKind

JSON_TYPE = "application/json"
REFUSED = ("decision_refused", "link_refused")
"""What is noted without a change: nothing became of the approval by it."""
NO_APPROVAL = str(uuid.UUID(int=0))
"""The approval id of what somebody tried with an approval that there is not."""
TARGET = "countersign"

_PEOPLE = uuid.UUID("0d0f6f0b-6c55-5b0d-8f0a-2f6b1f1c9a57")
_OUTCOMES = MappingProxyType(
    {
        ApprovalState.PENDING: Outcome.APPROVE,
        ApprovalState.APPROVED: Outcome.ALLOW,
        ApprovalState.CONSUMED: Outcome.ALLOW,
        ApprovalState.DENIED: Outcome.DENY,
        ApprovalState.EXPIRED: Outcome.DENY,
        ApprovalState.ABANDONED: Outcome.DENY,
        ApprovalState.CANCELLED: Outcome.DENY,
    }
)


def event_of(transition: Transition) -> Event:
    """Return the event of a change: always the same of the same transition, so that to send it twice does no harm.

    It stands in the session of the call that asked. Its outcome says what the call may now: ``approve`` while humans
    are asked, ``allow`` once they agreed, ``deny`` when they did not, when it is over, and for what was refused.
    """
    approval = transition.approval
    refused = transition.what in REFUSED
    return Event(
        event_id=transition.event_id,
        session_id=approval.session_id,
        # Of what no call did, the approval is what ties its events together.
        call_id=transition.call_id or approval.id,
        kind=EventKind.APPROVAL,
        time_us=transition.at_us,
        target=approval.target,
        method=transition.what,
        name=approval.name,
        principal=_principal(transition),
        source_address=transition.source_address,
        decision=Decision(
            outcome=Outcome.DENY if refused else _OUTCOMES[approval.state],
            rules=_rules(approval),
            masks=(),
            reason=transition.note or ("" if refused else approval.reason),
            message="",
            policy_version=approval.policy_version,
        ),
        body=_json(_told(transition)),
        body_type=JSON_TYPE,
        reason=transition.note or ("" if refused else approval.reason),
        traceparent=transition.traceparent,
        approval_id=approval.id,
    )


def stray_event(event_id: str, who: Principal, what: str, why: str, asked: str, at_us: int, came: Came) -> Event:
    """Return the event of what ``who`` tried with an approval that there is not (``asked``, as they named it).

    It stands in a session of its own for each person: no call's.
    """
    return Event(
        event_id=event_id,
        session_id=str(uuid.uuid5(_PEOPLE, json.dumps([who.issuer, who.subject]))),
        call_id=event_id,
        kind=EventKind.APPROVAL,
        time_us=at_us,
        target=TARGET,
        method=what,
        principal=who,
        source_address=came.source_address,
        decision=Decision(Outcome.DENY, (), (), why, "", ""),
        body=_json({"asked": asked}),
        body_type=JSON_TYPE,
        reason=why,
        traceparent=came.traceparent,
        approval_id=NO_APPROVAL,
    )


def _principal(transition: Transition) -> Principal | None:
    by = transition.by
    if not isinstance(by, Person):
        return by
    # No token vouches for them here: they are named as the approval, or whoever did it for them, names them.
    asked = by == transition.approval.asked_by
    kind = PrincipalKind(transition.approval.asked_by_kind) if asked else PrincipalKind.PERSON
    return Principal(issuer=by.issuer, subject=by.subject, groups=(), kind=kind, token_id="")


def _rules(approval: Approval) -> tuple[str, ...]:
    broken = [one.glass for one in approval.decisions if one.glass]
    return tuple(dict.fromkeys([*(one.rule for one in approval.requirements), *broken]))


def _told(transition: Transition) -> dict[str, object]:
    approval = transition.approval
    told: dict[str, object] = {
        "approval_id": approval.id,
        "state": approval.state.value,
        "version": approval.version,
        "digest": approval.digest.hex(),
        "asked_by": _person(approval.asked_by) | {"kind": approval.asked_by_kind},
        "acts_for": [_person(one) for one in approval.acts_for],
        "requirements": [_requirement(one) for one in approval.requirements],
        "decisions": [_decision(one) for one in approval.decisions],
        "asked_at_us": approval.asked_at_us,
        "expires_at_us": approval.expires_at_us,
        "grant_until_us": approval.grant_until_us,
        "reuse_us": approval.reuse_us,
        "uses": approval.uses,
        "note": transition.note,
    }
    if transition.what == "asked":
        told["call_method"] = approval.method
        told["summary"] = _summary(approval.summary)
        told["break_glass"] = [{"rule": one.rule, "alert": one.alert} for one in approval.break_glass]
    return told


def _summary(summary: ApprovalSummary) -> dict[str, object]:
    return {
        "why": summary.why,
        "tool": summary.tool,
        "arguments": summary.arguments,
        "statements": [
            {
                "argument": one.argument,
                "dialect": one.dialect,
                "text": one.text,
                "classes": one.classes,
                "relations": one.relations,
                "bound": one.bound,
            }
            for one in summary.statements
        ],
    }


def _person(person: Person) -> dict[str, str]:
    return {"issuer": person.issuer, "subject": person.subject}


def _requirement(requirement: Requirement) -> dict[str, object]:
    return {
        "rule": requirement.rule,
        "groups": requirement.groups,
        "count": requirement.count,
        "note_required": requirement.note_required,
        "window": requirement.window,
    }


def _decision(decision: PersonDecision) -> dict[str, object]:
    return {
        "by": _person(decision.by),
        "agrees": decision.agrees,
        "note": decision.note,
        "at_us": decision.at_us,
        "rules": decision.rules,
        "glass": decision.glass,
    }


def _json(told: dict[str, object]) -> bytes:
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
