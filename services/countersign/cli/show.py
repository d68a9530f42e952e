"""`countersign show`: one session with a line a call, one call in full, or one event."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

import grpc
import typer
from google.protobuf.json_format import MessageToDict

from countersign.api.recorder.v1 import event_pb2, search_pb2, session_pb2
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, stop
from countersign.cli.calls_shown import Calls, Shown, ShownCall
from countersign.cli.details import call_lines, event_details, session_lines
from countersign.cli.reading import PAGE, AsJsonLines, Bodies, Record, json_line, record, screen
from countersign.cli.replayed import event_line, sequence_and_time

# Behind events of other kinds nothing of the same call follows.
_GOES_ON = (event_pb2.EVENT_KIND_REQUEST, event_pb2.EVENT_KIND_STREAM_EVENT, event_pb2.EVENT_KIND_APPROVAL)
_NOT_RUN = (event_pb2.OUTCOME_DENY, event_pb2.OUTCOME_REFUSED)
# What there is of no event of this id, or cannot be told now.
_ABSENT = (
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.OUT_OF_RANGE,
)


def register(app: typer.Typer) -> None:
    """Add the command to the ``countersign`` command."""
    app.command(
        "show",
        epilog="Examples: countersign show SESSION;  ... show CALL --bodies;  ... show EVENT --json",
    )(show)


def show(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The id of a session, a call or an event.")],
    bodies: Bodies = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show a session with one line for each of its calls, or a call or an event in full.

    With --json: of a session a line for it, and one for each call or other event; of a call one for each of its events.
    """
    try:
        wanted = str(UUID(wanted))
    except ValueError:
        raise stop(f"{wanted!r} is no id: give the whole id of a session, a call or an event", USAGE) from None
    with record(gateway, token_file, token) as service:
        session = _session(service, wanted)
        if session is not None:
            _show_session(service, session, as_json=as_json)
            return
        events = _events(service, wanted)
        if not events:
            raise stop(
                "nothing on the record has this id; an event that is no call is found once a checkpoint shows it",
                REFUSED,
            )
        _show_events(events, whole_bodies=bodies, as_json=as_json)


def _show_session(service: Record, session: session_pb2.Session, *, as_json: bool) -> None:
    console = screen()
    if as_json:
        typer.echo(json_line(session_pb2.GetSessionResponse(session=session)))
    else:
        for line in session_lines(session):
            console.print(line, soft_wrap=True)
        console.print()
    for shown in _calls(service, session.session_id):
        if as_json:
            typer.echo(json.dumps(_document(shown)))
            continue
        line = shown.line() if isinstance(shown, ShownCall) else event_line(shown, sequence_and_time(shown), named=True)
        console.print(line, soft_wrap=True)


def _document(shown: Shown) -> dict[str, object]:
    if isinstance(shown, ShownCall):
        return {"call": shown.document()}
    return {"event": MessageToDict(shown, preserving_proto_field_name=True)}


def _show_events(events: Sequence[event_pb2.RecordedEvent], *, whole_bodies: bool, as_json: bool) -> None:
    if as_json:
        for recorded in events:
            typer.echo(json_line(recorded))
        return
    console = screen()
    one = events[0]
    lines = (
        call_lines(events, whole_bodies=whole_bodies)
        if len(events) > 1
        else event_details(one, whole_bodies=whole_bodies)
    )
    for line in lines:
        console.print(line, soft_wrap=True)


def _calls(service: Record, session_id: str) -> Iterator[Shown]:
    calls = Calls()
    for answer in service.replay(session_pb2.ReplaySessionRequest(session_id=session_id)):
        if answer.HasField("event"):
            yield from calls.take(answer.event)
    yield from calls.rest()


def _session(service: Record, wanted: str) -> session_pb2.Session | None:
    try:
        return service.session(wanted)
    except grpc.RpcError as error:
        _nothing_if_absent(error)
        return None


def _events(service: Record, wanted: str) -> Sequence[event_pb2.RecordedEvent]:
    """The events of a call, or the one event, of this id."""
    try:
        request = service.call(wanted)
    except grpc.RpcError as error:
        _nothing_if_absent(error)
    else:
        return _of_call(service, request.event.session_id, request.event.call_id, request.sequence)
    found = _searched(service, wanted)
    if found is not None:
        return _of_call(service, found.event.session_id, wanted, found.sequence)
    try:
        leaf = json.loads(service.leaf(wanted))
    except grpc.RpcError as error:
        _nothing_if_absent(error)
        return ()
    asked = session_pb2.ReplaySessionRequest(session_id=str(leaf["session_id"]))
    stream = service.replay(asked)
    for answer in stream:
        if answer.event.event.event_id == wanted:
            stream.cancel()
            return (answer.event,)
    return ()


def _searched(service: Record, call_id: str) -> event_pb2.RecordedEvent | None:
    """The first event of a call that is found."""
    asked = search_pb2.SearchEventsRequest(page_size=PAGE, filter=search_pb2.EventFilter(call_id=call_id))
    found: event_pb2.RecordedEvent | None = None
    while True:
        try:
            page = service.search(asked)
        except grpc.RpcError as error:
            _nothing_if_absent(error)
            return found
        for each in page.events:
            found = each if found is None or each.sequence < found.sequence else found
        if not page.next_page_token:
            return found
        asked.page_token = page.next_page_token


def _of_call(service: Record, session_id: str, call_id: str, start: int) -> Sequence[event_pb2.RecordedEvent]:
    """The events of a call, up to the end of its answer; its first is the one of the sequence number ``start``."""
    found: list[event_pb2.RecordedEvent] = []
    stream = service.replay(session_pb2.ReplaySessionRequest(session_id=session_id, from_sequence=start))
    for answer in stream:
        event = answer.event.event
        if event.call_id != call_id:
            continue
        found.append(answer.event)
        if event.kind not in _GOES_ON or event.decision.outcome in _NOT_RUN:
            stream.cancel()
            break
    return found


def _nothing_if_absent(error: grpc.RpcError) -> None:
    """Return when there is no such thing; raise all else again."""
    call: object = error
    if not (isinstance(call, grpc.Call) and call.code() in _ABSENT):
        raise error
