"""What issuers tell, signed and forged: logout tokens and security event tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping

import jwt
from jwt import PyJWK

from countersign.demo.issuer import SigningKey
from countersign.portal.hears.logouts import LOGOUT_EVENT

ISSUER = "https://login.example"
CLIENT = "countersign"
TRANSMITTER = "https://signals.example"
AUDIENCE = "https://gateway.example/portal/signals"
NOW_S = 1_800_000_000.5
CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"
ANNA: Mapping[str, object] = {"format": "iss_sub", "iss": ISSUER, "sub": "anna"}


def logout_claims(**changed: object) -> dict[str, object]:
    """Claims of a good logout token; one that is changed to ``...`` is left out."""
    claims: dict[str, object] = {
        "iss": ISSUER,
        "aud": CLIENT,
        "iat": int(NOW_S),
        "exp": int(NOW_S) + 120,
        "jti": "telling-1",
        "sub": "anna",
        "sid": "sign-in-1",
        "events": {LOGOUT_EVENT: {}},
    }
    return without_dots({**claims, **changed})


def signal_claims(
    event: str, *, about: object = ANNA, says: Mapping[str, object] | None = None, **changed: object
) -> dict[str, object]:
    """Claims of a good security event token that tells of one event."""
    claims: dict[str, object] = {
        "iss": TRANSMITTER,
        "aud": AUDIENCE,
        "iat": int(NOW_S),
        "jti": "telling-1",
        "sub_id": about,
        "events": {event: dict(says or {})},
    }
    return without_dots({**claims, **changed})


def without_dots(claims: Mapping[str, object]) -> dict[str, object]:
    """Return claims but those that are ``...``."""
    return {name: value for name, value in claims.items() if value is not ...}


def signed(claims: Mapping[str, object], key: SigningKey, typ: str | None = None, **header: object) -> str:
    """Return a token of these claims; members of the ``header`` that are ``...`` are left out."""
    head = without_dots({"kid": key.kid, "typ": typ, **header})
    return jwt.encode(dict(claims), key.private, algorithm=key.algorithm, headers=head)


def assembled(header: Mapping[str, object] | str, claims: Mapping[str, object] | str, signature: bytes = b"x") -> bytes:
    """Return what looks like a token; texts go as they are."""
    texts = [part if isinstance(part, str) else json.dumps(part) for part in (header, claims)]
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (*(t.encode() for t in texts), signature))


class KeysOf:
    """The public halves of ``keys``; ``asked`` counts."""

    def __init__(self, *keys: SigningKey) -> None:
        self._keys = {key.kid: PyJWK(key.public_jwk()) for key in keys}
        self.asked = 0

    async def find(self, key_id: str | None) -> PyJWK | None:
        """Return the key of this id."""
        self.asked += 1
        return self._keys.get(key_id) if key_id is not None else None
