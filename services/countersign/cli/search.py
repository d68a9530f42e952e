"""`countersign search`: single events over all sessions, by words and by all that is known of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.console import Console

from countersign.api.recorder.v1 import event_pb2, search_pb2
from countersign.cli.access import DEFAULT_GATEWAY, GatewayUrl, Token, TokenFile
from countersign.cli.events_shown import EventKindName, Events, InSession, OfCall, kind_numbers, print_event
from countersign.cli.reading import (
    PAGE,
    Approval,
    AsJsonLines,
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
    outcome_number,
    record,
    screen,
    set_times,
)


def register(app: typer.Typer) -> None:
    """Add the command to the ``countersign`` command."""
    app.command(
        "search",
        epilog="Examples: countersign search '\"overdue invoice\" -test' --since 7d;  "
        "... search --relation customers --outcome allow --json",
    )(search)


def search(
    text: Annotated[
        str, typer.Argument(metavar="[WORDS]", help='Words of the masked body: all of them, "a phrase", or, -not.')
    ] = "",
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
    session: InSession = "",
    call: OfCall = "",
    event: Events = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to show, the newest first.")] = 50,
    bodies: Annotated[bool, typer.Option("--bodies", help="With their bodies.")] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJsonLines = False,
) -> None:
    """Search the record for events that fit all options, the newest first.

    What auditors read, and searched for, is found by its words only with --event read.
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
        # What is searched for is recorded: each search for words would find itself.
        kinds=kind_numbers(event, without=EventKindName.READ if text else None),
    )
    set_times(wanted, since, until)
    console = screen()
    with record(gateway, token_file, token) as service:
        found = _Search(service, wanted, limit, bodies=bodies)
        for recorded in found.events():
            print_event(console, recorded, bodies=bodies, as_json=as_json)
    if not found.any:
        typer.echo("no events", err=True)
    if not found.complete:
        typer.echo("not complete: what was recorded most recently is not searched yet; search again soon", err=True)


class _Search:
    """One search, over as many pages as it takes. ``any`` and ``complete`` are known at its end."""

    def __init__(self, service: Record, wanted: search_pb2.EventFilter, limit: int, *, bodies: bool) -> None:
        self._service = service
        self._asked = search_pb2.SearchEventsRequest(filter=wanted, bodies=bodies)
        self._left = limit
        self.any = False
        self.complete = True

    def events(self) -> Iterator[event_pb2.RecordedEvent]:
        """What is found, the newest first, up to the limit."""
        while self._left > 0:
            page = self._page()
            self.complete = self.complete and page.complete
            for recorded in page.events[: self._left]:
                self.any = True
                self._left -= 1
                yield recorded
            if not page.next_page_token:
                return
            self._asked.page_token = page.next_page_token

    def _page(self) -> search_pb2.SearchEventsResponse:
        self._asked.page_size = min(self._left, PAGE)
        errors = Console(stderr=True)
        # A page may take a while, and hold nothing though there is more.
        with errors.status("searching ...") if errors.is_terminal else nullcontext():
            return self._service.search(self._asked)
