"""`countersign sessions` and `countersign replay`: read the record through the gateway, as an auditor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.cli.access import DEFAULT_GATEWAY, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.gateway import gateway_channel
from countersign.cli.replayed import event_lines, session_table

_PAGE = 500
_TIMEOUT_S = 30.0


class OutcomeName(StrEnum):
    """The outcomes to filter by."""

    ALLOW = "allow"
    DENY = "deny"
    REFUSED = "refused"
    APPROVE = "approve"


_OUTCOMES = {
    OutcomeName.ALLOW: event_pb2.OUTCOME_ALLOW,
    OutcomeName.DENY: event_pb2.OUTCOME_DENY,
    OutcomeName.REFUSED: event_pb2.OUTCOME_REFUSED,
    OutcomeName.APPROVE: event_pb2.OUTCOME_APPROVE,
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
When = Annotated[str | None, typer.Option(help="A time, ISO 8601; UTC unless it says otherwise.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.command("sessions")(sessions)
    app.command("replay")(replay)


def sessions(
    subject: Annotated[str, typer.Option(help="Only of this subject.")] = "",
    target: Annotated[str, typer.Option(help="Only of this target.")] = "",
    name: Annotated[str, typer.Option(help="Only with a call of this tool, prompt or resource.")] = "",
    outcome: Annotated[OutcomeName | None, typer.Option(help="Only with a call of this outcome.")] = None,
    since: When = None,
    until: When = None,
    limit: Annotated[int, typer.Option(min=1, help="How many to list, the newest first.")] = 50,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List recorded sessions, the newest first."""
    wanted = session_pb2.SessionFilter(
        subject=subject,
        target=target,
        name=name,
        outcome=_OUTCOMES[outcome] if outcome else event_pb2.OUTCOME_UNSPECIFIED,
    )
    for field, text in (("since", since), ("until", until)):
        if text is not None:
            getattr(wanted, field).CopyFrom(_time(field, text))
    with _service(gateway, token_file, token) as service:
        found = list(service.list(wanted, limit))
    if as_json:
        answer = session_pb2.ListSessionsResponse(sessions=found)
        typer.echo(MessageToJson(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
    elif found:
        _console().print(session_table(found))
    else:
        typer.echo("no sessions", err=True)


def replay(
    session_id: Annotated[str, typer.Argument(help="The session's id, as `countersign sessions` shows it.")],
    start: Annotated[int, typer.Option("--from", min=0, help="The first sequence number to show.")] = 0,
    pace: Annotated[bool, typer.Option("--pace", help="As fast as it was then (no wait above 10 s).")] = False,
    bodies: Annotated[bool, typer.Option("--bodies", help="Whole bodies, not only their beginnings.")] = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Show what happened in a session, event by event."""
    asked = session_pb2.ReplaySessionRequest(session_id=session_id, from_sequence=start, original_pace=pace)
    console = _console()
    with _service(gateway, token_file, token) as service:
        for recorded in service.replay(asked):
            if as_json:
                typer.echo(MessageToJson(recorded, preserving_proto_field_name=True, indent=None))
                continue
            for line in event_lines(recorded, whole_bodies=bodies):
                console.print(line, soft_wrap=True)


class _Service:
    """The gateway's SessionService; its errors are ``grpc.RpcError``."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._stub = session_pb2_grpc.SessionServiceStub(channel)
        self._metadata = (("authorization", f"Bearer {token}"),)

    def list(self, wanted: session_pb2.SessionFilter, limit: int) -> Iterator[session_pb2.Session]:
        """All pages until ``limit``."""
        asked = session_pb2.ListSessionsRequest(filter=wanted)
        while limit > 0:
            asked.page_size = min(limit, _PAGE)
            page = self._stub.ListSessions(asked, metadata=self._metadata, timeout=_TIMEOUT_S)
            yield from page.sessions
            limit -= len(page.sessions)
            if not page.next_page_token:
                return
            asked.page_token = page.next_page_token

    def replay(self, asked: session_pb2.ReplaySessionRequest) -> Iterator[event_pb2.RecordedEvent]:
        """The events; a replay at the original pace has no bound in time, so none is set."""
        for answer in self._stub.ReplaySession(asked, metadata=self._metadata):
            yield answer.event


@contextmanager
def _service(url: str, token_file: Path | None, token: str | None) -> Iterator[_Service]:
    """Connect; what goes wrong inside becomes one line and an exit code."""
    sent = bearer(token_file, token)
    with gateway_channel(url) as channel:
        yield _Service(channel, sent)


def _time(option: str, text: str) -> Timestamp:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise stop(f"--{option} {text!r} is not a time: write for example 2026-11-21T10:00:00Z", USAGE) from None
    stamp = Timestamp()
    stamp.FromDatetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return stamp


def _console() -> Console:
    console = Console(highlight=False)
    # Nothing is cut where the output goes to a file or a pipe.
    return console if console.is_terminal else Console(highlight=False, width=200)
