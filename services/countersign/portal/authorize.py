"""The authorization endpoint: codes with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 9207, RFC 9700)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from countersign.model.visible import visible
from countersign.portal.clients import client_of, may_be_sent_to, origin_of
from countersign.portal.desk import Desk, Session
from countersign.portal.errors import TOO_MANY, OAuthRefused
from countersign.portal.issuing import Issuing
from countersign.portal.signing_in import SigningIn
from countersign.portal.spans import in_words
from countersign.portal.store import Granted, PostgresSignIns, TooMany
from countersign.portal.tokens import Sealed
from countersign.runtime.guarded import HEADERS, POLICY

CODE_S = 60
_S = 1_000_000
_MOST_QUERY = 2_000
# RFC 7636, section 4.2: a SHA-256 in base64url.
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE = re.compile(r"[ -~]{0,500}")
_ONCE = ("client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method", "prompt")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is in order. ``query`` is what it came as."""

    client_id: str
    redirect_uri: str
    resource: str
    challenge: str
    state: str
    prompt: str
    query: str


class _Back(Exception):
    """A refusal that the program hears of, by the browser."""

    def __init__(self, redirect_uri: str, state: str, code: str, description: str) -> None:
        super().__init__(code)
        self.redirect_uri = redirect_uri
        self.answer = {"error": code, "error_description": description, **({"state": state} if state else {})}


class Authorize:
    """Answers at ``/portal/authorize``. Nobody is granted anything without having said so on our page."""

    def __init__(
        self,
        desk: Desk,
        signing_in: SigningIn,
        issuing: Issuing,
        store: PostgresSignIns,
        sealed: Sealed,
        now_us: Callable[[], int],
        random: Callable[[], str],
    ) -> None:
        self._desk = desk
        self._signing_in = signing_in
        self._issuing = issuing
        self._store = store
        self._sealed = sealed
        self._now_us = now_us
        self._random = random

    async def ask(self, request: Request) -> Response:
        """Take a request; have its person sign in, and then say what they let in."""
        try:
            asked = self._asked(request.url.query)
            session = await self._desk.session(request)
            if session is None or asked.prompt == "login":
                if asked.prompt == "none":
                    raise _Back(asked.redirect_uri, asked.state, "login_required", "nobody is signed in")
                return self._signing_in.ways(f"/portal/authorize?{_without_prompt(asked.query)}")
            if asked.prompt == "none":
                raise _Back(asked.redirect_uri, asked.state, "consent_required", "nobody may be let in unasked")
        except _Back as back:
            return self._send(back.redirect_uri, back.answer)
        return self._page(asked, session)

    async def answer(self, request: Request) -> Response:
        """Take what the person said on the page."""
        session = await self._desk.session(request)
        if session is None:
            return self._desk.message("You are not signed in", "Begin again where you came from.", 403)
        form = await self._desk.form(request, session)
        try:
            asked = self._asked(form.get("asked", ""))
            if form.get("answer") != "yes":
                raise _Back(asked.redirect_uri, asked.state, "access_denied", "the person did not let it in")
        except _Back as back:
            return self._send(back.redirect_uri, back.answer)
        code_until_us = self._now_us() + CODE_S * _S
        granted = Granted(
            grant_id=self._random(),
            sign_in=session.sign_in,
            client_id=asked.client_id,
            resource=asked.resource,
            redirect_uri=asked.redirect_uri,
            challenge=asked.challenge,
            code_until_us=code_until_us,
            redeemed=False,
            refreshes=0,
            ended=False,
        )
        try:
            await self._store.grant(granted, self._now_us())
        except TooMany:
            raise OAuthRefused("access_denied", TOO_MANY, 429) from None
        code = self._sealed.code(granted.grant_id, code_until_us)
        return self._send(asked.redirect_uri, {"code": code, **({"state": asked.state} if asked.state else {})})

    def _asked(self, query: str) -> Asked:
        """Read a request. Until it is certain where to go back to, what is wrong is said to the person alone."""
        if len(query) > _MOST_QUERY:
            raise OAuthRefused("invalid_request", "the request is too long")
        try:
            said = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=30)
        except ValueError:
            raise OAuthRefused("invalid_request", "the request cannot be read") from None
        fields: dict[str, str] = {}
        for name, value in said:
            if name in fields and name in _ONCE:
                raise OAuthRefused("invalid_request", "the request says something twice")
            fields[name] = value
        client = client_of(self._issuing.portal, fields.get("client_id", ""))
        if client is None:
            raise OAuthRefused("invalid_client", "this program is not known here: add it under `portal.clients`")
        redirect_uri = fields.get("redirect_uri", "")
        if not may_be_sent_to(client, redirect_uri):
            raise OAuthRefused("invalid_request", "the program does not say where to send you back to, or lies")
        state = fields.get("state", "")
        if not _STATE.fullmatch(state):
            raise _Back(redirect_uri, "", "invalid_request", "the state is too long, or not plain ASCII")

        def back(code: str, description: str) -> _Back:
            return _Back(redirect_uri, state, code, description)

        if "request" in fields or "request_uri" in fields:
            raise back("request_not_supported", "requests are taken as parameters alone")
        if fields.get("response_type") != "code":
            raise back("unsupported_response_type", "only codes are given: response_type=code")
        if fields.get("response_mode", "query") != "query":
            raise back("invalid_request", "answers are given in the query alone")
        if fields.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(fields.get("code_challenge", "")):
            raise back("invalid_request", "PKCE is needed: code_challenge with code_challenge_method=S256")
        try:
            resource = self._issuing.resource_of([value for name, value in said if name == "resource"])
        except OAuthRefused as error:
            raise back(error.code, error.description) from None
        return Asked(
            client_id=client.client_id,
            redirect_uri=redirect_uri,
            resource=resource,
            challenge=fields["code_challenge"],
            state=state,
            prompt=fields.get("prompt", ""),
            query=query,
        )

    def _page(self, asked: Asked, session: Session) -> Response:
        response = self._desk.page(
            "authorize",
            session=session,
            program=visible(asked.client_id),
            back=visible(asked.redirect_uri),
            resource=asked.resource,
            everything=asked.resource == self._desk.url,
            lasts=in_words(session.sign_in.until_us - self._now_us()),
            asked=_without_prompt(asked.query),
        )
        # Browsers hold the redirect that answers a form against where forms may go.
        policy = HEADERS[POLICY].replace("form-action 'self'", f"form-action 'self' {origin_of(asked.redirect_uri)}")
        response.headers[POLICY] = policy
        return response

    def _send(self, redirect_uri: str, answer: dict[str, str]) -> Response:
        query = urlencode({**answer, "iss": f"{self._desk.url}/portal"})
        return RedirectResponse(f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{query}", 303)


def _without_prompt(query: str) -> str:
    """The request as it goes on after signing in, which it would ask for anew."""
    if "prompt" not in query:
        return query
    return urlencode([(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name != "prompt"])
