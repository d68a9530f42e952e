"""How approvals look in a terminal.

Callers and targets chose what stands in them: what a terminal might obey is written out, and what is not drawn as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rich.table import Table
from rich.text import Text

from countersign.cli.approvals.service import Seen
from countersign.model.approval import Approval, ApprovalState, BreakGlass, PersonDecision, StatementSummary
from countersign.model.visible import visible

SHORTEST_ID = 8
_DIGEST_CHARACTERS = 16
_SECOND_US = 1_000_000
_STYLES = {
    ApprovalState.PENDING: "bold yellow",
    ApprovalState.APPROVED: "bold green",
    ApprovalState.DENIED: "bold red",
    ApprovalState.CONSUMED: "green",
}
_GRAVE = frozenset({"mass_write", "destructive_ddl", "privilege", "code_execution", "export", "unparsable"})


def short_ids(approvals: Iterable[Approval]) -> dict[str, str]:
    """Return for each id its beginning (at least 8 characters) that no other of them has."""
    found = {approval.id: SHORTEST_ID for approval in approvals}
    while True:
        counts = Counter(one[:length] for one, length in found.items())
        alike = [one for one, length in found.items() if counts[one[:length]] > 1]
        if not alike:
            return {one: one[:length] for one, length in found.items()}
        found.update((one, found[one] + 1) for one in alike)


def approval_table(
    approvals: Sequence[Approval], now_us: int, *, chosen: int | None = None, width: int | None = None
) -> Table:
    """A row an approval; the row ``chosen`` stands out. With ``width``, each is one line of so many characters."""
    table = Table(box=None, pad_edge=False)
    for title in ("ID", "STATE", "WHO", "TARGET/TOOL", "NEEDS", "EXPIRES IN"):
        table.add_column(title, no_wrap=title in ("ID", "STATE", "EXPIRES IN"), overflow="fold")
    ids = short_ids(approvals)
    rows = [_cells(one, ids[one.id], now_us) for one in approvals]
    if width is not None:
        _shorten(rows, width)
    for position, (one, cells) in enumerate(zip(approvals, rows, strict=True)):
        table.add_row(*cells, style="reverse" if position == chosen else ("" if one.state.is_open else "dim"))
    return table


def _shorten(rows: Sequence[tuple[Text, ...]], width: int) -> None:
    """Leave the ids, states and times as they are, and give each of the other columns its share of the rest."""
    taken = max((cells[0].cell_len + cells[1].cell_len for cells in rows), default=0) + len("EXPIRES IN") + 10
    share = max(8, (width - taken) // 3)
    for cells in rows:
        for cell in cells[2:5]:
            cell.truncate(share, overflow="ellipsis")


def approval_line(approval: Approval, now_us: int) -> str:
    """One line for a log that only grows."""
    cells = (cell.plain for cell in _cells(approval, approval.id[:SHORTEST_ID], now_us))
    return "  ".join(
        (f"{datetime.fromtimestamp(now_us // _SECOND_US, UTC):%H:%M:%SZ}", *(cell for cell in cells if cell))
    )


def title(approval: Approval) -> str:
    """Who wants to do what, in a sentence."""
    what = f"call {approval.name}" if approval.method == "tools/call" else f"{approval.method} {approval.name}".strip()
    return visible(f"{who(approval)} wants to {what} on {approval.target}")


def who(approval: Approval) -> str:
    """Who calls, and through whom."""
    through = ", ".join(person.subject for person in approval.acts_for)
    return visible(approval.asked_by.subject + (f" through {through}" if through else ""))


def needs(approval: Approval) -> str:
    """How many have agreed of those who must, of which groups."""
    if approval.state is not ApprovalState.PENDING:
        return ""
    lacking = {requirement.rule: count for requirement, count in approval.lacking()}
    parts = [
        f"{one.count - lacking.get(one.rule, 0)} of {one.count} from {' or '.join(one.groups)}"
        for one in approval.requirements
    ]
    return visible(", ".join(parts)) or "its caller, breaking the glass"


def left(approval: Approval, now_us: int) -> str:
    """How long there is to decide, or to run what was agreed to."""
    if not approval.state.is_open:
        return ""
    until_us = approval.expires_at_us if approval.state is ApprovalState.PENDING else approval.grant_until_us
    return span(until_us - now_us)


def span(span_us: int) -> str:
    """A span of time in the two units that matter; nothing is negative."""
    seconds = max(0, span_us // _SECOND_US)
    if seconds < 60:
        return f"{seconds}s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}m {seconds:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours}h {minutes:02}m"
    return f"{hours // 24}d {hours % 24}h"


def approval_lines(seen: Seen, now_us: int) -> Iterator[Text]:
    """Everything that somebody who decides must know, the gravest first."""
    approval = seen.approval
    yield Text(title(approval), "bold")
    yield Text()
    yield _head("arguments")
    yield from _block(approval.summary.arguments)
    for statement in approval.summary.statements:
        yield from _statement_lines(statement)
    if approval.summary.tool:
        yield _head("the tool says of itself")
        yield from _block(approval.summary.tool)
    yield Text()
    yield from _fact_lines(approval, now_us)
    yield Text()
    if seen.may_decide:
        yield Text("You may decide.", "bold green")
    elif seen.why_not:
        yield Text(f"You may not decide: {why_not(seen)}.", "yellow")


def why_not(seen: Seen) -> str:
    """Why the caller may not decide, without saying twice that they may not."""
    return visible(seen.why_not.removeprefix("you may not decide about it: "))


def outcome(approval: Approval, now_us: int) -> str:
    """What became of an approval, in a line, for whoever changed it."""
    match approval.state:
        case ApprovalState.PENDING:
            return f"recorded; {needs(approval)}; {left(approval, now_us)} left"
        case ApprovalState.APPROVED:
            return f"approved; its call may run within {left(approval, now_us)}"
        case _:
            return f"{approval.state.value}{f': {visible(approval.reason)}' if approval.reason else ''}"


def moment(time_us: int) -> str:
    """A time of day, with its zone."""
    return f"{datetime.fromtimestamp(time_us // _SECOND_US, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _cells(approval: Approval, short_id: str, now_us: int) -> tuple[Text, ...]:
    return (
        Text(visible(short_id)),
        Text(approval.state.value, _STYLES.get(approval.state, "")),
        Text(who(approval)),
        Text(visible(f"{approval.target}/{approval.name or approval.method}")),
        Text(needs(approval)),
        Text(left(approval, now_us)),
    )


def _head(text: str) -> Text:
    return Text(f"{text}:", "bold cyan")


def _block(text: str) -> Iterator[Text]:
    for line in visible(text, keep="\n").split("\n"):
        yield Text(f"  {line}")


def _statement_lines(statement: StatementSummary) -> Iterator[Text]:
    head = _head(visible(f"{statement.argument} ({statement.dialect})")) if statement.argument else Text()
    for position, each in enumerate(statement.classes):
        head.append(" " if position == 0 else ", ").append(visible(each), "bold red" if each in _GRAVE else "")
    for fact in (", ".join(statement.relations), statement.bound):
        if fact:
            head.append(" · ", "dim").append(visible(fact), "bold red" if fact == "no bound" else "")
    yield head
    yield from _block(statement.text)


def _fact_lines(approval: Approval, now_us: int) -> Iterator[Text]:
    state, caller = approval.state, approval.asked_by
    facts = [
        ("why", approval.summary.why),
        ("state", state.value + (f" ({approval.reason})" if approval.reason else "")),
        ("needs", needs(approval)),
        *(("glass", _glass(one)) for one in approval.break_glass if state is ApprovalState.PENDING),
        *(("decided", _decision(one)) for one in approval.decisions),
        ("asked", f"{moment(approval.asked_at_us)} by {caller.subject}, {approval.asked_by_kind} of {caller.issuer}"),
        ("expires", _until(approval.expires_at_us, now_us) if state is ApprovalState.PENDING else ""),
        ("may run", _until(approval.grant_until_us, now_us) if state is ApprovalState.APPROVED else ""),
        ("ran", _runs(approval)),
        ("id", f"{approval.id}, version {approval.version}"),
        ("digest", approval.digest.hex()[:_DIGEST_CHARACTERS]),
        ("session", approval.session_id),
    ]
    for name, fact in facts:
        if fact:
            yield Text(f"{name + ':':<9}", "cyan").append(visible(fact))


def _until(time_us: int, now_us: int) -> str:
    return f"{'until ' if time_us > now_us else 'over since '}{moment(time_us)} ({span(abs(time_us - now_us))})"


def _runs(approval: Approval) -> str:
    if not approval.uses:
        return ""
    return f"{'once' if approval.uses == 1 else f'{approval.uses} times'}, last as call {approval.used_by}"


def _glass(glass: BreakGlass) -> str:
    alerted = f", and {', '.join(glass.alert)} would be alerted" if glass.alert else ""
    return f"its caller may agree alone by rule `{glass.rule}`, with a reason{alerted}"


def _decision(decision: PersonDecision) -> str:
    did = "broke the glass" if decision.glass else ("agreed" if decision.agrees else "disagreed")
    note = f": {decision.note}" if decision.note else ""
    return f"{decision.by.subject} {did} at {moment(decision.at_us)}{note}"
