"""Speaking to a gateway's portal: where it is, and its token endpoint."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import httpx
import typer

from countersign.cli.access import REFUSED, UNREACHABLE, USAGE, stop
from countersign.cli.sign_ins import Kept, SignedIn, SignIns
from countersign.config.types import BUILT_IN_CLIENT
from countersign.config.urls import is_loopback
from countersign.model.visible import visible

_TIMEOUT_S = 15.0
_MOST_BYTES = 1 << 20
_SAID = 300
# A token that is over while it travels is of no use.
_EARLY_S = 20.0


class Refused(Exception):
    """The portal said no: a code of RFC 6749 or its relatives, and why."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(code)
        self.code = code
        self.why = why


class Unanswered(Exception):
    """Nobody answered a question that may be asked again."""


class PortalClient:
    """The portal of the gateway at ``url``. What goes wrong ends the command, but for what is said to be raised."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise stop(f"{url!r} is not a gateway's URL: write https://HOST", USAGE)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise stop("tokens would travel unencrypted: use https://, or a gateway on this machine", USAGE)
        self.gateway = url.rstrip("/")
        self.issuer = f"{self.gateway}/portal"
        self._http = httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, transport=transport)

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def check(self) -> None:
        """Return when there is a portal, and it is that of this very URL; else end the command."""
        try:
            status, found = self._ask("GET", f"{self.issuer}/.well-known/openid-configuration")
        except Unanswered:
            raise self._away() from None
        if status == httpx.codes.NOT_FOUND:
            raise stop(f"nobody signs in at {self.gateway}: its gateway.yaml has no `portal`", REFUSED)
        issuer = found.get("issuer")
        if issuer != self.issuer:
            said = visible(str(issuer)[:_SAID]).removesuffix("/portal")
            raise stop(f"{self.gateway} calls itself {said}: give that as --gateway", USAGE)

    def ask(self, endpoint: str, form: dict[str, str]) -> dict[str, object]:
        """Post a form, with our client id; return the answer. Raises ``Refused``."""
        try:
            return self.ask_once(endpoint, form)
        except Unanswered:
            raise self._away() from None

    def ask_once(self, endpoint: str, form: dict[str, str]) -> dict[str, object]:
        """As ``ask``, for what may be asked again. Raises ``Refused``, ``Unanswered``."""
        status, found = self._ask("POST", f"{self.issuer}/{endpoint}", {**form, "client_id": BUILT_IN_CLIENT})
        if status == httpx.codes.OK:
            return found
        code, why = str(found.get("error", f"status {status}")), str(found.get("error_description", ""))
        raise Refused(visible(code[:_SAID]), visible(why[:_SAID]))

    def signed_in(self, resource: str, answer: dict[str, object]) -> SignedIn:
        """Return the sign-in that a token answer begins; ``resource`` is what its token is for."""
        refresh = answer.get("refresh_token")
        if not isinstance(refresh, str):
            raise stop("the portal does not answer as it should", UNREACHABLE)
        return SignedIn(self.gateway, resource, refresh, {resource: _kept(answer)})

    def refreshed(self, sign_in: SignedIn, resource: str) -> SignedIn:
        """Return the sign-in with a fresh token for ``resource``. Raises ``Refused``."""
        form = {"grant_type": "refresh_token", "refresh_token": sign_in.refresh_token, "resource": resource}
        answer = self.ask("token", form)
        refresh = answer.get("refresh_token")
        return sign_in.with_token(resource, _kept(answer), refresh if isinstance(refresh, str) else "")

    def _ask(self, method: str, url: str, form: dict[str, str] | None = None) -> tuple[int, dict[str, object]]:
        body = b""
        try:
            with self._http.stream(method, url, data=form) as response:
                for piece in response.iter_bytes():
                    body += piece
                    if len(body) > _MOST_BYTES:
                        raise stop("the portal answers too much", UNREACHABLE)
            found = json.loads(body)
        except ValueError:
            found = {}
        except httpx.HTTPError:
            raise Unanswered from None
        return response.status_code, found if isinstance(found, dict) else {}

    def _away(self) -> typer.Exit:
        return stop(f"{self.gateway} does not answer: is the gateway up?", UNREACHABLE)


def token_for(sign_ins: SignIns, resource: str, transport: httpx.BaseTransport | None = None) -> str | None:
    """Return a token for ``resource`` (a gateway's URL or that of one of its targets) by a sign-in that is kept.

    ``None`` when there is none. One process refreshes at a time. Ends the command when the sign-in is good no more.
    """
    gateway = "/".join(resource.split("/", 3)[:3])
    if sign_ins.of(gateway) is None:
        return None
    with sign_ins.changing() as kept:
        sign_in = kept.get(gateway)
        if sign_in is None:
            return None
        resource = resource.rstrip("/")
        known = sign_in.tokens.get(resource)
        if known is not None and known.until_s - _EARLY_S > time.time():
            return known.token
        client = PortalClient(gateway, transport)
        try:
            kept[gateway] = client.refreshed(sign_in, resource)
        except Refused as error:
            if error.code == "invalid_grant":
                del kept[gateway]
                raise stop(f"you are signed in no more ({error.why}): countersign login", REFUSED) from None
            raise stop(f"the portal gives no token: {error.why or error.code}", REFUSED) from None
        finally:
            client.close()
        return kept[gateway].tokens[resource].token


def _kept(answer: dict[str, object]) -> Kept:
    token, seconds = answer.get("access_token"), answer.get("expires_in")
    if not isinstance(token, str) or not isinstance(seconds, int | float):
        raise stop("the portal does not answer as it should", UNREACHABLE)
    return Kept(token, time.time() + seconds)
