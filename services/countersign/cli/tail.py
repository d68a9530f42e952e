"""`countersign tail`: what is recorded, as it is recorded, over all sessions."""

from __future__ import annotations

from typing import Annotated

import typer

from countersign.api.recorder.v1 import search_pb2
from countersign.cli.access import DEFAULT_GATEWAY, GatewayUrl, Token, TokenFile
from countersign.cli.events_shown import Events, InSession, OfCall, Words, kind_numbers, print_event
from countersign.cli.following import Following
from countersign.cli.reading import (
    Approval,
    AsJsonLines,
    Group,
    Issuer,
    Kind,
    Label,
    Method,
    Name,
    Outcome,
    Relation,
    Rule,
    Subject,
    Target,
    outcome_number,
    record,
    screen,
)


def register(app: typer.Typer) -> None:
    """Add the command to the ``countersign`` command."""
    app.command(
        "tail",
        epilog="Examples: countersign tail --outcome deny;  ... tail --from 120000 --json | my-program",
    )(tail)


def tail(
    subject: Subject = "",
    target: Target = "",
    name: Name = "",
    outcome: Outcome = None,
    issuer: Issuer = "",
    group: Group = "",
    kind: Kind = None,
    method: Method = "",
    rule: Rule = "",
    approval: Approval = "",
    label: Label = "",
    relation: Relation = "",
    session: InSession = "",
    call: OfCall = "",
    event: Events = None,
    text: Words = "",
    start: Annotated[
        int | None, typer.Option("--from", min=0, help="The first index to show; else what is recorded from now on.")
    ] = None,
    bodies: Annotated[bool, typer.Option("--bodies", help="With their bodies.")] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJsonLines = False,
) -> None:
    """Show events as they are recorded, until Ctrl-C.

    A lost connection is made again, and goes on where it broke off: nothing is missed or shown twice.
    """
    wanted = search_pb2.EventFilter(
        issuer=issuer,
        subject=subject,
        group=group,
        principal_kind=kind or "",
        target=target,
        method=method,
        name=name,
        outcome=outcome_number(outcome),
        rule=rule,
        approval_id=approval,
        label=label,
        relation=relation,
        text=text,
        session_id=session,
        call_id=call,
        kinds=kind_numbers(event),
    )
    asked = search_pb2.FollowEventsRequest(filter=wanted, from_index=start, bodies=bodies)
    console = screen()
    with record(gateway, token_file, token) as service:
        following = Following(lambda: service.follow(asked))
        with following.until_interrupted():
            for told in following.told():
                for recorded in told.events:
                    if recorded.index < asked.from_index:
                        continue
                    print_event(console, recorded, bodies=bodies, as_json=as_json)
                asked.from_index = max(told.next_index, asked.from_index)
