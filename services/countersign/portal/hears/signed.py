"""Signatures of what was told, verified with the keys of who is said to have told it."""

from __future__ import annotations

from typing import Protocol

from jwt import PyJWK

from countersign.identity.errors import Unidentified
from countersign.identity.jws import Jws, read_jws
from countersign.portal.hears.claims import Claims
from countersign.portal.hears.told import Err, NotTaken


class Keys(Protocol):
    """The public keys of one teller: ``identity.keys.IssuerKeys``, and what tests put in its place."""

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key of this id, ``None`` when there is none.

        Raises ``IdentityUnavailable`` when none can be had, and ``Unidentified`` for one that is too weak.
        """


def opened(token: bytes) -> tuple[Jws, str]:
    """Return a token that nobody verified yet, and who issued it if it says so truly. Raises ``NotTaken``."""
    try:
        jws = read_jws(token.decode("ascii"))
    except UnicodeDecodeError:
        raise NotTaken(Err.REQUEST, "the token is not a signed JWT") from None
    except Unidentified as error:
        raise NotTaken(Err.REQUEST, error.description) from None
    issuer = jws.unverified.get("iss")
    if not isinstance(issuer, str):
        raise NotTaken(Err.ISSUER, "the token lacks `iss`")
    return jws, issuer


async def verified(jws: Jws, keys: Keys) -> Claims:
    """Return what ``jws`` claims, signed with one of ``keys``.

    Raises ``NotTaken``, and ``IdentityUnavailable`` when the keys cannot be had now.
    """
    try:
        key = await keys.find(jws.key_id)
        if key is not None:
            return jws.signed_by(key)
    except Unidentified as error:
        raise NotTaken(Err.KEY, error.description) from None
    raise NotTaken(Err.KEY, "the token is signed with a key that its issuer does not publish")
