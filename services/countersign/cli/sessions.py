"""`countersign sessions` and `countersign replay`: read the record through the gateway, as an auditor."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import grpc
import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console

from countersign.api.recorder.v1 import event_pb2, session_pb2, session_pb2_grpc
from countersign.cli.access import (
    DEFAULT_GATEWAY,
    REFUSED,
    UNREACHABLE,
    USAGE,
    GatewayUrl,
    Token,
    TokenFile,
    bearer,
    stop,
)
from countersign.cli.replayed import event_lines, session_table, visible

_PAGE = 500
_TIMEOUT_S = 30.0
# A recorded body may be 64 MiB.
_OPTIONS = (("grpc.max_receive_message_length", 80 * 1024 * 1024),)
_REMEDIES = {
    grpc.StatusCode.UNAUTHENTICATED: (REFUSED, "the gateway does not accept the token: get a new one"),
    grpc.StatusCode.PERMISSION_DENIED: (REFUSED, "you are not an auditor: ask to be put into a group of auditors"),
    grpc.StatusCode.NOT_FOUND: (REFUSED, "no such session: `countersign sessions` lists those that there are"),
    grpc.StatusCode.UNAVAILABLE: (UNREACHABLE, "{url} does not answer: are the gateway and its recorder up?"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (UNREACHABLE, "{url} does not answer in time: is the gateway up?"),
    grpc.StatusCode.UNIMPLEMENTED: (UNREACHABLE, "{url} is not a Countersign gateway: check --gateway"),
}


class OutcomeName(StrEnum):
    """The outcomes to filter by."""

    ALLOW = "allow"
    DENY = "deny"
    REFUSED = "refused"


_OUTCOMES = {
    OutcomeName.ALLOW: event_pb2.OUTCOME_ALLOW,
    OutcomeName.DENY: event_pb2.OUTCOME_DENY,
    OutcomeName.REFUSED: event_pb2.OUTCOME_REFUSED,
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
    try:
        with _channel(url) as channel:
            yield _Service(channel, sent)
    except grpc.RpcError as error:
        # Every error of a call is both, which the types do not say.
        call: object = error
        status = call.code() if isinstance(call, grpc.Call) else grpc.StatusCode.UNKNOWN
        if status is grpc.StatusCode.INVALID_ARGUMENT and isinstance(call, grpc.Call):
            raise stop(f"the gateway refuses the request: {visible(call.details())}", USAGE) from None
        code, remedy = _REMEDIES.get(status, (REFUSED, f"the gateway answered {status.name}: see its logs"))
        raise stop(remedy.format(url=url), code) from None


def _channel(url: str) -> grpc.Channel:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        raise stop(f"{url!r} is not a gateway's URL: write http://HOST:PORT or https://HOST", USAGE)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    if parts.scheme == "https":
        return grpc.secure_channel(f"{host}:{port or 443}", grpc.ssl_channel_credentials(), options=_OPTIONS)
    return grpc.insecure_channel(f"{host}:{port or 80}", options=_OPTIONS)


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
