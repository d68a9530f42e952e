"""``countersign approvals approve``, ``deny`` and ``break-glass``: decide about what was shown, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.approvals.documents import approval_document
from countersign.cli.approvals.seeing import now_us, print_approval
from countersign.cli.approvals.service import CHANGED, ApprovalId, Approvals, AsJson, Seen, approvals
from countersign.cli.approvals.shown import outcome, why_not
from countersign.model.approval import Approval

Note = Annotated[str, typer.Option("--note", "-n", help="Why; the caller reads it, and it is recorded.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Version = Annotated[
    int | None, typer.Option("--version", min=1, help="Only if it is still as it was in this version (`show --json`).")
]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    app.command("approve", epilog="Examples: countersign approvals approve 1a2b3c4d;  ... approve 1a2b3c4d --yes")(
        approve
    )
    app.command("deny", epilog="Example: countersign approvals deny 1a2b3c4d --note 'not on a Friday'")(deny)
    app.command(
        "break-glass", epilog="Example: countersign approvals break-glass 1a2b3c4d --reason 'INC-42: orders are down'"
    )(break_glass)


def approve(
    approval_id: ApprovalId,
    note: Note = "",
    yes: Yes = False,
    version: Version = None,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Agree to one call, after showing it. What changed meanwhile is not agreed to."""
    _refuse_unclear(yes=yes, as_json=as_json)
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        decide(service, service.get(approval_id), note, agrees=True, yes=yes, version=version, as_json=as_json)


def deny(
    approval_id: ApprovalId,
    note: Note = "",
    yes: Yes = False,
    version: Version = None,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Deny one call, after showing it. One denial is enough."""
    _refuse_unclear(yes=yes, as_json=as_json)
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        decide(service, service.get(approval_id), note, agrees=False, yes=yes, version=version, as_json=as_json)


def break_glass(
    approval_id: ApprovalId,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why this cannot wait: 10 to 1,000 characters.")] = "",
    yes: Yes = False,
    version: Version = None,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Agree to your own call, where a rule lets you. Others are alerted, and the reason is recorded."""
    _refuse_unclear(yes=yes, as_json=as_json)
    with approvals(gateway, bearer(token_file, token, gateway)) as service:
        seen = service.get(approval_id)
        _refuse_changed(seen.approval, version)
        if not seen.approval.break_glass:
            raise stop("no rule lets the caller of this approval break the glass", REFUSED)
        if not as_json:
            # Of one's own call it need not be said that one may not decide in the ordinary way.
            print_approval(replace(seen, why_not=""))
        if not reason and not yes:
            reason = _asked("Why can this not wait? (10 characters or more)")
        if not reason:
            raise stop("say why with --reason", USAGE)
        if not yes and not _agreed("Break the glass? Others are alerted"):
            raise stop("the glass was not broken", REFUSED)
        _tell(service.break_glass(seen.approval, reason), as_json=as_json)


def decide(
    service: Approvals, seen: Seen, note: str, *, agrees: bool, yes: bool, version: int | None, as_json: bool
) -> None:
    """Show an approval, ask, and decide about it as it was shown.

    Raises:
        typer.Exit: after saying why nothing was decided.
    """
    approval = seen.approval
    _refuse_changed(approval, version)
    if not as_json:
        print_approval(seen)
    if not seen.may_decide:
        raise stop(f"you may not decide: {why_not(seen)}" if as_json else "nothing was decided", REFUSED)
    if not yes:
        verb = "Approve" if agrees else "Deny"
        if not _agreed(f"{verb} this call?"):
            raise stop("nothing was decided", REFUSED)
        required = [requirement.rule for requirement, _ in approval.lacking() if requirement.note_required]
        if not note and required:
            note = _asked(f"Why? (rule {', '.join(required)} wants a note; the caller reads it)")
        elif not note and not agrees:
            note = _asked("Why? (the caller reads it; may be empty)")
    _tell(service.decide(approval, note, agrees=agrees), as_json=as_json)


def _refuse_unclear(*, yes: bool, as_json: bool) -> None:
    if as_json and not yes:
        raise stop("--json asks nothing: give --yes, too", USAGE)


def _refuse_changed(approval: Approval, version: int | None) -> None:
    if version is not None and approval.version != version:
        raise stop(CHANGED.format(details=f"it is version {approval.version} now"), REFUSED)


def _tell(approval: Approval, *, as_json: bool) -> None:
    typer.echo(json.dumps(approval_document(approval), indent=2) if as_json else outcome(approval, now_us()))


def _agreed(question: str) -> bool:
    try:
        return typer.confirm(question)
    except typer.Abort:
        return False


def _asked(question: str) -> str:
    try:
        return str(typer.prompt(question, default="", show_default=False))
    except typer.Abort:
        raise stop("nothing was decided", REFUSED) from None
