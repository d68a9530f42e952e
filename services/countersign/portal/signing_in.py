"""Signing in at an issuer (OpenID Connect), and the page that shows where one may."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from countersign.config.types import SignInClient
from countersign.config.types_portal import place_of
from countersign.identity.sign_in import IssuerAway, OidcClient, Proof, SignInFailed
from countersign.model.principal import PrincipalKind
from countersign.model.visible import visible
from countersign.portal.desk import Desk
from countersign.portal.errors import OAuthRefused
from countersign.portal.issuing import Issuing
from countersign.portal.person import Person
from countersign.portal.used import Once, UsedOnce
from countersign.runtime import web_cookies
from countersign.runtime.boxes import Box
from countersign.runtime.sealing import Unsealable

ATTEMPT_S = 600
BEGIN = "/portal/oidc/begin"
CALLBACK = "/portal/oidc/callback"
_S = 1_000_000
_COOKIE = "countersign-portal-sign-in"
_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way in one browser, and where it goes on afterwards."""

    state: str
    nonce: str
    verifier: str
    then: str


def callback_of(issuer: str) -> str:
    """Return the path to which an issuer sends browsers back, one for each.

    So an answer of one is never taken for that of another, also where it does not say whose it is (RFC 9700, 4.4.2).
    """
    return f"{CALLBACK}/{place_of(issuer)}"


class SigningIn:
    """The paths of sign-in by OpenID Connect. ``random`` returns a text that nobody guesses."""

    def __init__(
        self,
        key: bytes,
        desk: Desk,
        issuing: Issuing,
        oidc: OidcClient,
        used: UsedOnce,
        now_us: Callable[[], int],
        random: Callable[[], str],
    ) -> None:
        self._box = Box(key, "portal sign-in")
        self._desk = desk
        self._issuing = issuing
        self._oidc = oidc
        self._used = used
        self._now_us = now_us
        self._random = random

    def ways(self, then: str, text: str = "", status: int = 200) -> Response:
        """Show where people sign in; where there is one place only, and nothing to say, send the browser on."""
        portal = self._issuing.portal
        query = urlencode({"then": then})
        ways = [
            {"name": visible(one.issuer), "href": f"{BEGIN}?{urlencode({'at': one.issuer})}&{query}"}
            for one in portal.oidc
        ]
        ways += [
            {"name": visible(one.entity_id), "href": f"/portal/saml/{one.name}/login?{query}"} for one in portal.saml
        ]
        if len(ways) == 1 and not text:
            return RedirectResponse(self._desk.url + ways[0]["href"], 303)
        return self._desk.page("sign_in", status, ways=ways, text=text)

    async def begin(self, request: Request) -> Response:
        """Send the browser to the issuer."""
        sign_in = next((one for one in self._issuing.portal.oidc if one.issuer == request.query_params.get("at")), None)
        then = self._desk.then_of(request.query_params.get("then", ""))
        if sign_in is None:
            return self.ways(then, "People do not sign in there.", 404)
        attempt = Attempt(self._random(), self._random(), self._random(), then)
        try:
            place = await self._oidc.place(sign_in, self._back(sign_in), attempt)
        except IssuerAway as error:
            return self._away(error)
        response = RedirectResponse(place, 303)
        until_us = self._now_us() + ATTEMPT_S * _S
        entries = [attempt.state, attempt.nonce, attempt.verifier, attempt.then]
        sealed = self._box.seal([*entries], until_us, self._back(sign_in), sign_in.issuer, sign_in.client_id)
        web_cookies.put(response, self._cookie, sealed, ATTEMPT_S)
        return response

    async def end(self, request: Request) -> Response:
        """Take the issuer's answer, which the browser brings, once; sign in, or say why not."""
        if request.method != "GET":
            # Looking at it would use the code up.
            return Response(status_code=405, headers={"allow": "GET"})
        portal = self._issuing.portal
        place = request.path_params["issuer"]
        sign_in = next((one for one in portal.oidc if place_of(one.issuer) == place), None)
        attempt = None if sign_in is None else self._attempt(request, sign_in)
        if sign_in is None or attempt is None:
            text = "This sign-in did not begin in this browser, or too long ago."
            response = self.ways("", text, 400)
        else:
            response = await self._finish(request, sign_in, attempt)
        web_cookies.drop(response, self._cookie)
        return response

    @property
    def _cookie(self) -> str:
        return web_cookies.name_of(_COOKIE, self._desk.url)

    def _back(self, sign_in: SignInClient) -> str:
        return self._desk.url + callback_of(sign_in.issuer)

    def _attempt(self, request: Request, sign_in: SignInClient) -> Attempt | None:
        """Return what this browser began at this issuer; ``None`` for the answer to anybody else's."""
        sealed = request.cookies.get(self._cookie, "")
        try:
            bound = (self._back(sign_in), sign_in.issuer, sign_in.client_id)
            entries = self._box.open(sealed, self._now_us(), *bound)
        except Unsealable:
            return None
        attempt = Attempt(*cast(list[str], entries))
        states = request.query_params.getlist("state")
        if len(states) != 1 or not hmac.compare_digest(states[0].encode(), attempt.state.encode()):
            return None
        return attempt

    async def _finish(self, request: Request, sign_in: SignInClient, attempt: Attempt) -> Response:
        said = request.query_params
        try:
            if any(len(said.getlist(name)) > 1 for name in ("code", "iss", "error")):
                raise SignInFailed("the answer says something twice")
            if "error" in said or "code" not in said:
                why = visible(said.get("error", "no code"))[:_MOST_SHOWN]
                raise SignInFailed(f"the issuer did not sign you in ({why})")
            back = self._back(sign_in)
            signed_in = await self._oidc.signed_in(sign_in, back, attempt, said["code"], said.get("iss"))
            # Not before: whoever signs in nowhere must not have us keep anything.
            until_us = self._now_us() + ATTEMPT_S * _S
            if not await self._used.take(Once.SIGN_IN, attempt.state, until_us, self._now_us()):
                raise SignInFailed("the answer was used already")
            return await self._desk.finish(self._person(signed_in), attempt.then)
        except SignInFailed as error:
            return self.ways(attempt.then, f"Nobody is signed in: {error}.", 403)
        except OAuthRefused as error:
            return self.ways(attempt.then, f"Nobody is signed in: {error.description}.", max(403, error.status))
        except IssuerAway as error:
            return self._away(error)

    def _person(self, signed_in: Proof) -> Person:
        principal = signed_in.principal
        if principal.kind is not PrincipalKind.PERSON or principal.actors:
            raise SignInFailed("the ID token is not a person's own")
        return Person(
            issuer=principal.issuer,
            subject=principal.subject,
            groups=principal.groups,
            signed_in=principal.signed_in or f"portal:{self._random()}",
            at_s=self._now_us() // _S,
            methods=signed_in.methods,
            context=signed_in.context,
            token_subject=principal.token_subject,
        )

    def _away(self, error: IssuerAway) -> Response:
        return self._desk.message("Sign-in does not work now", f"{error}.", 503)
