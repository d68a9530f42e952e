"""How recorded sessions and events look in a terminal.

Names and bodies come from callers and targets: what is not printable is shown escaped, so that a record cannot move the
cursor, change the title or hide text of whoever reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table
from rich.text import Text

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.cli.placeholders import MASKED, highlighted
from countersign.model.visible import visible

BEGINNING_CHARACTERS = 300
OUTCOMES = {
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
    event_pb2.EVENT_KIND_SEAL: "sealed",
}
_WITHOUT_CALLER = {
    event_pb2.EVENT_KIND_TOOLS_CHANGED: "the target offers tools",
    event_pb2.EVENT_KIND_ERASED: "bodies were erased",
    event_pb2.EVENT_KIND_REVOKED: "an issuer told",
}
_APPROVAL_STYLES = {"agreed": "green", "approved": "green", "consumed": "green", "denied": "bold red"}


def session_table(sessions: Iterable[session_pb2.Session]) -> Table:
    """A row a session."""
    table = Table(box=None, pad_edge=False)
    for title in ("SESSION", "WHO", "TARGET", "STARTED (UTC)", "LAST"):
        table.add_column(title, no_wrap=title in ("SESSION", "STARTED (UTC)", "LAST"), overflow="fold")
    for title in ("EVENTS", "ALLOWED", "DENIED", "REFUSED", "FINDINGS"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("STATE", no_wrap=True)
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
            session_state(one),
        )
    return table


def session_state(session: session_pb2.Session) -> Text:
    """Whether nothing more can come, why, and of which session it is the continuation."""
    state = Text()
    if session.HasField("seal"):
        state.append("sealed", "green").append(f" ({visible(session.seal_reason)})" if session.seal_reason else "")
    else:
        state.append("open", "yellow")
    if session.continues:
        state.append(f", continues {visible(session.continues)[:8]}", "dim")
    return state


def event_lines(recorded: event_pb2.RecordedEvent, *, whole_bodies: bool) -> Iterator[Text]:
    """A line for the event, and one for its body if it has one; the answers to a call are indented."""
    event = recorded.event
    yield event_line(recorded, sequence_and_time(recorded))
    if event.body:
        yield body_line(event, whole_bodies, indent=" " * (21 if begins_call(event) else 25))


def sequence_and_time(recorded: event_pb2.RecordedEvent) -> Text:
    """What stands before an event among others of its session."""
    return lead(f"{recorded.sequence:>4}  {clock(recorded.event.time_us)}  ")


def lead(text: str, style: str = "dim") -> Text:
    """The beginning of a line, which gives what follows none of its style."""
    return Text().append(text, style)


def begins_call(event: event_pb2.Event) -> bool:
    """Whether the event stands for itself, and does not follow another one of its call."""
    return event.kind not in _KINDS


def event_line(recorded: event_pb2.RecordedEvent, line: Text, *, named: bool = False) -> Text:
    """Add the event to ``line``; ``named`` also says of answers what they answer."""
    event = recorded.event
    if begins_call(event):
        _append_call(line, event)
    else:
        line.append(f"  └ {_KINDS[event.kind]}")
        if named and event.kind not in (event_pb2.EVENT_KIND_APPROVAL, event_pb2.EVENT_KIND_SEAL):
            line.append(f" to {visible(event.method)}").append(f" {visible(event.name)}" if event.name else "", "cyan")
    if event.kind == event_pb2.EVENT_KIND_SEAL:
        _append_seal(line, event)
    if event.approval_id:
        _append_approval(line, event)
    if event.status:
        line.append(f"  {event.status}", "green" if event.status < 400 else "bold red")
    if event.row_count:
        line.append(f"  {event.row_count} row{'' if event.row_count == 1 else 's'}")
    if event.duration_us:
        line.append(f"  {duration(event.duration_us)}", "dim")
    if event.values_put_back:
        line.append("  sent with values for tokens", MASKED)
    if event.request_masked:
        line.append("  sent masked", MASKED)
    if event.findings:
        line.append("  masked: ").append(visible(sum_findings(event)), MASKED)
    if event.reason:
        line.append(f"  {visible(event.reason)}", "yellow")
    if recorded.body_erased:
        line.append("  body erased", "dim")
    return line


def _append_seal(line: Text, event: event_pb2.Event) -> None:
    line.append(f": {visible(event.method)}, {event.seal.event_count} events")
    if unanswered := event.seal.unanswered_count:
        line.append(f", {unanswered} allowed and never answered", "yellow")


def _append_call(line: Text, event: event_pb2.Event) -> None:
    word, style = OUTCOMES.get(event.decision.outcome, ("", ""))
    line.append(visible(event.principal.subject or _WITHOUT_CALLER.get(event.kind, "nobody")), "bold")
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


def body_line(event: event_pb2.Event, whole: bool, *, indent: str) -> Text:
    """The body, or its beginning, in one line."""
    text = event.body.decode("utf-8", "replace")
    shown = text if whole else text[:BEGINNING_CHARACTERS]
    cut = f" … {len(event.body)} bytes" if len(shown) < len(text) else ""
    return highlighted(Text(indent + visible(shown), "dim"), event).append(cut, "dim")


def sum_findings(event: event_pb2.Event) -> str:
    """What was found, each label with its count."""
    counts: dict[str, int] = {}
    for finding in event.findings:
        counts[finding.label] = counts.get(finding.label, 0) + finding.count
    return ", ".join(f"{label} ({count})" for label, count in sorted(counts.items()))


def _count(number: int) -> Text:
    return Text(str(number), count_style(number))


def count_style(number: int) -> str:
    """How a number looks that had better be 0."""
    return "bold red" if number else ""


def duration(duration_us: int) -> str:
    """How long something took."""
    return f"{duration_us / 1000:.1f} ms" if duration_us < 10_000_000 else f"{duration_us / 1_000_000:.1f} s"


def clock(time_us: int) -> str:
    """A time of day, UTC."""
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%H:%M:%S}.{time_us % 1_000_000 // 1000:03}"


def day_and_time(time_us: int) -> str:
    """A day and a time, UTC, to the second."""
    return f"{datetime.fromtimestamp(time_us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S}"


def _moment(stamp: Timestamp, form: str) -> str:
    return stamp.ToDatetime(UTC).strftime(form)
