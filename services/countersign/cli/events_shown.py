"""Events of many sessions, each in one line, and the filter for them."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.console import Console

from countersign.api.recorder.v1 import event_pb2
from countersign.cli.reading import json_line
from countersign.cli.replayed import body_line, day_and_time, event_line, lead
from countersign.model.visible import visible


class EventKindName(StrEnum):
    """The kinds of events to filter by."""

    REQUEST = "request"
    ANSWER = "answer"
    REFUSED = "refused"
    READ = "read"
    TOOLS = "tools"
    APPROVAL = "approval"
    SEAL = "seal"
    KEEPING = "keeping"
    REVIEW = "review"
    REVOCATION = "revocation"


_KINDS: Final = {
    EventKindName.REQUEST: (event_pb2.EVENT_KIND_REQUEST,),
    EventKindName.ANSWER: (
        event_pb2.EVENT_KIND_RESPONSE,
        event_pb2.EVENT_KIND_STREAM_EVENT,
        event_pb2.EVENT_KIND_STREAM_END,
    ),
    EventKindName.REFUSED: (event_pb2.EVENT_KIND_REFUSED,),
    EventKindName.READ: (event_pb2.EVENT_KIND_AUDIT_READ,),
    EventKindName.TOOLS: (
        event_pb2.EVENT_KIND_TOOLS_CHANGED,
        event_pb2.EVENT_KIND_TOOLS_ACCEPTED,
        event_pb2.EVENT_KIND_TOOLS_FORGOTTEN,
    ),
    EventKindName.APPROVAL: (event_pb2.EVENT_KIND_APPROVAL,),
    EventKindName.SEAL: (event_pb2.EVENT_KIND_SEAL,),
    EventKindName.KEEPING: (event_pb2.EVENT_KIND_ERASED, event_pb2.EVENT_KIND_HOLD),
    EventKindName.REVIEW: (event_pb2.EVENT_KIND_REVIEWED,),
    EventKindName.REVOCATION: (event_pb2.EVENT_KIND_REVOKED,),
}

Events = Annotated[
    list[EventKindName] | None, typer.Option("--event", help="Only events of this kind; may be repeated.")
]
InSession = Annotated[str, typer.Option("--session", help="Only of this session.")]
OfCall = Annotated[str, typer.Option("--call", help="Only of this call.")]
Words = Annotated[str, typer.Option("--text", help='Words of the masked body: "a phrase", or, -not.')]


def kind_numbers(
    names: list[EventKindName] | None, *, without: EventKindName | None = None
) -> list[event_pb2.EventKind.ValueType]:
    """The kinds to ask for; none is any. Where nothing is named, all but those ``without``."""
    if not names and without is not None:
        names = [name for name in EventKindName if name is not without]
    return [number for name in names or () for number in _KINDS[name]]


def print_event(console: Console, recorded: event_pb2.RecordedEvent, *, bodies: bool, as_json: bool) -> None:
    """Print an event of any session: one line, and its body if there is one and it is wanted."""
    if as_json:
        typer.echo(json_line(recorded))
        return
    event = recorded.event
    line = lead(f"{day_and_time(event.time_us)}  {visible(event.session_id)[:8]}  ")
    line = event_line(recorded, line.append(f"{visible(event.target)}  ", "blue"), named=True)
    console.print(line.append(f"  {visible(event.call_id)}", "dim"), soft_wrap=True)
    if bodies and event.body:
        console.print(body_line(event, True, indent=" " * 8), soft_wrap=True)
