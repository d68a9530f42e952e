"""`countersign sessions` and `countersign replay`: read the record through the gateway, as an auditor."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from countersign.api.recorder.v1 import event_pb2, session_pb2
from countersign.cli.access import DEFAULT_GATEWAY, GatewayUrl, Token, TokenFile
from countersign.cli.following import Following
from countersign.cli.reading import (
    Approval,
    AsJson,
    AsJsonLines,
    Bodies,
    Group,
    Issuer,
    Kind,
    Label,
    Method,
    Name,
    Outcome,
    Record,
    Relation,
    Rule,
    Subject,
    Target,
    When,
    json_line,
    outcome_number,
    record,
    screen,
    set_times,
)
from countersign.cli.replayed import event_lines, session_table


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.command(
        "sessions",
        epilog="Examples: countersign sessions --since 24h --outcome deny;  ... sessions --relation customers --json",
    )(sessions)
    app.command(
        "replay",
        epilog="Examples: countersign replay SESSION --pace --speed 10;  ... replay SESSION --follow --json",
    )(replay)


def sessions(
    subject: Subject = "",
    target: Target = "",
    name: Name = "",
    outcome: Outcome = None,
    since: When = None,
    until: When = None,
    issuer: Issuer = "",
    group: Group = "",
    kind: Kind = None,
    method: Method = "",
    rule: Rule = "",
    approval: Approval = "",
    label: Label = "",
    relation: Relation = "",
    limit: Annotated[int, typer.Option(min=1, help="How many to list, the newest first.")] = 50,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List recorded sessions, the newest first, with those that fit all options."""
    wanted = session_pb2.SessionFilter(
        subject=subject,
        target=target,
        name=name,
        outcome=outcome_number(outcome),
        issuer=issuer,
        group=group,
        principal_kind=kind or "",
        method=method,
        rule=rule,
        approval_id=approval,
        label=label,
        relation=relation,
    )
    set_times(wanted, since, until)
    with record(gateway, token_file, token) as service:
        found = list(service.sessions(wanted, limit))
    if as_json:
        answer = session_pb2.ListSessionsResponse(sessions=found)
        typer.echo(MessageToJson(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
    elif found:
        screen().print(session_table(found))
    else:
        typer.echo("no sessions", err=True)


def replay(
    session_id: Annotated[str, typer.Argument(help="The session's id, as `countersign sessions` shows it.")],
    start: Annotated[int, typer.Option("--from", min=0, help="The first sequence number to show.")] = 0,
    pace: Annotated[bool, typer.Option("--pace", help="As fast as it was then (no wait above 10 s).")] = False,
    speed: Annotated[
        float | None, typer.Option(min=0.01, max=1000, help="So many times as fast as it was then; implies --pace.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on live until the session is sealed.")] = False,
    bodies: Bodies = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show what happened in a session, event by event.

    With --follow, a lost connection is made again, and goes on where it broke off.
    """
    asked = session_pb2.ReplaySessionRequest(
        session_id=session_id,
        from_sequence=start,
        original_pace=pace or speed is not None,
        speed=speed or 0.0,
        follow=follow,
    )
    console = screen()
    with record(gateway, token_file, token) as service:
        for recorded in _followed(service, asked) if follow else _replayed(service, asked):
            if as_json:
                typer.echo(json_line(recorded))
                continue
            for line in event_lines(recorded, whole_bodies=bodies):
                console.print(line, soft_wrap=True)


def _replayed(service: Record, asked: session_pb2.ReplaySessionRequest) -> Iterator[event_pb2.RecordedEvent]:
    return (answer.event for answer in service.replay(asked) if answer.HasField("event"))


def _followed(service: Record, asked: session_pb2.ReplaySessionRequest) -> Iterator[event_pb2.RecordedEvent]:
    """The events up to the seal, over as many connections as it takes, or until Ctrl-C."""
    following = Following(lambda: service.replay(asked), ends_empty=True)
    with following.until_interrupted():
        for answer in following.told():
            if not answer.HasField("event"):
                continue
            # Where a new connection goes on.
            asked.from_sequence = answer.event.sequence + 1
            sealed = answer.event.event.kind == event_pb2.EVENT_KIND_SEAL
            if sealed:
                following.end()
            yield answer.event
            if sealed:
                return
