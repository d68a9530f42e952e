"""``countersign whoami``: who is signed in at a gateway."""

from __future__ import annotations

import base64
import json
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, GatewayUrl, stop
from countersign.cli.portal_client import token_for
from countersign.cli.sign_ins import SignedIn, kept_sign_ins
from countersign.model.visible import visible


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("whoami", epilog="Example: countersign whoami --gateway https://mcp.example.com --json")(whoami)


def whoami(
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say who is signed in, when the gateway still takes the sign-in.

    Exit code 0: somebody is; 1: nobody is; 3: the gateway does not answer.
    """
    sign_ins, url = kept_sign_ins(), gateway.rstrip("/")
    before = sign_ins.of(url)
    if before is not None:
        token_for(sign_ins, before.resource)
    found = sign_ins.of(url)
    if found is None:
        raise stop(f"nobody is signed in at {url}: countersign login --gateway {url}", REFUSED)
    told(found, as_json=as_json)


def told(sign_in: SignedIn, *, as_json: bool) -> None:
    """Say who a sign-in is of; never its tokens."""
    claims = _claims(sign_in.tokens[sign_in.resource].token)
    listed = claims.get("groups")
    groups = [str(group) for group in listed] if isinstance(listed, list) else []
    seconds = max(0, int(sign_in.tokens[sign_in.resource].until_s - time.time()))
    shown = {
        "gateway": sign_in.gateway,
        "subject": str(claims.get("sub", "")),
        "issuer": str(claims.get("idp", "")),
        "groups": groups,
        "resource": sign_in.resource,
        "signed_in_at": _moment(claims.get("auth_time")),
        "token_seconds_left": seconds,
    }
    if as_json:
        typer.echo(json.dumps(shown))
        return
    typer.echo(f"{visible(str(shown['subject']))} (of {visible(str(shown['issuer']))}) at {sign_in.gateway}")
    typer.echo(f"groups: {visible(', '.join(groups)) or 'none'}")
    typer.echo(f"may call: {sign_in.resource}")
    typer.echo(f"signed in at: {shown['signed_in_at']}")


def _claims(token: str) -> dict[str, object]:
    """Read our own token for its owner to see; nothing is decided by it."""
    try:
        payload = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, IndexError):
        return {}
    return found if isinstance(found, dict) else {}


def _moment(seconds: object) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if isinstance(seconds, int) else ""
