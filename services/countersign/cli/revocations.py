"""`countersign revocations`: see what is taken back, and lift it."""

from __future__ import annotations

from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from countersign.api.access.v1 import revocations_pb2
from countersign.cli.access import DEFAULT_GATEWAY, GatewayUrl, Token, TokenFile
from countersign.cli.reading import screen
from countersign.cli.revoked import AsJson, Reason, revocations, table
from countersign.model.visible import visible

_app = typer.Typer(
    help="See what is taken back, and lift it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="revocations")


@_app.command("list", epilog="Example: countersign revocations list --json | jq -r '.revocations[].revocation_id'")
def list_(
    issuer: Annotated[str, typer.Option(help="Only of this issuer.")] = "",
    value: Annotated[str, typer.Option(help="Only of this subject, token id, sign-in or session.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List what is in force, the newest first. For auditors and operators."""
    with revocations(gateway, token_file, token) as service:
        found = list(service.listed(issuer, value, limit))
    if as_json:
        answer = revocations_pb2.ListRevocationsResponse(revocations=found)
        typer.echo(MessageToJson(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))
    elif found:
        screen().print(table(found))
    else:
        typer.echo("nothing is revoked", err=True)


@_app.command("lift", epilog="Example: countersign revocations lift REVOCATION_ID --reason 'laptop found'")
def lift(
    revocation_id: Annotated[str, typer.Argument(help="Its id, as `countersign revocations list` shows it.")],
    reason: Reason,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Lift a revocation: within a second its tokens are taken again, as far as they are not expired. For operators."""
    with revocations(gateway, token_file, token) as service:
        service.lift(revocation_id, reason)
    typer.echo("{}" if as_json else f"lifted: {visible(revocation_id)}")
