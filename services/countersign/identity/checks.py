"""What a token that was signed must also be: an access token, of this time, for this resource."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from countersign.identity.errors import Unidentified
from countersign.identity.jws import Claims, Jws

# RFC 9068 section 2.1, RFC 7519 section 5.1; JWT-SVIDs say JWT or JOSE (SPIFFE JWT-SVID, section 2.3).
_ACCESS = "at+jwt"
_TYPES = frozenset({"", "jwt", "jose", _ACCESS})
_ID_TOKEN_TYPES = frozenset({"", "jwt"})
# Keycloak says in a claim what a token is for.
_OTHER_USES = frozenset({"refresh", "offline", "logout", "serialized-id"})
_OF_ID_TOKENS = ("nonce", "at_hash", "c_hash", "s_hash")
_ENTRA_HOSTS = frozenset({"login.microsoftonline.com", "sts.windows.net", "login.microsoftonline.us"})
_LATEST_S = 253_402_300_799
"""The end of the year 9999."""
_SHOWN = 100
_SHOWN_AT_ONCE = 3


def check_use(jws: Jws, claims: Claims, *, id_tokens: bool) -> None:
    """Refuse what is no access token: ID tokens (unless ``id_tokens``), logout tokens, events, refresh tokens.

    Raises ``Unidentified``.
    """
    if jws.typ not in _TYPES:
        raise Unidentified("the token's type is not that of an access token")
    if "events" in claims or _word(claims, "typ") in _OTHER_USES or _word(claims, "token_use") in _OTHER_USES:
        raise Unidentified("the token is for another use than access")
    if "cnf" in claims:
        # RFC 7800: only whoever proves to have a key may use it, and that cannot be proved here.
        raise Unidentified("the token is bound to a key of its client: ask for one that is a plain bearer token")
    if not id_tokens and _is_id_token(jws, claims):
        raise Unidentified("this is an ID token, made for the client that signed in: send an access token")


def check_id_token(jws: Jws) -> None:
    """Refuse what cannot be an ID token (RFC 8725, section 3.11). Raises ``Unidentified``."""
    if jws.typ not in _ID_TOKEN_TYPES or "events" in jws.unverified:
        raise Unidentified("the token is no ID token")


def check_times(claims: Claims, now_s: float, skew_s: float, ahead_s: float | None = None) -> float:
    """Return when the token ends (``exp``), when it is good at ``now_s``; both in seconds since the epoch.

    It must say since when it is good, by ``nbf`` or ``iat``. Its issuer's clock may differ by ``skew_s``, and be ahead
    by ``ahead_s`` where that is given. Raises ``Unidentified``.
    """
    ahead_s = skew_s if ahead_s is None else ahead_s
    ends_s = _moment(claims, "exp")
    if ends_s is None:
        raise Unidentified("the token lacks the claim exp")
    begins = [moment for moment in (_moment(claims, "nbf"), _moment(claims, "iat")) if moment is not None]
    if not begins:
        raise Unidentified("the token lacks the claim iat")
    if ends_s + skew_s <= now_s:
        raise Unidentified(f"the token expired {_span(now_s - ends_s)} ago")
    if max(begins) - ahead_s > now_s:
        raise Unidentified(f"the token is not valid yet, only in {_span(max(begins) - now_s)}: are the clocks right?")
    return ends_s


def check_audience(claims: Claims, accepted: Sequence[str]) -> None:
    """Refuse a token for others than those of ``accepted`` (RFC 7519, section 4.1.3). Raises ``Unidentified``."""
    said = claims.get("aud")
    if said is None:
        raise Unidentified("the token lacks the claim aud")
    audiences = said if isinstance(said, list) else [said]
    if not audiences or not all(isinstance(each, str) for each in audiences):
        raise Unidentified("the token's audience (aud) is malformed")
    if set(accepted).isdisjoint(audiences):
        listed = ", ".join(map(shown, audiences[:_SHOWN_AT_ONCE])) + (" ..." if len(audiences) > _SHOWN_AT_ONCE else "")
        resource = f"this resource is {shown(accepted[0])}"
        # The record counts attempts by their reasons: whoever can have tokens made for any audience must not fill it.
        recorded = f"the token is for another audience; {resource}"
        raise Unidentified(f"the token's audience is {listed}; {resource}", recorded=recorded)


def shown(text: str) -> str:
    """Return a text of a token as it may stand in an answer and its headers: short, plain, without quotation marks."""
    cut = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in cut)


def _is_id_token(jws: Jws, claims: Claims) -> bool:
    if jws.typ == _ACCESS:
        return False
    if _word(claims, "token_use") == "id" or _word(claims, "typ") == "id":
        return True
    if any(name in claims for name in _OF_ID_TOKENS):
        return True
    # Entra ID's access tokens name the application that asked; its ID tokens do not.
    issuer = claims.get("iss")
    entra = isinstance(issuer, str) and urlsplit(issuer).hostname in _ENTRA_HOSTS
    return entra and "appid" not in claims and "azp" not in claims


def _word(claims: Claims, name: str) -> str:
    found = claims.get(name)
    return found.lower() if isinstance(found, str) else ""


def _moment(claims: Claims, name: str) -> float | None:
    if name not in claims:
        return None
    found = claims[name]
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found <= _LATEST_S:
        raise Unidentified(f"the token's {name} is no time")
    return float(found)


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if whole >= 2 * size:
            return f"{whole // size} {unit}"
    return f"{whole} s"
