"""Judges documents as the portal would."""

from __future__ import annotations

from countersign.config.types_portal import SamlProvider
from countersign.portal.saml.assertion import Asserted, Expected
from countersign.portal.saml.response import of_grant, of_response
from tests.support.saml_documents import ACS, AUDIENCE, NOW_S, PORTAL, REQUEST_ID, TOKEN_URL, Signer, granted, posted

EXPECTED = Expected(ACS, frozenset({AUDIENCE}), REQUEST_ID)
OF_GRANT = Expected(TOKEN_URL, frozenset({TOKEN_URL, PORTAL}), None)


def judged(document: bytes, signer: Signer, *, now_s: float = NOW_S, provider: SamlProvider | None = None) -> Asserted:
    provider = provider or signer.provider()
    return of_response(posted(document), provider, EXPECTED, now_s)


def judged_grant(document: bytes, signer: Signer, *, now_s: float = NOW_S) -> Asserted:
    provider = signer.provider()
    return of_grant(granted(document), provider, OF_GRANT, now_s)
