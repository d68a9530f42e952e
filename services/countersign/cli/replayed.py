"""How recorded sessions and events look in a terminal.

Names and bodies come from callers and targets: what is not printable is shown escaped, so that a record cannot move the
cursor, change the title or hide text of whoever reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.model.visible import visible

BEGINNING_CHARACTERS = 300
_OUTCOMES = {
    event_pb2.OUTCOME_ALLOW: ("allow", "green"),
    event_pb2.OUTCOME_DENY: ("deny", "bold red"),
    event_pb2.OUTCOME_REFUSED: ("refused", "bold red"),
    event_pb2.OUTCOME_APPROVE: ("waits for approval", "yellow"),
}
_KINDS = {
    event_pb2.EVENT_KIND_RESPONSE: "answer",
    event_pb2.EVENT_KIND_STREAM_EVENT: "stream event",
    event_pb2.EVENT_KIND_STREAM_END: "end of stream",
    event_pb2.EVENT_KIND_APPROVAL: "approval",
}
_MASKED = "bold magenta"
_APPROVAL_STYLES = {"agreed": "green", "approved": "green", "consumed": "green", "denied": "bold red"}


def session_table(sessions: Iterable[session_pb2.Session]) -> Table:
    """A row a session."""
    table = Table(box=None, pad_edge=False)
    for title in ("SESSION", "WHO", "TARGET", "STARTED (UTC)", "LAST"):
        table.add_column(title, no_wrap=title in ("SESSION", "STARTED (UTC)", "LAST"), overflow="fold")
    for title in ("EVENTS", "ALLOWED", "DENIED", "REFUSED", "FINDINGS"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in sessions:
        table.add_row(
            Text(visible(one.session_id)),
            Text(visible(one.principal.subject or "nobody")),
            Text(visible(one.target)),
            _moment(one.started_at, "%Y-%m-%d %H:%M:%S"),
            _moment(one.last_event_at, "%H:%M:%S"),
            str(one.event_count),
            Text(str(one.allowed_count)),
            _count(one.denied_count),
            _count(one.refused_count),
            str(one.finding_count),
        )
    return table


def event_lines(recorded: event_pb2.RecordedEvent, *, whole_bodies: bool) -> Iterator[Text]:
    """A line for the event, and one for its body if it has one; the answers to a call are indented."""
    event = recorded.event
    begins = event.kind not in _KINDS
    line = Text()
    line.append(f"{recorded.sequence:>4}  {_time(event.time_us)}  ", "dim")
    if begins:
        _append_call(line, event)
    else:
        line.append(f"  └ {_KINDS[event.kind]}")
    if event.approval_id:
        _append_approval(line, event)
    if event.status:
        line.append(f"  {event.status}", "green" if event.status < 400 else "bold red")
    if event.duration_us:
        line.append(f"  {event.duration_us / 1000:.1f} ms", "dim")
    if event.values_put_back:
        line.append("  sent with values for tokens", _MASKED)
    if event.request_masked:
        line.append("  sent masked", _MASKED)
    if event.findings:
        line.append("  masked: ").append(visible(_sum_findings(event)), _MASKED)
    if event.reason:
        line.append(f"  {visible(event.reason)}", "yellow")
    yield line
    if event.body:
        yield _body(event, whole_bodies, indent=" " * (21 if begins else 25))


def _append_call(line: Text, event: event_pb2.Event) -> None:
    word, style = _OUTCOMES.get(event.decision.outcome, ("", ""))
    offers = event.kind == event_pb2.EVENT_KIND_TOOLS_CHANGED
    line.append(visible(event.principal.subject or ("the target offers tools" if offers else "nobody")), "bold")
    line.append(f"  {visible(event.method)}")
    if event.name:
        line.append(f" {visible(event.name)}", "cyan")
    line.append(f"  {word}", style)
    rules = ", ".join(event.decision.rules)
    if why := rules or event.decision.reason:
        line.append(f" ({visible(why)})")


def _append_approval(line: Text, event: event_pb2.Event) -> None:
    """Which approval a call waits for or used; of an approval itself also what happened to it, and who did it."""
    about_call = event.kind != event_pb2.EVENT_KIND_APPROVAL
    # Enough of it to name it to `countersign approvals show`.
    line.append("  approval " if about_call else " ").append(visible(event.approval_id)[:8], "cyan")
    if about_call:
        return
    line.append(f"  {visible(event.method).replace('_', ' ')}", _APPROVAL_STYLES.get(event.method, "yellow"))
    if event.HasField("principal"):
        line.append(" by ").append(visible(event.principal.subject), "bold")


def _body(event: event_pb2.Event, whole: bool, *, indent: str) -> Text:
    text = event.body.decode("utf-8", "replace")
    shown = text if whole else text[:BEGINNING_CHARACTERS]
    cut = f" … {len(event.body)} bytes" if len(shown) < len(text) else ""
    body = Text(indent + visible(shown), "dim")
    for label in sorted({finding.label for finding in event.findings} - {""}):
        body.highlight_regex(re.compile(re.escape(f"[{label}]"), re.IGNORECASE), _MASKED)
    return body.append(cut, "dim")


def _sum_findings(event: event_pb2.Event) -> str:
    counts: dict[str, int] = {}
    for finding in event.findings:
        counts[finding.label] = counts.get(finding.label, 0) + finding.count
    return ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))


def _count(number: int) -> Text:
    return Text(str(number), "bold red" if number else "")


def _time(time_us: int) -> str:
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%H:%M:%S}.{time_us % 1_000_000 // 1000:03}"


def _moment(stamp: Timestamp, form: str) -> str:
    return stamp.ToDatetime(UTC).strftime(form)
