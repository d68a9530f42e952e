"""The portal's SAML: where browsers are sent to sign in, where answers are posted, and the grant for programs."""

from __future__ import annotations

import functools
import hmac
import logging
from collections.abc import Mapping, Sequence
from typing import cast

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from countersign.config.types_portal import SamlProvider
from countersign.portal.clients import client_of
from countersign.portal.errors import OAuthRefused
from countersign.portal.issuing import TokenAnswer
from countersign.portal.person import Person
from countersign.portal.ports import Grant, Shared
from countersign.portal.saml.asking import Places, metadata, request_url
from countersign.portal.saml.assertion import Asserted, Expected
from countersign.portal.saml.refused import SamlRefused
from countersign.portal.saml.response import issuer_of_grant, of_grant, of_response
from countersign.portal.used import Once
from countersign.runtime import web_cookies
from countersign.runtime.aside import Aside
from countersign.runtime.boxes import Box
from countersign.runtime.forms import BadBody, form_of
from countersign.runtime.postgres import DatabaseUnavailable
from countersign.runtime.sealing import Unsealable

log = logging.getLogger(__name__)

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:saml2-bearer"
"""See RFC 7522, section 2.1."""

_S = 1_000_000
_ATTEMPT_S = 600
_CLOCKS_S = 300
_COOKIE = "countersign-saml"
# 256 KiB in base64, and its "+", "/" and "=" in percent.
_FORM_BYTES = 512 * 1024
_ASIDE_FROM = 32 * 1024
_FAILED = "You are not signed in"
_BEGIN_AGAIN = "This browser did not begin this sign-in, or too long ago: begin again."
_LATER = "The sign-in cannot be kept now: try again."


class Saml:
    """Signs people in at the identity providers under ``portal.saml`` (SAML 2.0 profiles, section 4.1)."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._box = Box(shared.key, "portal saml sign-in")
        self._aside = Aside(from_bytes=_ASIDE_FROM, at_once=2)

    def routes(self) -> Sequence[Route]:
        """See ``Room``."""
        return [
            Route("/portal/saml/{name}/login", self._login, methods=["GET"]),
            Route("/portal/saml/{name}/acs", self._acs, methods=["POST"]),
            Route("/portal/saml/{name}/metadata", self._metadata, methods=["GET"]),
        ]

    def grants(self) -> Mapping[str, Grant]:
        """See ``Room``."""
        return {GRANT_TYPE: self._grant}

    async def close(self) -> None:
        """See ``Room``."""

    async def _login(self, request: Request) -> Response:
        """Send the browser to its provider, and have it keep what the answer must fit."""
        provider = self._named(request)
        if provider is None:
            return self._unknown()
        then = self._shared.desk.then_of(request.query_params.get("then", ""))
        request_id, state = f"_{self._shared.random()}", self._shared.random()
        until_us = self._shared.now_us() + _ATTEMPT_S * _S
        url = request_url(provider, self._places(provider.name), request_id, state, self._shared.now_us() / _S)
        response = RedirectResponse(url, 303)
        sealed = self._box.seal([request_id, state, then, until_us], until_us, provider.name, self._url)
        web_cookies.put(response, self._cookie, sealed, _ATTEMPT_S, posted_from_elsewhere=True)
        return response

    async def _acs(self, request: Request) -> Response:
        """Take the provider's answer, which its page had this browser post here (bindings, section 3.5)."""
        provider = self._named(request)
        if provider is None:
            return self._unknown()
        desk = self._shared.desk
        try:
            request_id, state, then, until_us = cast(
                tuple[str, str, str, int],
                self._box.open(request.cookies.get(self._cookie, ""), self._shared.now_us(), provider.name, self._url),
            )
            form = await form_of(request, _FORM_BYTES)
            if not hmac.compare_digest(form.get("RelayState", "").encode(), state.encode()):
                raise SamlRefused("the answer is to another sign-in than the one that this browser began last")
            places = self._places(provider.name)
            expected = Expected(places.acs, frozenset({places.entity_id}), request_id)
            field, now_s = form.get("SAMLResponse", ""), self._shared.now_us() / _S
            asserted = await self._aside.run(
                len(field), functools.partial(of_response, field, provider, expected, now_s)
            )
            await self._take(Once.SAML_REQUEST, f"{provider.name} {request_id}", until_us)
            response = await self._finish(asserted, then)
        except Unsealable:
            return desk.message(_FAILED, _BEGIN_AGAIN, 400)
        except BadBody as error:
            return desk.message(_FAILED, str(error), error.status)
        except SamlRefused as refused:
            log.warning("a SAML sign-in was refused", extra={"provider": provider.name, "reason": refused.reason})
            return desk.message(_FAILED, f"{refused.reason[:1].upper()}{refused.reason[1:]}.", 403)
        except OAuthRefused as refused:
            return desk.message(_FAILED, refused.description, 503 if refused.status == 503 else 403)
        except DatabaseUnavailable:
            return desk.message(_FAILED, _LATER, 503)
        web_cookies.drop(response, self._cookie)
        return response

    async def _metadata(self, request: Request) -> Response:
        """Tell who we are; anybody may know."""
        provider = self._named(request)
        if provider is None:
            return self._unknown()
        return Response(metadata(self._places(provider.name)), media_type="application/samlmetadata+xml")

    async def _grant(self, form: Mapping[str, str]) -> TokenAnswer:
        """Answer a token request with an assertion (RFC 7522). There is no refresh token: assertions are short.

        Who brings it need not be a program of gateway.yaml (section 2.1): then the token names none.
        """
        issuing, parameter, client_id = self._shared.issuing, form.get("assertion", ""), form.get("client_id", "")
        if client_id and client_of(issuing.portal, client_id) is None:
            raise OAuthRefused("invalid_client", "gateway.yaml has no such program", 401)
        resource = issuing.resource_of([form["resource"]] if form.get("resource") else [])
        endpoint = f"{self._portal}/token"
        expected = Expected(endpoint, frozenset({endpoint, self._portal}), None)
        now_us = self._shared.now_us()
        try:
            issuer = await self._aside.run(len(parameter), functools.partial(issuer_of_grant, parameter))
            provider = next((one for one in issuing.portal.saml if one.entity_id == issuer), None)
            if provider is None:
                raise SamlRefused("its issuer is none of the identity providers in gateway.yaml")
            work = functools.partial(of_grant, parameter, provider, expected, now_us / _S)
            asserted = await self._aside.run(len(parameter), work)
            person = self._person(asserted)
            issuing.require_known(person)
            await self._take_assertion(asserted)
        except SamlRefused as refused:
            log.info("a SAML grant was refused", extra={"reason": refused.reason})
            raise OAuthRefused("invalid_grant", refused.reason) from None
        until_us = now_us + issuing.portal.session_s * _S
        if asserted.session_end_s is not None:
            until_us = min(until_us, int(asserted.session_end_s * _S))
        return issuing.token(person, client_id, resource, until_us)

    async def _finish(self, asserted: Asserted, then: str) -> Response:
        await self._take_assertion(asserted)
        ends_us = None if asserted.session_end_s is None else int(asserted.session_end_s * _S)
        return await self._shared.desk.finish(self._person(asserted), then, ends_us)

    def _person(self, asserted: Asserted) -> Person:
        return Person(
            issuer=asserted.issuer,
            subject=asserted.subject,
            groups=asserted.groups,
            signed_in=asserted.session_index or self._shared.random(),
            at_s=int(asserted.signed_in_s),
            context=asserted.context,
        )

    async def _take_assertion(self, asserted: Asserted) -> None:
        taken = f"{asserted.issuer} {asserted.assertion_id}"
        # It is refused for its age before anybody forgets it, also where replicas' clocks differ.
        await self._take(Once.ASSERTION, taken, int((asserted.good_until_s + _CLOCKS_S) * _S))

    async def _take(self, kind: Once, taken: str, until_us: int) -> None:
        if not await self._shared.used.take(kind, taken, until_us, self._shared.now_us()):
            raise SamlRefused("this was used before: begin again")

    def _named(self, request: Request) -> SamlProvider | None:
        name = request.path_params["name"]
        return next((one for one in self._shared.issuing.portal.saml if one.name == name), None)

    def _unknown(self) -> Response:
        return self._shared.desk.message("Not found", "No identity provider of that name is in gateway.yaml.", 404)

    def _places(self, name: str) -> Places:
        return Places.of(self._portal, name)

    @property
    def _url(self) -> str:
        return self._shared.config().url

    @property
    def _portal(self) -> str:
        return self._shared.issuing.keys.issuer

    @property
    def _cookie(self) -> str:
        return web_cookies.name_of(_COOKIE, self._url)
