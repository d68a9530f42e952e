"""What people are told of an approval: plain strings, of which every channel makes its own form.

All texts are masked already, and all of a caller's or target's are hostile still: here what is hidden in them is
written out and what is long is cut; a channel escapes them for its own markup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from countersign.approver.notify.ports import News
from countersign.approver.notify.wording import enumeration, line, lines, moment, relative, words
from countersign.model.approval import (
    Approval,
    ApprovalState,
    Person,
    PersonDecision,
    Requirement,
    StatementSummary,
)

MOST_LISTED = 5
"""Of persons, demands, statements and decisions no more are told: the page shows all."""
LINE_CHARACTERS = 200
TEXT_CHARACTERS = 600
QUOTE_CHARACTERS = 30_000

_DOING = {"tools/call": "call", "prompts/get": "get the prompt", "resources/read": "read"}


@dataclass(frozen=True, slots=True)
class Quote:
    """A text of the caller's, line by line, and in words what it is; ``more`` characters of it are left away."""

    label: str
    text: str
    more: int = 0


@dataclass(frozen=True, slots=True)
class Said:
    """One line of our own words; texts of others in it are of one line each."""

    text: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One change of an approval, ready to be told. Every string is visible text; all but quotes have one line.

    ``approval`` is whence it comes: a channel takes numbers, ids and times of it, and no text. ``alarm``: the caller
    broke the glass, just now. ``asks``: somebody may still decide. ``body`` stands in the order in which it is read.
    ``link`` is where to decide, or empty; ``command`` shows the approval in any case.
    """

    news: News
    approval: Approval
    alarm: bool
    title: str
    standing: str
    body: tuple[Quote | Said, ...]
    link: str
    command: str

    @property
    def asks(self) -> bool:
        """Whether people are asked to decide: nobody is where the caller alone may, by breaking the glass."""
        return self.approval.state is ApprovalState.PENDING and bool(self.approval.lacking())


def notice_of(approval: Approval, news: News, now_us: int, link: str) -> Notice:
    """Return what to tell of ``approval``, which stands as it does at ``now_us``, on account of ``news``."""
    standing = _standing(approval, news)
    return Notice(
        news=news,
        approval=approval,
        alarm=news.what == "glass_broken",
        title=_title(approval, news),
        standing=standing,
        body=tuple(_body(approval, standing, now_us)),
        link=link,
        command=f"countersign approvals show {approval.id}",
    )


def _title(approval: Approval, news: News) -> str:
    # One line of a mail's head, of a notification on a telephone.
    who = _asker(approval)
    what = f"{_DOING.get(approval.method, line(approval.method, 40))} {line(approval.name, 100)}".strip()
    target = line(approval.target, 60)
    if news.what == "glass_broken":
        return f"BREAK GLASS: {who} agreed alone to {what} on {target}"
    if approval.state is ApprovalState.PENDING:
        return f"{who} wants to {what} on {target}"
    return f"{approval.state.value.capitalize()}: {who} wanted to {what} on {target}"


def _asker(approval: Approval) -> str:
    name = line(approval.asked_by.subject, 80)
    notes = [] if approval.asked_by_kind == "person" else [line(approval.asked_by_kind, 20)]
    if approval.acts_for:
        notes.append(f"through {_names(approval.acts_for)}")
    return f"{name} ({', '.join(notes)})" if notes else name


def _names(persons: Sequence[Person]) -> str:
    return enumeration([line(person.subject, 60) for person in persons], "and", MOST_LISTED)


def _standing(approval: Approval, news: News) -> str:
    agreed = _agreement(approval)
    ran = _ran(approval, news)
    state = approval.state
    if state is ApprovalState.PENDING:
        return f"Waiting: {'; '.join(needs(approval)) or 'nobody else is asked'}"
    if state is ApprovalState.APPROVED:
        until = (
            f"it may run {'again and again ' if approval.reuse_us else 'once, '}until {moment(approval.grant_until_us)}"
        )
        return f"{agreed}; {ran}; {until}" if ran else f"{agreed}; {until}"
    if state is ApprovalState.CONSUMED:
        return f"{agreed}; {ran}"
    if state is ApprovalState.EXPIRED:
        if not approval.decided_at_us:
            return "Expired: not enough people decided in time"
        return f"{agreed}; its time is over, {ran or 'it did not run'}"
    if state is ApprovalState.DENIED:
        denials = [one for one in approval.decisions if not one.agrees]
        return " ".join(_decision(one) for one in denials[:1]) or "Denied"
    if state is ApprovalState.ABANDONED:
        return "Abandoned: its caller went away, nothing ran"
    why = line(approval.reason, LINE_CHARACTERS)
    return f"Cancelled{': ' if why else ''}{why}"


def _agreement(approval: Approval) -> str:
    agreeing = [one for one in approval.decisions if one.agrees]
    broken = [one for one in agreeing if one.glass]
    if broken:
        reason = words(broken[0].note, TEXT_CHARACTERS)
        return f"Approved by its own caller, who broke the glass (rule {line(broken[0].glass, 60)}): {reason}"
    return f"Approved by {_names([one.by for one in agreeing])} at {moment(approval.decided_at_us)}"


def _ran(approval: Approval, news: News) -> str:
    if not approval.uses:
        return ""
    # "consumed" is the only change whose time is that of a use.
    when = f", {'last ' if approval.uses > 1 else ''}at {moment(news.at_us)}" if news.what == "consumed" else ""
    return f"it was let run {'once' if approval.uses == 1 else f'{approval.uses:,} times'}{when}"


def needs(approval: Approval) -> tuple[str, ...]:
    """Say what each demand that is not met lacks: ``needs 1 more of data-owners``."""
    found = [_need(requirement, lacking) for requirement, lacking in approval.lacking()]
    more = len(found) - MOST_LISTED
    return (*found[:MOST_LISTED], *([f"and {more} more demands"] if more > 0 else []))


def _need(requirement: Requirement, lacking: int) -> str:
    groups = enumeration([line(group, 60) for group in requirement.groups], "or", MOST_LISTED)
    notes = [f"rule {line(requirement.rule, 60)}"]
    if requirement.window:
        notes.append(line(requirement.window, 80))
    if requirement.note_required:
        notes.append("with a note")
    more = " more" if lacking < requirement.count else ""
    return f"needs {lacking}{more} of {groups} ({', '.join(notes)})"


def _body(approval: Approval, standing: str, now_us: int) -> list[Quote | Said]:
    pending = approval.state is ApprovalState.PENDING
    body: list[Quote | Said] = [] if pending else [Said(standing)]
    for statement in approval.summary.statements[:MOST_LISTED]:
        body.append(_quote(_label(statement), statement.text))
        body += [Said(said) for said in _understood(statement)]
    if (more := len(approval.summary.statements) - MOST_LISTED) > 0:
        body.append(Said(f"{more} more statements, open to see"))
    if approval.summary.arguments:
        body.append(_quote("arguments", approval.summary.arguments))
    if approval.summary.tool:
        body.append(Said(f"Its target says of it: {words(approval.summary.tool, TEXT_CHARACTERS)}"))
    if approval.summary.why:
        body.append(Said(f"Why: {words(approval.summary.why, TEXT_CHARACTERS)}"))
    decided = approval.decisions if pending else [one for one in approval.decisions if one.note]
    body += [Said(_decision(one)) for one in decided[:MOST_LISTED]]
    if pending:
        body += [Said(f"{need[0].upper()}{need[1:]}") for need in needs(approval)]
        body.append(Said(f"Expires {moment(approval.expires_at_us)} ({relative(approval.expires_at_us - now_us)})"))
        if approval.break_glass:
            rules = enumeration([line(one.rule, 60) for one in approval.break_glass], "or", MOST_LISTED)
            body.append(Said(f"Its caller may break the glass (rule {rules})"))
    return body


def _quote(label: str, text: str) -> Quote:
    # More than any channel takes need not be looked at, character by character.
    return Quote(label, lines(text[:QUOTE_CHARACTERS]), max(0, len(text) - QUOTE_CHARACTERS))


def _label(statement: StatementSummary) -> str:
    return f"{line(statement.argument, 80)} ({line(statement.dialect, 40)})"


def _understood(statement: StatementSummary) -> list[str]:
    found = []
    if statement.classes:
        found.append(f"It does: {words(', '.join(statement.classes), LINE_CHARACTERS)}")
    if statement.relations:
        found.append(f"It touches: {words(', '.join(statement.relations), LINE_CHARACTERS)}")
    if statement.bound:
        found.append(f"Rows that it can touch: {line(statement.bound, LINE_CHARACTERS)}")
    return found


def _decision(decision: PersonDecision) -> str:
    did = "agreed" if decision.agrees else "denied it"
    if decision.glass:
        did = "broke the glass"
    note = f": {words(decision.note, TEXT_CHARACTERS)}" if decision.note else ""
    return f"{line(decision.by.subject, 80)} {did} at {moment(decision.at_us)}{note}"


LinkFor = Callable[[Approval], str]
"""Where to decide about an approval; empty when nobody can sign in."""
