"""An approval as the page shows it: plain texts, nothing hidden in them; the templates escape them."""

from __future__ import annotations

from dataclasses import dataclass

from countersign.approver.deciding import Seen
from countersign.approver.page.times import moment, span
from countersign.model.approval import Approval, ApprovalState, Person, Requirement
from countersign.model.principal import Principal
from countersign.model.visible import visible

_STATES = {
    ApprovalState.PENDING: "waiting for approval",
    ApprovalState.APPROVED: "approved, not run yet",
    ApprovalState.DENIED: "denied",
    ApprovalState.EXPIRED: "expired",
    ApprovalState.ABANDONED: "abandoned: its caller went away",
    ApprovalState.CANCELLED: "cancelled",
    ApprovalState.CONSUMED: "approved, and it ran",
}


@dataclass(frozen=True, slots=True)
class ShownStatement:
    """A statement in the arguments: what it is, and what it does in words."""

    argument: str
    dialect: str
    text: str
    classes: str
    relations: str
    bound: str


@dataclass(frozen=True, slots=True)
class ShownDemand:
    """What one rule demands, and how far that is: ``needs`` such as "1 of 2 from data-owners"."""

    rule: str
    needs: str
    window: str
    note_required: bool


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """What one person said, and when."""

    who: str
    said: str
    note: str
    at: str


@dataclass(frozen=True, slots=True)
class ShownApproval:
    """All of it, for one person; ``time_left`` is empty when nothing can become of it any more."""

    id: str
    version: int
    state: str
    css: str
    title: str
    who: str
    kind: str
    acts_for: tuple[str, ...]
    target: str
    method: str
    name: str
    tool: str
    arguments: str
    statements: tuple[ShownStatement, ...]
    why: str
    demands: tuple[ShownDemand, ...]
    decisions: tuple[ShownDecision, ...]
    reason: str
    asked_at: str
    until: str
    time_left: str
    uses: str
    reuse: str
    digest: str
    policy_version: str
    may_decide: bool
    may_deny: bool
    why_not: str
    glass: tuple[str, ...]
    may_cancel: bool
    asks_note: bool


def shown(seen: Seen, who: Principal, now_us: int) -> ShownApproval:
    """Return what ``who`` is shown."""
    approval = seen.approval
    summary = approval.summary
    mine = Person(who.issuer, who.subject) == approval.asked_by
    until_us = _until_us(approval)
    return ShownApproval(
        id=approval.id,
        version=approval.version,
        state=_state(approval),
        css=approval.state.value,
        title=f"{visible(_who(approval))} wants to call {visible(approval.name or approval.method)}"
        f" on {visible(approval.target)}",
        who=_person(approval.asked_by),
        kind=visible(approval.asked_by_kind),
        acts_for=tuple(_person(one) for one in approval.acts_for),
        target=visible(approval.target),
        method=visible(approval.method),
        name=visible(approval.name),
        tool=visible(summary.tool, keep="\n"),
        arguments=visible(summary.arguments, keep="\n"),
        statements=tuple(
            ShownStatement(
                argument=visible(one.argument),
                dialect=visible(one.dialect),
                text=visible(one.text, keep="\n"),
                classes=", ".join(map(visible, one.classes)),
                relations=", ".join(map(visible, one.relations)),
                bound=visible(one.bound),
            )
            for one in summary.statements
        ),
        why=visible(summary.why, keep="\n"),
        demands=_demands(approval),
        decisions=_decisions(approval),
        reason=visible(approval.reason, keep="\n"),
        asked_at=moment(approval.asked_at_us),
        until=moment(until_us) if until_us else "",
        time_left=span(until_us - now_us) if until_us else "",
        uses=_uses(approval),
        reuse=span(approval.reuse_us) if approval.reuse_us else "",
        digest=approval.digest.hex()[:16],
        policy_version=visible(approval.policy_version),
        may_decide=seen.may_decide,
        may_deny=seen.may_deny,
        why_not=visible(seen.why_not),
        glass=tuple(map(visible, seen.glass)),
        may_cancel=mine and approval.state.is_open,
        asks_note=any(requirement.note_required for requirement in approval.requirements),
    )


@dataclass(frozen=True, slots=True)
class ShownLine:
    """An approval in a list."""

    id: str
    state: str
    css: str
    who: str
    what: str
    needs: str
    time_left: str
    until: str


def line(approval: Approval, now_us: int) -> ShownLine:
    """Return an approval as a list shows it."""
    until_us = _until_us(approval)
    return ShownLine(
        id=approval.id,
        state=_state(approval),
        css=approval.state.value,
        who=visible(_who(approval)),
        what=f"{visible(approval.name or approval.method)} on {visible(approval.target)}",
        needs="; ".join(demand.needs for demand in _demands(approval)),
        time_left=span(until_us - now_us) if until_us else "",
        until=moment(until_us) if until_us else "",
    )


def _who(approval: Approval) -> str:
    subject = approval.asked_by.subject
    if not approval.acts_for:
        return subject
    return f"{subject} (through {', '.join(person.subject for person in approval.acts_for)})"


def _person(person: Person) -> str:
    return f"{visible(person.subject)} ({visible(person.issuer)})"


def _state(approval: Approval) -> str:
    if approval.state is ApprovalState.APPROVED and approval.uses:
        return "approved, and it ran; it may run again"
    return _STATES[approval.state]


def _until_us(approval: Approval) -> int:
    if approval.state is ApprovalState.PENDING:
        return approval.expires_at_us
    return approval.grant_until_us if approval.state is ApprovalState.APPROVED else 0


def _demands(approval: Approval) -> tuple[ShownDemand, ...]:
    lacking = {requirement.rule: count for requirement, count in approval.lacking()}
    return tuple(
        ShownDemand(
            rule=visible(one.rule),
            needs=_needs(one, one.count - lacking.get(one.rule, 0)),
            window=visible(one.window),
            note_required=one.note_required,
        )
        for one in approval.requirements
    )


def _needs(requirement: Requirement, agreed: int) -> str:
    return f"{agreed} of {requirement.count} from {' or '.join(map(visible, requirement.groups))}"


def _decisions(approval: Approval) -> tuple[ShownDecision, ...]:
    return tuple(
        ShownDecision(
            who=_person(one.by),
            said=f"broke the glass by {visible(one.glass)}" if one.glass else "approved" if one.agrees else "denied",
            note=visible(one.note, keep="\n"),
            at=moment(one.at_us),
        )
        for one in approval.decisions
    )


def _uses(approval: Approval) -> str:
    if not approval.uses:
        return ""
    times = "once" if approval.uses == 1 else f"{approval.uses} times"
    return f"{times}, last as call {visible(approval.used_by)}"
