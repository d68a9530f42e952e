"""Signed SAML responses, changed: they name whom the provider named, or nobody."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from countersign.portal.saml.assertion import Expected
from countersign.portal.saml.refused import SamlRefused
from countersign.portal.saml.response import of_response
from tests.support.saml_documents import ACS, AUDIENCE, NOW_S, REQUEST_ID, Signer, Told, posted

_EXPECTED = Expected(ACS, frozenset({AUDIENCE}), REQUEST_ID)


@functools.cache
def _signer() -> Signer:
    return Signer.made()


@functools.cache
def seeds() -> Sequence[bytes]:
    """Return responses that are signed in each way, and one that is not."""
    ways = ((True, False), (False, True), (True, True))
    return [*(Told().signed(_signer(), assertion=one, response=whole) for one, whole in ways), Told().response()]


def sign_in(data: bytes) -> None:
    """Whatever is sent, it is refused, or it says of the person what was signed; no other error escapes."""
    provider = _signer().provider()
    try:
        got = of_response(posted(data), provider, _EXPECTED, NOW_S)
    except SamlRefused:
        return
    assert (got.subject, got.groups, got.session_index) == (
        "alice@example.com",
        ("engineering", "on-call"),
        "_session1",
    )
