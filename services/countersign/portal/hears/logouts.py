"""Logout tokens: what a logout at an issuer revokes here (OpenID Connect Back-Channel Logout 1.0). Pure."""

from __future__ import annotations

from countersign.config.types_portal import LogoutSource
from countersign.model.revocation import Revocation, RevocationKind
from countersign.portal.hears import claims as said
from countersign.portal.hears.claims import Claims
from countersign.portal.hears.told import Err, Heard, NotTaken, unnumbered

SOURCE = "backchannel-logout"
REASON = "logged out at the issuer"
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
# Section 2.4 recommends `logout+jwt`; issuers that came before it say `JWT` or nothing, and are told from ID tokens by
# `events` and the missing nonce.
_TYPES = ("logout+jwt", "jwt", "")


def read_logout(typ: str, claims: Claims, source: LogoutSource, *, skew_s: int, now_s: float) -> Heard:
    """Return what a logout token of ``source`` revokes, its signature being verified (section 2.6).

    With a ``sid`` that sign-in ends; without one, or ``everywhere``, all of the subject's tokens that were issued until
    then. ``typ`` is its header's, ``skew_s`` by how much the issuer's clock may differ from ours. Raises ``NotTaken``.
    """
    said.check_type(typ, _TYPES)
    said.check_audience(claims, (source.client_id,), alone=True)
    told_s = said.issued_s(claims, now_s)
    said.check_expiry(claims, now_s, required=True)
    told_id = said.text(claims, "jti")
    said.member(said.member(claims, "events"), LOGOUT_EVENT, what="`events`")
    if "nonce" in claims:
        raise NotTaken(Err.REQUEST, "a logout token has no nonce: this is another token")
    sign_in, subject = said.optional_text(claims, "sid"), said.optional_text(claims, "sub")
    ended: list[Revocation] = []
    if sign_in:
        ended.append(unnumbered(RevocationKind.SIGN_IN, source.issuer, sign_in, REASON))
    if subject and (source.everywhere or not sign_in):
        before_s = said.issued_before_s(told_s, now_s, skew_s)
        ended.append(unnumbered(RevocationKind.PRINCIPAL, source.issuer, subject, REASON, issued_before_s=before_s))
    if not ended:
        raise NotTaken(Err.REQUEST, "the token names neither a `sid` nor a `sub`")
    return Heard(SOURCE, source.issuer, told_id, tuple(ended))
