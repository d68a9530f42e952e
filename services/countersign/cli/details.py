"""Everything there is to say of one session, one call or one event, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC

from google.protobuf.timestamp_pb2 import Timestamp
from rich.text import Text

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.cli.calls_shown import count_line
from countersign.cli.placeholders import MASKED, pretty
from countersign.cli.replayed import OUTCOMES, begins_call, clock, day_and_time, event_line, lead, session_state
from countersign.model.visible import visible

_MOST_FINDINGS = 50


def session_lines(session: session_pb2.Session) -> Iterator[Text]:
    """What stands above the calls of a session."""
    yield _fact("session", session.session_id)
    yield _fact("who", _who(session.principal))
    yield _fact("target", session.target)
    yield _fact("time", f"{_moment(session.started_at)} to {_moment(session.last_event_at)} UTC")
    yield _head("state").append_text(session_state(session))
    if session.HasField("seal"):
        yield _fact("root", f"{session.seal.root.hex()} over {session.seal.event_count} events")
    if session.continues:
        yield _fact("goes on", f"from {session.continues}")
    counts = count_line(session.allowed_count, session.denied_count, session.refused_count, session.finding_count)
    yield _head("calls").append_text(counts)


def call_lines(events: Sequence[event_pb2.RecordedEvent], *, whole_bodies: bool) -> Iterator[Text]:
    """A call in full: its request, and all that was answered."""
    for position, recorded in enumerate(events):
        if position:
            yield Text()
        yield from event_details(recorded, whole_bodies=whole_bodies, of_call=position > 0)


def event_details(recorded: event_pb2.RecordedEvent, *, whole_bodies: bool, of_call: bool = False) -> Iterator[Text]:
    """An event in full; ``of_call`` leaves out what the call's request says."""
    event = recorded.event
    yield event_line(recorded, lead(f"{clock(event.time_us)}  "), named=not of_call)
    facts = [
        ("time", f"{day_and_time(event.time_us)} UTC"),
        ("who", _who(event.principal) if event.HasField("principal") else ""),
        ("token", event.principal.token_id),
        ("sign-in", event.principal.signed_in),
        ("from", event.source_address),
        ("target", "" if of_call else event.target),
        ("tables", ", ".join(event.relations)),
        ("besides", ", ".join(event.other_lines.splitlines())),
        ("masks", ", ".join(event.decision.masks)),
        ("because", event.decision.reason),
        ("policy", event.decision.policy_version),
        ("on trial", _shadow(event.decision)),
        ("approval", event.approval_id),
        ("size", f"{event.size_bytes:,} bytes before masking" if event.size_bytes else ""),
        ("session", "" if of_call else f"{event.session_id}, event {recorded.sequence}"),
        ("call", "" if of_call else event.call_id),
        ("event", f"{event.event_id}, index {recorded.index}"),
        ("trace", event.traceparent),
    ]
    for name, text in facts:
        if text:
            yield _fact(name, text)
    yield from _findings(event)
    if event.body:
        yield _head("arguments" if begins_call(event) else "answer").append(visible(event.body_type), "dim")
        yield from pretty(event, whole=whole_bodies, indent="  ")
    elif recorded.body_erased:
        yield _head("body").append("erased", "dim")


def _findings(event: event_pb2.Event) -> Iterator[Text]:
    for finding in event.findings[:_MOST_FINDINGS]:
        line = _head("masked").append(visible(finding.label), MASKED)
        line.append(f" at {visible(finding.place)}" if finding.place else "")
        yield line.append(f", {finding.count} times" if finding.count > 1 else "")
    if len(event.findings) > _MOST_FINDINGS:
        yield _fact("masked", f"… {len(event.findings) - _MOST_FINDINGS} more places")


def _shadow(decision: event_pb2.Decision) -> str:
    if not decision.HasField("shadow"):
        return ""
    word, _ = OUTCOMES.get(decision.shadow.outcome, ("", ""))
    return f"{word} ({', '.join(decision.shadow.rules) or decision.shadow.reason})"


def _who(principal: event_pb2.Principal) -> str:
    if not principal.subject:
        return "nobody"
    through = f" through {', '.join(principal.actors)}" if principal.actors else ""
    groups = f", in {', '.join(principal.groups)}" if principal.groups else ""
    called = f" (its token says {principal.token_subject})" if principal.token_subject else ""
    return f"{principal.subject}{called}{through}, {principal.kind} of {principal.issuer}{groups}"


def _fact(name: str, text: str) -> Text:
    return _head(name).append(visible(text))


def _head(name: str) -> Text:
    return lead(f"{name + ':':<11}", "cyan")


def _moment(stamp: Timestamp) -> str:
    return f"{stamp.ToDatetime(UTC):%Y-%m-%d %H:%M:%S}"
