"""``countersign approvals cancel`` and ``revoke``: take back what was asked for or agreed to, and has not run."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.approvals.deciding import Yes
from countersign.cli.approvals.documents import approval_document
from countersign.cli.approvals.seeing import now_us
from countersign.cli.approvals.service import ApprovalId, AsJson, approvals
from countersign.cli.approvals.shown import outcome
from countersign.model.approval import Person
from countersign.model.visible import visible


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("cancel", epilog="Example: countersign approvals cancel 1a2b3c4d")(cancel)
    app.command(
        "revoke",
        epilog="Example: countersign approvals revoke mallory --issuer https://idp.example --reason 'wrong account'",
    )(revoke)


def cancel(
    approval_id: ApprovalId,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take back what you asked for yourself, whether it waits or was agreed to."""
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        approval = service.cancel(service.get(approval_id).approval.id)
    typer.echo(json.dumps(approval_document(approval), indent=2) if as_json else outcome(approval, now_us()))


def revoke(
    subject: Annotated[str, typer.Argument(help="Whose, as the issuer names them (`sub`).")],
    issuer: Annotated[str, typer.Option(help="The URL of their issuer.")],
    reason: Annotated[str, typer.Option(help="Why; it is recorded, and callers read it.")],
    yes: Yes = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """End whatever somebody asked for or agreed to, and that has not run. For operators.

    They may go on calling, and ask again: `countersign revoke` is what shuts somebody out, and ends this, too.
    """
    if as_json and not yes:
        raise stop("--json asks nothing: give --yes, too", USAGE)
    if not yes:
        try:
            agreed = typer.confirm(f"End all that {visible(subject)} asked for or agreed to?")
        except typer.Abort:
            agreed = False
        if not agreed:
            raise stop("nothing was ended", REFUSED)
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        ended = service.revoke(Person(issuer, subject), reason)
    if as_json:
        typer.echo(json.dumps({"cancelled": list(ended)}, indent=2))
        return
    for approval_id in ended:
        typer.echo(f"cancelled {visible(approval_id)}")
    if not ended:
        typer.echo("there was nothing to end", err=True)
