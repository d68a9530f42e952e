"""What becomes of an approval: the state table, as pure functions. What keeps approvals only feeds and writes down.

::

    pending  -> approved   enough different people agreed, or its caller broke the glass
             -> denied     somebody who may decide disagreed
             -> expired    its time to be decided was over
             -> abandoned  its last caller hung up
             -> cancelled  it was taken back, or somebody it concerns was revoked
    approved -> consumed   its only use was taken
             -> expired    its time to be used was over
             -> cancelled  as above

Nothing leads out of any other state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from uuid import UUID, uuid5

from countersign.approver.ports import FROM_NOWHERE, Came, MayNot, NoteMissing, NotOpen, Stale, Transition
from countersign.model.approval import (
    Approval,
    ApprovalState,
    BreakGlass,
    Person,
    PersonDecision,
    Question,
    Requirement,
    ShownToken,
)
from countersign.model.opening import OpeningHours, parse_opening
from countersign.model.principal import Principal, PrincipalKind

LEAST_REASON = 10
"""Characters that a reason for breaking the glass has, blanks at its ends not counted."""

# Any constant: what makes the ids of changes differ from everybody else's.
_CHANGES = UUID("5d0f1f5e-5b0c-4f5b-8d39-0a1c5be3e7a4")


@dataclass(frozen=True, slots=True)
class Step:
    """One change: what happened, how the approval stands after it, who did it (``None``: nobody) and in what words.

    ``call_id`` is the call that the change is about, when that is another than the one that asked.
    """

    what: str
    approval: Approval
    by: Principal | Person | None = None
    note: str = ""
    call_id: str = ""


def asked(question: Question, approval_id: str, now_us: int) -> Step:
    """Return the first step of an approval."""
    approval = Approval(
        id=approval_id,
        state=ApprovalState.PENDING,
        version=1,
        digest=question.digest,
        asked_by=question.caller,
        asked_by_kind=question.caller_kind,
        acts_for=question.acts_for,
        session_id=question.session_id,
        target=question.target,
        method=question.method,
        name=question.name,
        policy_version=question.policy_version,
        summary=question.summary,
        requirements=question.requirements,
        break_glass=question.break_glass,
        decisions=(),
        asked_at_us=now_us,
        expires_at_us=now_us + question.within_us,
        reuse_us=question.reuse_us,
    )
    return Step("asked", approval, _caller(question))


def joined(approval: Approval, question: Question) -> Step:
    """Return that another call waits for an approval, too: nothing about the approval changes."""
    return Step("joined", approval, _caller(question), call_id=question.call_id)


def expired(approval: Approval, now_us: int) -> Step | None:
    """Return the end of an open approval whose time is over; ``None`` when it is not."""
    over_at_us = over_at(approval)
    if over_at_us is None or now_us < over_at_us:
        return None
    return _step("expired", replace(approval, state=ApprovalState.EXPIRED))


def over_at(approval: Approval) -> int | None:
    """Return the moment from which on it is over, unless something becomes of it; ``None`` when something did."""
    if approval.state is ApprovalState.PENDING:
        return approval.expires_at_us
    if approval.state is ApprovalState.APPROVED:
        return approval.grant_until_us
    return None


def why_not(approval: Approval, by: Principal, now_us: int, token_id: str = "") -> str:
    """Return why somebody may not agree now, in words for them; empty when they may.

    ``token_id`` is that of the token by which it was asked for, where it is known.
    """
    if expired(approval, now_us) or approval.state is not ApprovalState.PENDING:
        return "it is decided or over"
    return _never(approval, by, token_id) or _not_now(approval, by, now_us)


def may_deny(approval: Approval, by: Principal, now_us: int, token_id: str = "") -> bool:
    """Whether somebody may disagree now: whoever is asked may until it is decided, whatever the hour."""
    is_pending = approval.state is ApprovalState.PENDING and not expired(approval, now_us)
    return is_pending and not _never(approval, by, token_id)


def glass_for(approval: Approval, by: Principal, now_us: int) -> tuple[BreakGlass, ...]:
    """Return the rules by which somebody may agree alone now: none, unless they ask for themself."""
    if expired(approval, now_us) or approval.state is not ApprovalState.PENDING or _why_no_glass(approval, by):
        return ()
    return approval.break_glass


def decided(
    approval: Approval, by: Principal, *, version: int, agrees: bool, note: str, now_us: int, token_id: str = ""
) -> Step | None:
    """Return what a decision makes of an approval that is not over; ``None`` when this very decision was taken before.

    Raises ``NotOpen``, ``MayNot``, ``Stale``.
    """
    person, note = Person(by.issuer, by.subject), _clean(note)
    if any((one.by, one.agrees, one.note, one.glass) == (person, agrees, note, "") for one in approval.decisions):
        return None
    _must_be_pending(approval)
    refusal = _never(approval, by, token_id) or (_not_now(approval, by, now_us) if agrees else "")
    if refusal:
        raise MayNot(refusal)
    theirs = _counted(approval, by, now_us) if agrees else _theirs(approval.requirements, by)
    if not note.strip() and any(requirement.note_required for requirement in theirs):
        raise NoteMissing("say why, in a note: the rule demands it")
    _must_be(version, approval)
    rules = tuple(requirement.rule for requirement in theirs)
    decision = PersonDecision(person, agrees, note, now_us, rules, token=_shown(by))
    after = replace(approval, decisions=(*approval.decisions, decision))
    if not agrees:
        ended = replace(after, state=ApprovalState.DENIED, decided_at_us=now_us, reason=note)
        return _step("denied", ended, by, note)
    if after.lacking():
        return _step("agreed", after, by, note)
    within_us = approval.expires_at_us - approval.asked_at_us
    return _step("approved", _granted(after, now_us, approval.reuse_us, within_us), by, note)


def glass_broken(approval: Approval, by: Principal, *, version: int, reason: str, now_us: int) -> Step | None:
    """Return an approval that its caller agreed to alone, by the first of the rules that let them.

    ``None`` when this very thing was done before. Raises ``NotOpen``, ``MayNot``, ``Stale``.
    """
    person, reason = Person(by.issuer, by.subject), _clean(reason)
    if any((one.by, one.note) == (person, reason) and one.glass for one in approval.decisions):
        return None
    _must_be_pending(approval)
    refusal = _why_no_glass(approval, by)
    if refusal:
        raise MayNot(refusal)
    if len(reason.strip()) < LEAST_REASON:
        raise NoteMissing(f"say why, in {LEAST_REASON} characters or more")
    _must_be(version, approval)
    glass = approval.break_glass[0]
    decision = PersonDecision(person, True, reason, now_us, (), glass.rule, _shown(by))
    after = replace(approval, decisions=(*approval.decisions, decision), reuse_us=glass.reuse_us)
    return _step("glass_broken", _granted(after, now_us, glass.reuse_us, glass.within_us), by, reason)


def consumed(approval: Approval, call_id: str) -> Step | None:
    """Return the use of a grant that is not over by one call; ``None`` when there is no grant."""
    if approval.state is not ApprovalState.APPROVED:
        return None
    state = ApprovalState.APPROVED if approval.reuse_us else ApprovalState.CONSUMED
    after = replace(approval, state=state, version=approval.version + 1, uses=approval.uses + 1, used_by=call_id)
    return Step("consumed", after, approval.asked_by, call_id=call_id)


def abandoned(approval: Approval) -> Step | None:
    """Return the end of an approval for which nobody waits any more; ``None`` when it is not pending."""
    if approval.state is not ApprovalState.PENDING:
        return None
    return _step("abandoned", replace(approval, state=ApprovalState.ABANDONED))


def cancelled(approval: Approval, by: Principal | Person | None, reason: str) -> Step:
    """Return the end of an approval that is taken back, or dies with a revocation (by nobody). Raises ``NotOpen``."""
    if not approval.state.is_open:
        raise NotOpen(_words(approval), approval)
    reason = _clean(reason)
    return _step("cancelled", replace(approval, state=ApprovalState.CANCELLED, reason=reason), by, reason)


def concerns(approval: Approval, person: Person) -> bool:
    """Whether it dies with somebody's rights: they asked, it was asked for them, or they agreed."""
    agreed = {one.by for one in approval.decisions if one.agrees}
    return person == approval.asked_by or person in approval.acts_for or person in agreed


def transition(step: Step, question: Question, at_us: int, came: Came = FROM_NOWHERE) -> Transition:
    """Return what is to be recorded of a step of the approval that ``question`` asked for."""
    approval, call_id = step.approval, step.call_id or question.call_id
    # A call joins without a new version, and may ask twice when an answer is lost: at another time it is another event.
    joins = f"{step.call_id} {at_us}" if step.what == "joined" else ""
    name = "\n".join((approval.id, str(approval.version), step.what, joins))
    return Transition(
        event_id=str(uuid5(_CHANGES, name)),
        what=step.what,
        approval=approval,
        by=step.by,
        at_us=at_us,
        call_id=call_id,
        note=step.note,
        source_address=came.source_address,
        traceparent=came.traceparent,
    )


def came_of(question: Question) -> Came:
    """Return where a question came from."""
    return Came(question.source_address, question.traceparent)


def _step(what: str, after: Approval, by: Principal | Person | None = None, note: str = "") -> Step:
    return Step(what, replace(after, version=after.version + 1), by, note)


def _granted(approval: Approval, now_us: int, reuse_us: int, within_us: int) -> Approval:
    until_us = now_us + (reuse_us or within_us)
    return replace(approval, state=ApprovalState.APPROVED, decided_at_us=now_us, grant_until_us=until_us)


def _clean(text: str) -> str:
    """What every database can keep, and gives back as it was."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


def _shown(by: Principal) -> ShownToken:
    """What is kept of the token by which somebody decides."""
    return ShownToken(_clean(by.token_id), by.issued_s, _clean(by.signed_in), _clean(by.token_subject))


def _caller(question: Question) -> Principal:
    caller = question.caller
    kind = PrincipalKind(question.caller_kind)
    return Principal(caller.issuer, caller.subject, question.caller_groups, kind, question.caller_token_id)


def _must_be_pending(approval: Approval) -> None:
    if approval.state is not ApprovalState.PENDING:
        raise NotOpen(_words(approval), approval)


def _must_be(version: int, approval: Approval) -> None:
    if version != approval.version:
        raise Stale(f"it changed since you saw it: it is at version {approval.version}, look again", approval)


def _words(approval: Approval) -> str:
    return f"nothing can be done about it any more: it is {approval.state}"


def _never(approval: Approval, by: Principal, token_id: str) -> str:
    """Why somebody may not decide about it, whatever the time and whatever others do."""
    person = Person(by.issuer, by.subject)
    if by.kind is not PrincipalKind.PERSON or by.actors:
        return "you may not decide about it: only people may, and by themselves"
    if person == approval.asked_by:
        return "you may not decide about it: you asked for it"
    if person in approval.acts_for:
        return "you may not decide about it: it was asked for you"
    if token_id and by.token_id == token_id:
        return "you may not decide about it: it was asked for by the token that you show"
    if any(one.by == person for one in approval.decisions):
        return "you may not decide about it: you have decided already"
    if not approval.requirements:
        return "you may not decide about it: only its caller can agree to it, by breaking the glass"
    if not _theirs(approval.requirements, by):
        groups = sorted({group for requirement in approval.requirements for group in requirement.groups})
        return f"you may not decide about it: you are in none of the groups {', '.join(groups)}"
    return ""


def _not_now(approval: Approval, by: Principal, now_us: int) -> str:
    """Why somebody may not agree at this moment, who else may."""
    lacking = _theirs([requirement for requirement, _ in approval.lacking()], by)
    if not lacking:
        return "you may not agree to it: enough people of your groups have"
    if not _counted(approval, by, now_us):
        return f"you may not agree to it now: it may be agreed to in {lacking[0].window}"
    return ""


def _why_no_glass(approval: Approval, by: Principal) -> str:
    if by.kind is not PrincipalKind.PERSON or by.actors:
        return "you may not break the glass: only people may, and by themselves"
    if Person(by.issuer, by.subject) != approval.asked_by:
        return "you may not break the glass: somebody else asked for it"
    return "" if approval.break_glass else "you may not break the glass: no rule says so"


def _theirs(requirements: Sequence[Requirement], by: Principal) -> tuple[Requirement, ...]:
    return tuple(one for one in requirements if not set(one.groups).isdisjoint(by.groups))


def _counted(approval: Approval, by: Principal, now_us: int) -> tuple[Requirement, ...]:
    """The demands that are not met yet and that somebody's agreement counts for now."""
    lacking = [requirement for requirement, _ in approval.lacking()]
    return tuple(one for one in _theirs(lacking, by) if _is_open(one.window, now_us))


def _is_open(window: str, at_us: int) -> bool:
    if not window:
        return True
    try:
        return _hours(window).is_open(at_us)
    except (ValueError, OverflowError, LookupError):
        # Hours that nobody understands are never.
        return False


@lru_cache(256)
def _hours(window: str) -> OpeningHours:
    return parse_opening(window)
