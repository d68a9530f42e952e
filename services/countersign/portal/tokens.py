"""The token endpoint and its neighbours: codes, refresh tokens, and taking them back (RFC 6749, RFC 7009, RFC 9700)."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from countersign.model.revocation import Revocation, RevocationKind
from countersign.portal.clients import client_of
from countersign.portal.errors import OAuthRefused
from countersign.portal.hears.applying import Applying, NotApplied
from countersign.portal.hears.told import Heard
from countersign.portal.issuing import Issuing, TokenAnswer
from countersign.portal.ports import Grant
from countersign.portal.store import Granted, NotGood, PostgresSignIns, Replayed
from countersign.runtime.boxes import Box
from countersign.runtime.forms import BadBody, body_of
from countersign.runtime.sealing import Unsealable

log = logging.getLogger(__name__)

CODE, REFRESH = "authorization_code", "refresh_token"
MOST_BYTES = 256 * 1024
"""Of a token request: an assertion of SAML is among them."""
_TYPE = "application/x-www-form-urlencoded"
# RFC 7636, section 4.1.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_NOT_GOOD = "the code or token is not good here: it is over, was taken back, or was made for another program"
_REPLAYED = "it was used before, so everything that came of it is ended: sign in again"


class Sealed:
    """Codes and refresh tokens: sealed, so that nobody can make one, and naming a row, so that none is stored.

    They are good while ``series`` returns the same (see ``Issuing.series``).
    """

    def __init__(self, key: bytes, series: Callable[[], str], now_us: Callable[[], int]) -> None:
        self._codes = Box(key, "portal code")
        self._refreshes = Box(key, "portal refresh token")
        self._devices = Box(key, "portal device code")
        self._series = series
        self._now_us = now_us

    def code(self, grant_id: str, until_us: int) -> str:
        """Return a code."""
        return self._codes.seal([grant_id], until_us, self._series())

    def open_code(self, code: str) -> str:
        """Return the grant of a code. Raises ``NotGood``."""
        [grant_id] = self._open(self._codes, code)
        return cast(str, grant_id)

    def refresh(self, grant_id: str, number: int, until_us: int) -> str:
        """Return a refresh token."""
        return self._refreshes.seal([grant_id, number], until_us, self._series())

    def open_refresh(self, token: str) -> tuple[str, int]:
        """Return the grant of a refresh token, and its number. Raises ``NotGood``."""
        grant_id, number = self._open(self._refreshes, token)
        return cast(str, grant_id), cast(int, number)

    def device(self, device_id: str, until_us: int) -> str:
        """Return a device code."""
        return self._devices.seal([device_id], until_us, self._series())

    def open_device(self, code: str) -> str:
        """Return the device of a device code. Raises ``NotGood``."""
        [device_id] = self._open(self._devices, code)
        return cast(str, device_id)

    def _open(self, box: Box, text: str) -> list[str | int | list[str]]:
        try:
            return box.open(text, self._now_us(), self._series())
        except Unsealable:
            raise NotGood from None


class Tokens:
    """Answers at ``/portal/token`` and ``/portal/revoke``. ``grants`` are grant types of other rooms."""

    def __init__(
        self,
        issuing: Issuing,
        store: PostgresSignIns,
        sealed: Sealed,
        applying: Applying,
        grants: Mapping[str, Grant],
        now_us: Callable[[], int],
    ) -> None:
        self._issuing = issuing
        self._store = store
        self._sealed = sealed
        self._applying = applying
        self._grants = {CODE: self._code, REFRESH: self._refresh, **grants}
        self._now_us = now_us

    @property
    def grant_types(self) -> tuple[str, ...]:
        """The grant types that are taken."""
        return tuple(self._grants)

    async def token(self, request: Request) -> Response:
        """Answer a token request."""
        form = await token_form(request)
        grant = self._grants.get(form.get("grant_type", ""))
        if grant is None:
            raise OAuthRefused("unsupported_grant_type", f"use one of {', '.join(self._grants)}")
        return JSONResponse((await grant(form)).document(), headers={"pragma": "no-cache"})

    async def revoke(self, request: Request) -> Response:
        """Take back a refresh token, and what comes of it; of what is none, nothing is said (RFC 7009, section 2.2)."""
        form = await token_form(request)
        client_id = self._client(form)
        try:
            grant_id, _ = self._sealed.open_refresh(form.get("token", ""))
            await self._store.end_grant(grant_id, client_id)
        except NotGood:
            pass
        return JSONResponse({})

    def answer(self, granted: Granted, resource: str, number: int) -> TokenAnswer:
        """Return a token for what was granted, with the refresh token of this number."""
        until_us = granted.sign_in.until_us
        token = self._issuing.token(granted.sign_in.person, granted.client_id, resource, until_us)
        refresh = self._sealed.refresh(granted.grant_id, number, until_us)
        return TokenAnswer(token.access_token, token.expires_in_s, refresh)

    async def _code(self, form: Mapping[str, str]) -> TokenAnswer:
        client_id, verifier = self._client(form), form.get("code_verifier", "")
        if not _VERIFIER.fullmatch(verifier):
            raise OAuthRefused("invalid_grant", "the code_verifier is missing or malformed")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        try:
            grant_id = self._sealed.open_code(form.get("code", ""))
            resource = await self._answerable(grant_id, form)
            redirect_uri = form.get("redirect_uri", "")
            granted = await self._store.redeem(grant_id, client_id, redirect_uri, challenge, self._now_us())
        except NotGood:
            raise OAuthRefused("invalid_grant", _NOT_GOOD) from None
        except Replayed as replayed:
            raise await self._taken_back(replayed.granted, "code") from None
        return self.answer(granted, resource, 0)

    async def _refresh(self, form: Mapping[str, str]) -> TokenAnswer:
        client_id = self._client(form)
        try:
            grant_id, number = self._sealed.open_refresh(form.get("refresh_token", ""))
            resource = await self._answerable(grant_id, form)
            granted = await self._store.refresh(grant_id, number, client_id, self._now_us())
        except NotGood:
            raise OAuthRefused("invalid_grant", _NOT_GOOD) from None
        except Replayed as replayed:
            raise await self._taken_back(replayed.granted, "refresh token") from None
        return self.answer(granted, resource, number + 1)

    async def _answerable(self, grant_id: str, form: Mapping[str, str]) -> str:
        """Return for which resource a token is asked. What cannot be answered must not use a code or token up.

        Whoever tried again would be taken for a thief. Raises ``NotGood``, ``OAuthRefused``.
        """
        granted = await self._store.look(grant_id)
        resource = self._issuing.resource_of([form["resource"]] if form.get("resource") else [], granted.resource)
        self._issuing.require_known(granted.sign_in.person)
        return resource

    async def _taken_back(self, granted: Granted, what: str) -> OAuthRefused:
        """Whoever used it again has stolen it, or was stolen from: end the sign-in, tokens that are out included."""
        person = granted.sign_in.person
        log.warning("a %s was used twice: its sign-in is taken back", what)
        revocation = Revocation(
            revocation_id="",
            kind=RevocationKind.SIGN_IN,
            issuer=person.issuer,
            value=person.signed_in,
            reason=f"a {what} of {granted.client_id} was used twice",
            revoked_us=0,
            until_us=granted.sign_in.until_us,
        )
        try:
            await self._applying.apply(Heard("portal", self._issuing.keys.issuer, granted.grant_id, (revocation,)))
        except NotApplied:
            return OAuthRefused("temporarily_unavailable", "it was used before, and cannot be taken back now", 503)
        return OAuthRefused("invalid_grant", _REPLAYED)

    def _client(self, form: Mapping[str, str]) -> str:
        client = client_of(self._issuing.portal, form.get("client_id", ""))
        if client is None:
            raise OAuthRefused("invalid_client", "this program is not known here", 401)
        return client.client_id


async def token_form(request: Request) -> dict[str, str]:
    """Return the fields of a request at an OAuth endpoint, each said once. Raises ``OAuthRefused``."""
    said = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said != _TYPE:
        raise OAuthRefused("invalid_request", f"send it as {_TYPE}")
    if "authorization" in request.headers:
        raise OAuthRefused("invalid_client", "programs have no secret here: send client_id in the form", 401)
    try:
        body = await body_of(request, MOST_BYTES)
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=30)
    except BadBody as error:
        raise OAuthRefused("invalid_request", str(error), error.status) from None
    except ValueError:
        raise OAuthRefused("invalid_request", "the form cannot be read") from None
    found = dict(fields)
    if len(found) != len(fields):
        raise OAuthRefused("invalid_request", "the form says something twice")
    return found
