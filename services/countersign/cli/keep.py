"""`countersign keep`: hold bodies back from erasure, see what is kept and what was erased, make keys for bodies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import grpc
import typer
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from countersign.api.recorder.v1 import keeping_pb2, keeping_pb2_grpc
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.gateway import REMEDIES, gateway_channel
from countersign.model.visible import visible
from countersign.runtime.body_keys import following, key_file, parse_month, write_key

_TIMEOUT_S = 30.0
_OPERATORS_ONLY = "you may not do this: holds are placed by operators, and listed by auditors (gateway.yaml)"
_REMEDIES = {
    **REMEDIES,
    grpc.StatusCode.PERMISSION_DENIED: (REFUSED, _OPERATORS_ONLY),
    grpc.StatusCode.NOT_FOUND: (REFUSED, "{details}: see `countersign sessions`, `countersign keep holds`"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (REFUSED, "{details}"),
}

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Reason = Annotated[str, typer.Option(help="Why, such as a case's number; it is recorded.")]

_app = typer.Typer(
    help="Hold bodies back from erasure; see what is kept and what was erased; make keys for bodies.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="keep")


@_app.command("hold", epilog="Example: countersign keep hold --subject alice --issuer URL --reason 'case 17'")
def hold(
    reason: Reason,
    session: Annotated[str, typer.Option(help="The id of a session, as `countersign sessions` shows it.")] = "",
    subject: Annotated[str, typer.Option(help="A principal; all that it did and will do is held.")] = "",
    issuer: Annotated[str, typer.Option(help="The issuer of that principal's tokens.")] = "",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Have the bodies of a session, or of all sessions of a principal, outlive their retention. For operators."""
    if bool(session) == bool(subject or issuer) or bool(subject) != bool(issuer):
        raise stop("say what to hold: --session ID, or --subject and --issuer", USAGE)
    asked = keeping_pb2.PlaceHoldRequest(reason=reason)
    if session:
        asked.session_id = session
    else:
        asked.principal.issuer, asked.principal.subject = issuer, subject
    with _service(gateway, token_file, token) as (stub, metadata):
        placed = stub.PlaceHold(asked, metadata=metadata, timeout=_TIMEOUT_S).hold
    if as_json:
        _print_json(placed)
    else:
        typer.echo(f"held: {visible(placed.hold_id)}")


@_app.command("release", epilog="Example: countersign keep release HOLD_ID --reason 'case 17 is closed'")
def release(
    hold_id: Annotated[str, typer.Argument(help="The hold's id, as `countersign keep holds` shows it.")],
    reason: Reason,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Let go of a hold: what nothing else holds, and is due, is erased within minutes. For operators."""
    asked = keeping_pb2.ReleaseHoldRequest(hold_id=hold_id, reason=reason)
    with _service(gateway, token_file, token) as (stub, metadata):
        answer = stub.ReleaseHold(asked, metadata=metadata, timeout=_TIMEOUT_S)
    if as_json:
        _print_json(answer)
    else:
        typer.echo(f"released: {visible(hold_id)}")


@_app.command("holds", epilog="Example: countersign keep holds --json | jq -r '.holds[].hold_id'")
def holds(
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the holds in force, the oldest first. For auditors."""
    with _service(gateway, token_file, token) as (stub, metadata):
        answer = stub.ListHolds(keeping_pb2.ListHoldsRequest(), metadata=metadata, timeout=_TIMEOUT_S)
    if as_json:
        _print_json(answer)
    elif answer.holds:
        _console().print(_hold_table(answer.holds))
    else:
        typer.echo("nothing is held", err=True)


@_app.command("shelves", epilog="Example: countersign keep shelves --json")
def shelves(
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List which months of bodies are kept, until when, and which were erased; the newest first. For auditors."""
    with _service(gateway, token_file, token) as (stub, metadata):
        answer = stub.ListShelves(keeping_pb2.ListShelvesRequest(), metadata=metadata, timeout=_TIMEOUT_S)
    if as_json:
        _print_json(answer)
    elif answer.shelves:
        _console().print(_shelf_table(answer.shelves))
    else:
        typer.echo("there are no bodies yet", err=True)


@_app.command("new-key", epilog="Example: countersign keep new-key 2026-12 --dir /run/body-keys")
def new_key(
    folder: Annotated[Path, typer.Option("--dir", help="The folder that gateway.yaml names: encryption, keys.")],
    month: Annotated[str, typer.Argument(help="Such as 2026-12; without it, this month, or the next.")] = "",
) -> None:
    """Make the key by which the bodies of a month are encrypted. Who loses it has lost, or erased, those bodies.

    Once bodies are encrypted, full-text search covers only what was recorded before.
    """
    try:
        wanted = parse_month(month) if month else _next_without_key(folder, datetime.now(UTC).date().replace(day=1))
        path = write_key(folder, wanted)
    except ValueError as error:
        raise stop(f"{month!r} is {error}", USAGE) from None
    except FileExistsError:
        raise stop(f"there is a key for {month}: it is never written over", REFUSED) from None
    except OSError as error:
        raise stop(f"the key cannot be written into {folder}: {error.strerror}", REFUSED) from None
    typer.echo(f"wrote {visible(str(path))}")


def _next_without_key(folder: Path, this: date) -> date:
    """This month, or the first after it that has no key yet."""
    while key_file(folder, this).exists():
        this = following(this)
    return this


@contextmanager
def _service(
    url: str, token_file: Path | None, token: str | None
) -> Iterator[tuple[keeping_pb2_grpc.KeepingServiceStub, tuple[tuple[str, str], ...]]]:
    sent = bearer(token_file, token, url)
    with gateway_channel(url, _REMEDIES) as channel:
        yield keeping_pb2_grpc.KeepingServiceStub(channel), (("authorization", f"Bearer {sent}"),)


def _hold_table(found: Iterable[keeping_pb2.Hold]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("HOLD", "OF", "REASON", "PLACED BY", "PLACED (UTC)"):
        table.add_column(title, no_wrap=title in ("HOLD", "PLACED (UTC)"), overflow="fold")
    for one in found:
        of = f"session {one.session_id}" if one.session_id else f"{one.principal.subject} of {one.principal.issuer}"
        table.add_row(*map(_text, (one.hold_id, of, one.reason, one.placed_by)), _day(one.placed_at))
    return table


def _shelf_table(found: Iterable[keeping_pb2.Shelf]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("MONTH", "TARGET", "SIZE", "KEPT UNTIL (UTC)", "ERASED (UTC)"):
        table.add_column(title, justify="right" if title == "SIZE" else "left", overflow="fold")
    for one in found:
        erased = one.HasField("erased_at")
        until = (
            "" if erased else _day(one.due_at) if one.HasField("due_at") else "for ever" if one.month else "released"
        )
        table.add_row(
            _text(one.month or "on hold"),
            _text(one.target or "(others)" if one.month else ""),
            "" if erased else decimal(one.size_bytes),
            until,
            _day(one.erased_at) if erased else "",
        )
    return table


def _text(text: str) -> Text:
    return Text(visible(text))


def _day(stamp: Timestamp) -> str:
    return f"{stamp.ToDatetime(tzinfo=UTC):%Y-%m-%d %H:%M}"


def _print_json(message: Message) -> None:
    typer.echo(MessageToJson(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))


def _console() -> Console:
    console = Console(highlight=False)
    # Nothing is cut where the output goes to a file or a pipe.
    return console if console.is_terminal else Console(highlight=False, width=200)
