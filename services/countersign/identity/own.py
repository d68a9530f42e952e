"""The gateway's own tokens, which its portal issues to people who signed in there (RFC 9068).

One person is one principal: such a token says where the person signed in (``idp``) and as whom (``sub``), and stands
for the same principal as a token of that issuer does. Else somebody could agree to their own call.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from jwt import PyJWK

from countersign.identity.claims import ClaimPath, actors_of, groups_of, is_name, text_of
from countersign.identity.errors import Unidentified
from countersign.identity.jws import Claims, Jws
from countersign.identity.trust import issued_s, token_id
from countersign.model.principal import Principal, PrincipalKind

TYPE = "at+jwt"
_GROUPS = ClaimPath("groups")


class OwnKeys(Protocol):
    """The keys of the gateway's own portal, which is ``issuer``; see ``identity.portal_keys.PortalKeys``."""

    issuer: str

    def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key with this id when tokens signed by it are taken now."""


class OwnTrust:
    """What is taken of the portal: people who signed in at one of ``sign_ins`` (issuers, SAML entity ids).

    ``reserved`` are the names of machines, which nobody else may have.
    """

    def __init__(self, keys: OwnKeys, sign_ins: Collection[str], reserved: frozenset[str]) -> None:
        self._own = keys
        self.keys = _Keys(keys)
        self._sign_ins = frozenset(sign_ins)
        self._reserved = reserved

    def principal(self, jws: Jws, claims: Claims) -> Principal:
        """Return whom these claims name; they were signed, and looked at otherwise. Raises ``Unidentified``."""
        if jws.typ != TYPE:
            raise Unidentified("the token's type is not that of an access token")
        where, subject = claims.get("idp"), claims.get("sub")
        if not isinstance(where, str) or where not in self._sign_ins:
            raise Unidentified("the token's owner signed in where nobody signs in any more")
        if not is_name(subject) or subject in self._reserved:
            raise Unidentified("the token's subject is missing, too long, or the name of a machine")
        actors = actors_of(claims, where)
        return Principal(
            issuer=where,
            subject=subject,
            groups=groups_of(claims, _GROUPS),
            kind=PrincipalKind.AGENT if actors else PrincipalKind.PERSON,
            token_id=token_id(jws, claims),
            actors=actors,
            issued_s=_began_s(claims),
            signed_in=text_of(claims, "sid"),
            token_subject=text_of(claims, "idp_sub"),
        )


def _began_s(claims: Claims) -> int:
    """Return when the token was issued, or the person signed in: what strikes an old sign-in strikes its new tokens.

    The portal may have issued one before it heard of the revocation.
    """
    at_s = claims.get("auth_time")
    signed_in_s = int(at_s) if isinstance(at_s, int | float) and not isinstance(at_s, bool) else 0
    return min(issued_s(claims), signed_in_s)


class _Keys:
    def __init__(self, keys: OwnKeys) -> None:
        self._keys = keys

    async def find(self, key_id: str | None) -> PyJWK | None:
        return self._keys.find(key_id)

    def trusts(self, key: PyJWK) -> bool:
        key_id = key.key_id
        found = self._keys.find(key_id) if isinstance(key_id, str) else None
        return found is not None and found.key == key.key

    def refresh_soon(self) -> None:
        """Nothing is fetched."""
