"""``countersign login``: sign in at a gateway's portal, by a browser here or by one elsewhere."""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
import time
import webbrowser
from typing import Annotated
from urllib.parse import urlencode

import typer

from countersign.cli.access import DEFAULT_GATEWAY, REFUSED, UNREACHABLE, GatewayUrl, stop
from countersign.cli.loopback import Receiver
from countersign.cli.portal_client import PortalClient, Refused, Unanswered
from countersign.cli.sign_ins import SignedIn, kept_sign_ins
from countersign.cli.whoami import told
from countersign.config.types import BUILT_IN_CLIENT
from countersign.model.visible import visible
from countersign.runtime.settings import can_browse

_WAIT_S = 300.0
_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_SLOWER_S = 5.0


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    examples = (
        "Examples: countersign login --gateway https://mcp.example.com;  countersign login --resource orders --device"
    )
    app.command("login", epilog=examples)(login)


def login(
    gateway: GatewayUrl = DEFAULT_GATEWAY,
    resource: Annotated[
        str, typer.Option(help="A target's name: tokens are for that alone. Without it, for whatever the gateway has.")
    ] = "",
    device: Annotated[
        bool,
        typer.Option("--device", help="Show a code to be typed in a browser elsewhere; so it is without a screen."),
    ] = False,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the URL; open no browser.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print who is signed in as JSON.")] = False,
) -> None:
    """Sign in at the gateway, for the other commands: they take no token, and get theirs by this sign-in.

    Tokens are kept in a file of yours alone (`countersign logout` ends them). Exit code 0: signed in; 1: refused;
    2: the command line is wrong; 3: nobody answered.
    """
    client = PortalClient(gateway)
    wanted = f"{client.gateway}/{resource}/mcp" if resource else client.gateway
    try:
        client.check()
        if device or not (no_browser or can_browse(sys.platform)):
            sign_in = _by_device(client, wanted)
        else:
            sign_in = _by_browser(client, wanted, open_one=not no_browser)
    except Refused as refused:
        raise stop(f"nobody is signed in: {refused.why or refused.code}", REFUSED) from None
    finally:
        client.close()
    with kept_sign_ins().changing() as kept:
        kept[client.gateway] = sign_in
    told(sign_in, as_json=as_json)


def _by_browser(client: PortalClient, resource: str, *, open_one: bool) -> SignedIn:
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
    receiver = Receiver(state, client.issuer)
    try:
        query = {
            "response_type": "code",
            "client_id": BUILT_IN_CLIENT,
            "redirect_uri": receiver.redirect_uri,
            "resource": resource,
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        url = f"{client.issuer}/authorize?{urlencode(query)}"
        if not (open_one and webbrowser.open(url)):
            _say(f"Open this in a browser on this machine:\n{url}")
        else:
            _say("Go on in the browser. (If none opened: --no-browser, or --device.)")
        answer = receiver.wait(_WAIT_S)
        redirect_uri = receiver.redirect_uri
    finally:
        receiver.close()
    if answer is None:
        raise stop("nobody signed in within five minutes", UNREACHABLE)
    if "code" not in answer:
        raise Refused(visible(answer["error"][:100]), visible(answer.get("error_description", "")[:300]))
    form = {
        "grant_type": "authorization_code",
        "code": answer["code"],
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    return client.signed_in(resource, client.ask("token", form))


def _by_device(client: PortalClient, resource: str) -> SignedIn:
    asked = client.ask("device_authorization", {"resource": resource})
    code, place, shown = (asked.get(name) for name in ("device_code", "verification_uri", "user_code"))
    interval, good = asked.get("interval", 5), asked.get("expires_in")
    if not (isinstance(code, str) and isinstance(interval, int) and isinstance(good, int)):
        raise stop("the portal does not answer as it should", UNREACHABLE)
    _say(f"Open {visible(str(place))} in any browser, and type there: {visible(str(shown))}")
    wait_s, until = float(max(1, interval)), time.monotonic() + good
    while time.monotonic() < until:
        time.sleep(wait_s)
        try:
            return client.signed_in(resource, client.ask_once("token", {"grant_type": _DEVICE, "device_code": code}))
        except Unanswered:
            # RFC 8628, section 3.5: more slowly then.
            wait_s += _SLOWER_S
        except Refused as refused:
            if refused.code == "slow_down":
                wait_s += _SLOWER_S
            elif refused.code != "authorization_pending":
                raise
    raise stop("nobody let this device in within its time", UNREACHABLE)


def _say(text: str) -> None:
    typer.echo(text, err=True)
