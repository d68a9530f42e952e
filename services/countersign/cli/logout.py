"""``countersign logout``: end a sign-in here and at the gateway."""

from __future__ import annotations

import typer

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, UNREACHABLE, GatewayUrl, stop
from countersign.cli.portal_client import PortalClient, Refused
from countersign.cli.sign_ins import kept_sign_ins


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("logout", epilog="Example: countersign logout --gateway https://mcp.example.com")(logout)


def logout(gateway: GatewayUrl = DEFAULT_GATEWAY) -> None:
    """Forget the tokens kept for a gateway, and have it end the sign-in; a token that is out ends within minutes.

    The tokens are forgotten first, also when the gateway does not answer. Exit code 0: ended; 1: nobody was signed in;
    3: forgotten here, but the gateway does not answer.
    """
    client = PortalClient(gateway)
    with kept_sign_ins().changing() as kept:
        sign_in = kept.pop(client.gateway, None)
    if sign_in is None:
        raise stop(f"nobody is signed in at {client.gateway}", REFUSED)
    try:
        client.ask("revoke", {"token": sign_in.refresh_token})
    except Refused as refused:
        raise stop(f"forgotten here; the gateway did not end it: {refused.why or refused.code}", UNREACHABLE) from None
    finally:
        client.close()
    typer.echo(f"signed out at {client.gateway}")
