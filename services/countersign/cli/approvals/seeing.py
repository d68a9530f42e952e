"""``countersign approvals list``, ``show`` and ``deliveries``: what waits, what it is about, and who was told."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from countersign.cli.access import DEFAULT_GATEWAY, GatewayUrl, Token, TokenFile, bearer
from countersign.cli.approvals.documents import approval_document, delivery_document, delivery_state
from countersign.cli.approvals.service import ApprovalId, AsJson, Seen, approvals
from countersign.cli.approvals.shown import approval_lines, approval_table, moment
from countersign.model.approval import ApprovalState
from countersign.model.visible import visible

ToDecide = Annotated[bool, typer.Option("--to-decide", help="Only those that you may decide about now.")]
Mine = Annotated[bool, typer.Option("--mine", help="Only those that you asked for.")]
Limit = Annotated[int, typer.Option(min=1, help="How many to list, the newest first.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("list", epilog="Examples: countersign approvals list --to-decide;  ... list --state denied --json")(
        list_approvals
    )
    app.command("show", epilog="Example: countersign approvals show 1a2b3c4d")(show)
    app.command("deliveries", epilog="Example: countersign approvals deliveries --dead")(deliveries)


def now_us() -> int:
    """The time, in microseconds since the epoch."""
    return time.time_ns() // 1_000


def list_approvals(
    state: Annotated[
        list[ApprovalState] | None, typer.Option(help="Only in this state; may be repeated. Else what is open.")
    ] = None,
    to_decide: ToDecide = False,
    mine: Mine = False,
    limit: Limit = 100,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """List the approvals that you may see: those that wait for people, and those that were agreed to and may run."""
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        found = list(service.list(state or (), to_decide=to_decide, mine=mine, limit=limit))
    if as_json:
        typer.echo(json.dumps({"approvals": [approval_document(one) for one in found]}, indent=2))
    elif found:
        Console().print(approval_table(found, now_us()))
    else:
        typer.echo("nothing waits for approval", err=True)


def show(
    approval_id: ApprovalId,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show what somebody wants to do, what it touches, who must agree to it, and who did."""
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        seen = service.get(approval_id)
    if as_json:
        document = {**approval_document(seen.approval), "may_decide": seen.may_decide, "why_not": seen.why_not}
        typer.echo(json.dumps(document, indent=2))
    else:
        print_approval(seen)


def deliveries(
    approval_id: Annotated[str, typer.Argument(metavar="[ID]", help="Of this approval; else of all.")] = "",
    dead: Annotated[bool, typer.Option("--dead", help="Only those that were given up.")] = False,
    limit: Limit = 100,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Show what became of notifications. Those of all approvals are for operators and auditors."""
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        whole_id = service.get(approval_id).approval.id if approval_id else ""
        found = list(service.deliveries(whole_id, dead=dead, limit=limit))
    if as_json:
        typer.echo(json.dumps({"deliveries": [delivery_document(one) for one in found]}, indent=2))
        return
    if not found:
        typer.echo("no notifications", err=True)
        return
    table = Table(box=None, pad_edge=False)
    for name in ("APPROVAL", "CHANNEL", "STATE", "ATTEMPTS", "SINCE", "NEXT TRY", "PROBLEM"):
        table.add_column(name, no_wrap=name in ("APPROVAL", "STATE"), overflow="fold")
    for one in found:
        state = delivery_state(one)
        style = {"dead": "bold red", "delivered": "green"}.get(state, "yellow")
        following = moment(one.next_try_us) if state == "waiting" and one.next_try_us else ""
        cells = (
            one.approval_id[:8],
            one.channel,
            state,
            str(one.attempts),
            moment(one.created_us),
            following,
            one.problem,
        )
        table.add_row(*(Text(visible(cell), style if cell == state else "") for cell in cells))
    Console().print(table)


def print_approval(seen: Seen) -> None:
    """Print all of an approval."""
    console = Console(highlight=False)
    for line in approval_lines(seen, now_us()):
        console.print(line, soft_wrap=True)
