"""`countersign revoke`: take back a principal, a token, a sign-in, a session, or everybody of an issuer."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from countersign.api.access.v1 import revocations_pb2
from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, USAGE, GatewayUrl, Token, TokenFile, bearer, stop
from countersign.cli.reading import json_line, record
from countersign.cli.revoked import (
    AsJson,
    Reason,
    kind,
    microseconds_of,
    name,
    revocations,
    seconds_of,
    strikes_own,
)
from countersign.model.revocation import looks_like_a_token
from countersign.model.visible import visible

_CLOCK = "Spare tokens that were issued at this time or later: a time, 2h (ago), or now."
# What is longer is cut in what is told of sessions.
SEARCHABLE_CHARACTERS = 500
_OF_SESSION = "Of whom this recorded session is, in place of a value and --issuer; for who is an auditor, too."

Issuer = Annotated[str, typer.Option(help="The issuer of the tokens, as their iss claim and the record have it.")]
IssuedBefore = Annotated[str, typer.Option(help=_CLOCK)]
Until = Annotated[str, typer.Option(help="When it lapses: a time, or 30d (from now). Without it: when it is lifted.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask, also where it takes back your own token.")]
OfSession = Annotated[str, typer.Option(help=_OF_SESSION)]

_app = typer.Typer(
    help="Take back a principal, a token, a sign-in, a session, or everybody of an issuer: within a second new calls "
    "are refused, waiting calls end, and open streams are cut. For operators.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the commands to the ``countersign`` command."""
    app.add_typer(_app, name="revoke")


@_app.command("principal", epilog="Example: countersign revoke principal mallory --issuer URL --reason 'case 17'")
def principal(
    reason: Reason,
    subject: Annotated[str, typer.Argument(help="The subject, also one that acts for others.")] = "",
    issuer: Issuer = "",
    of_session: OfSession = "",
    issued_before: IssuedBefore = "",
    until: Until = "",
    yes: Yes = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take back a subject of an issuer: whoever calls as it, or has it act for somebody."""
    way = _Way(gateway, token_file, token, yes=yes, as_json=as_json)
    wanted = revocations_pb2.Revocation(kind=revocations_pb2.REVOCATION_KIND_PRINCIPAL, reason=reason)
    way.name(wanted, subject, issuer, of_session)
    _set_times(wanted, issued_before, until)
    way.revoke(wanted)


@_app.command("token", epilog="Example: countersign revoke token JTI --issuer URL --until 1d --reason 'leaked'")
def token_(
    reason: Reason,
    token_id: Annotated[
        str, typer.Argument(help="Its jti, or the digest that the record shows. Never the token.")
    ] = "",
    issuer: Issuer = "",
    of_session: OfSession = "",
    until: Until = "",
    yes: Yes = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take back one token."""
    way = _Way(gateway, token_file, token, yes=yes, as_json=as_json)
    wanted = revocations_pb2.Revocation(kind=revocations_pb2.REVOCATION_KIND_TOKEN, reason=reason)
    way.name(wanted, token_id, issuer, of_session)
    _set_times(wanted, "", until)
    way.revoke(wanted)


@_app.command("sign-in", epilog="Example: countersign revoke sign-in SID --issuer URL --reason 'laptop stolen'")
def sign_in(
    reason: Reason,
    sid: Annotated[str, typer.Argument(help="The sid of its tokens.")],
    issuer: Issuer = "",
    until: Until = "",
    yes: Yes = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take back all tokens of one sign-in."""
    way = _Way(gateway, token_file, token, yes=yes, as_json=as_json)
    wanted = revocations_pb2.Revocation(kind=revocations_pb2.REVOCATION_KIND_SIGN_IN, reason=reason)
    way.name(wanted, sid, issuer, "")
    _set_times(wanted, "", until)
    way.revoke(wanted)


@_app.command("session", epilog="Example: countersign revoke session SESSION_ID --reason 'case 17'")
def session(
    reason: Reason,
    session_id: Annotated[str, typer.Argument(help="The id of a session, as `countersign sessions` shows it.")],
    until: Until = "",
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take back one recorded session: whose it is may begin another one."""
    wanted = revocations_pb2.Revocation(kind=revocations_pb2.REVOCATION_KIND_SESSION, value=session_id, reason=reason)
    _set_times(wanted, "", until)
    _Way(gateway, token_file, token, yes=True, as_json=as_json).revoke(wanted)


@_app.command("issuer", epilog="Example: countersign revoke issuer URL --issued-before now --reason 'key leaked'")
def issuer_(
    reason: Reason,
    issuer: Annotated[str, typer.Argument(help="The issuer, as the iss claim and the record have it.")],
    issued_before: IssuedBefore = "",
    until: Until = "",
    yes: Yes = False,
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    token_file: TokenFile = None,
    token: Token = None,
    as_json: AsJson = False,
) -> None:
    """Take back everybody of an issuer; best with --issued-before, so that people can sign in anew."""
    wanted = revocations_pb2.Revocation(kind=revocations_pb2.REVOCATION_KIND_ISSUER, issuer=issuer, reason=reason)
    _set_times(wanted, issued_before, until)
    _Way(gateway, token_file, token, yes=yes, as_json=as_json).revoke(wanted)


def _set_times(wanted: revocations_pb2.Revocation, issued_before: str, until: str) -> None:
    now = datetime.now(UTC)
    if issued_before:
        wanted.issued_before_s = seconds_of("issued-before", issued_before, now)
    if until:
        wanted.until_us = microseconds_of("until", until, now)


class _Way:
    """How the gateway is reached, and how its answer is shown."""

    def __init__(self, url: str, token_file: Path | None, token: str | None, *, yes: bool, as_json: bool) -> None:
        self._reached = (url, token_file, token)
        self._bearer = bearer(token_file, token, url)
        self._yes = yes
        self._as_json = as_json

    def name(self, wanted: revocations_pb2.Revocation, value: str, issuer: str, of_session: str) -> None:
        """Say whom it is about. Raises ``typer.Exit``."""
        if bool(of_session) == bool(value) or bool(of_session) == bool(issuer):
            of_sign_in = wanted.kind == revocations_pb2.REVOCATION_KIND_SIGN_IN
            raise stop("say whom: a value and --issuer URL" + ("" if of_sign_in else ", or --of-session ID"), USAGE)
        if looks_like_a_token(value):
            raise stop("that is a token itself, and it was not sent: give its jti, or the digest in the record", USAGE)
        wanted.issuer, wanted.value = issuer, value
        if of_session:
            with record(*self._reached) as found:
                whose = found.session(of_session).principal
            is_token = wanted.kind == revocations_pb2.REVOCATION_KIND_TOKEN
            wanted.issuer, wanted.value = whose.issuer, whose.token_id if is_token else whose.subject
            if max(len(wanted.value), len(wanted.issuer)) >= SEARCHABLE_CHARACTERS:
                raise stop("the name is too long to be told from the session: give it, and --issuer", REFUSED)

    def revoke(self, wanted: revocations_pb2.Revocation) -> None:
        """Ask where that is wise; do it, and say what is in force."""
        everybody = wanted.kind == revocations_pb2.REVOCATION_KIND_ISSUER
        own = strikes_own(self._bearer, wanted)
        if (everybody or own) and not self._yes:
            self._ask(wanted, own=own)
        with revocations(*self._reached) as service:
            made = service.revoke(wanted)
        if self._as_json:
            typer.echo(json_line(made))
        else:
            typer.echo(f"revoked: {visible(made.revocation_id)}")

    def _ask(self, wanted: revocations_pb2.Revocation, *, own: bool) -> None:
        if self._as_json:
            raise stop("--json asks nothing: give --yes, too", USAGE)
        whom = f"{kind(wanted)} {name(wanted)}" if wanted.value else name(wanted)
        warning = ": your own token, by which you could not lift it" if own else ""
        try:
            agreed = typer.confirm(f"Take back {whom} of {visible(wanted.issuer)}{warning}?", err=True)
        except typer.Abort:
            agreed = False
        if not agreed:
            raise stop("nothing was revoked", REFUSED)
