"""Signing in and out: there to the issuer, and back with a code (see ``oidc``)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from countersign.approver.page import cookies
from countersign.approver.page.cookies import ATTEMPT_S, SESSION_S, Attempt, Cookies, Session, TooManyGroups
from countersign.approver.page.desk import Desk, approval_id_of, link_of
from countersign.config import GatewayConfig
from countersign.identity import SignedIn
from countersign.identity.sign_in import IssuerAway, OidcClient, SignInFailed
from countersign.model.principal import PrincipalKind
from countersign.model.visible import visible
from countersign.runtime import web_cookies

SIGNED_IN_PATH = "/approvals/signed-in"
_S = 1_000_000
_MOST_SHOWN = 100


class SigningIn:
    """The paths of sign-in. ``random`` returns a text that nobody guesses."""

    def __init__(
        self,
        desk: Desk,
        sealing: Cookies,
        oidc: OidcClient,
        config: Callable[[], GatewayConfig],
        random: Callable[[], str],
    ) -> None:
        self._desk = desk
        self._cookies = sealing
        self._oidc = oidc
        self._config = config
        self._random = random

    async def begin(self, request: Request) -> Response:
        """Send the browser to the issuer."""
        # Where to go on is made of these two, never taken as a URL.
        approval_id = approval_id_of(request.query_params.get("approval", ""))
        link = link_of(request.query_params.get("link", ""))
        attempt = Attempt(self._random(), self._random(), self._random(), approval_id, link)
        url, sign_in = self._desk.url, self._desk.sign_in
        try:
            place = await self._oidc.place(sign_in, url + SIGNED_IN_PATH, attempt)
        except IssuerAway as error:
            return self._away(error)
        response = RedirectResponse(place, 303)
        sealed = self._cookies.seal_attempt(attempt, url, sign_in, self._desk.now_us())
        web_cookies.put(response, cookies.attempt_name(url), sealed, ATTEMPT_S)
        return response

    async def end(self, request: Request) -> Response:
        """Take the issuer's answer, which the browser brings, once; sign in, or say why not."""
        if request.method != "GET":
            # Looking at it would use the code up.
            return Response(status_code=405, headers={"allow": "GET"})
        attempt = self._attempt(request)
        if attempt is None:
            response = self._desk.ask_to_sign_in(
                text="This sign-in did not begin in this browser, or too long ago.", status=400
            )
        else:
            response = await self._sign_in(request, attempt)
        web_cookies.drop(response, cookies.attempt_name(self._desk.url))
        return response

    async def out(self, request: Request) -> Response:
        """Forget who is signed in."""
        session = self._desk.session(request)
        await self._desk.form(request, session)
        response = self._desk.ask_to_sign_in(text="You are signed out here.", status=200)
        web_cookies.drop(response, cookies.session_name(self._desk.url))
        return response

    def _attempt(self, request: Request) -> Attempt | None:
        """Return what this browser began and the answer is to; ``None`` for the answer to anybody else's."""
        sealed = request.cookies.get(cookies.attempt_name(self._desk.url), "")
        attempt = self._cookies.open_attempt(sealed, self._desk.url, self._desk.sign_in, self._desk.now_us())
        states = request.query_params.getlist("state")
        if attempt is None or len(states) != 1:
            return None
        return attempt if hmac.compare_digest(states[0].encode(), attempt.state.encode()) else None

    async def _sign_in(self, request: Request, attempt: Attempt) -> Response:
        said = request.query_params
        url, sign_in = self._desk.url, self._desk.sign_in
        try:
            if any(len(said.getlist(name)) > 1 for name in ("code", "iss", "error")):
                raise SignInFailed("the answer says something twice")
            if "error" in said or "code" not in said:
                why = visible(said.get("error", "no code"))[:_MOST_SHOWN]
                raise SignInFailed(f"the issuer did not sign you in ({why})")
            signed_in = await self._oidc.signed_in(
                sign_in, url + SIGNED_IN_PATH, attempt, said["code"], said.get("iss")
            )
            session = self._session(signed_in)
            sealed = self._cookies.seal_session(session, url, sign_in, groups_named(self._config()))
        except SignInFailed as error:
            return self._desk.ask_to_sign_in(attempt.approval_id, attempt.link, f"Nobody is signed in: {error}.", 403)
        except TooManyGroups:
            text = "Nobody is signed in: your groups do not fit into a cookie. Let the issuer send fewer."
            return self._desk.ask_to_sign_in(attempt.approval_id, attempt.link, text, 403)
        except IssuerAway as error:
            return self._away(error)
        query = f"?{urlencode({'link': attempt.link})}" if attempt.link else ""
        response = RedirectResponse(f"{url}/approvals/{attempt.approval_id}{query}", 303)
        seconds = max(1, (session.until_us - self._desk.now_us()) // _S)
        web_cookies.put(response, cookies.session_name(url), sealed, seconds)
        return response

    def _session(self, signed_in: SignedIn) -> Session:
        principal = signed_in.principal
        if principal.kind is not PrincipalKind.PERSON or principal.actors:
            raise SignInFailed("the ID token is not a person's own")
        now_us = self._desk.now_us()
        until_us = min(int(signed_in.until_s * _S), now_us + SESSION_S * _S)
        if until_us <= now_us:
            raise SignInFailed("the ID token is over")
        return Session(principal, self._random(), until_us)

    def _away(self, error: IssuerAway) -> Response:
        return self._desk.rendering.message("Sign-in does not work now", f"{error}.", 503)


def groups_named(config: GatewayConfig) -> frozenset[str]:
    """Return the groups by which gateway.yaml tells who may decide, and who may see what."""
    named = {*config.auditors, *config.operators}
    for rule in config.rules:
        named.update(rule.by.groups if rule.by is not None else ())
        named.update(rule.selector.groups or ())
    return frozenset(named)
