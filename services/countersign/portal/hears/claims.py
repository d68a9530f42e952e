"""Claims of what was told, looked at one by one. Pure: claims in, values out, or ``NotTaken``."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from countersign.portal.hears.told import Err, NotTaken

Claims = Mapping[str, object]
"""A JSON object as it was read: each member once, numbers finite."""

MAX_TEXT = 512
OLDEST_S = 7 * 86_400
"""What was told longer ago is not taken: that it was told before is remembered for longer than this."""
AHEAD_S = 60
"""How far a sender's clock may be ahead of ours."""


def text(claims: Claims, name: str, *, what: str = "the token") -> str:
    """Return a claim that must be a text of 1 to 512 characters, all of them printable."""
    value = claims.get(name)
    if value is None:
        raise NotTaken(Err.REQUEST, f"{what} lacks `{name}`")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise NotTaken(Err.REQUEST, f"`{name}` of {what} must be a printable text of at most {MAX_TEXT} characters")
    return value


def optional_text(claims: Claims, name: str, *, what: str = "the token") -> str:
    """Return such a claim, or an empty text when there is none. One that is ``null`` is none."""
    return text(claims, name, what=what) if claims.get(name) is not None else ""


def member(claims: Claims, name: str, *, what: str = "the token") -> Claims:
    """Return a claim that must be an object."""
    value = claims.get(name)
    if not isinstance(value, dict):
        raise NotTaken(Err.REQUEST, f"`{name}` of {what} must be an object")
    return value


def issued_s(claims: Claims, now_s: float) -> int:
    """Return when it was told (``iat``): not in the future, and at most a week ago."""
    told_s = _seconds(claims, "iat")
    if told_s is None:
        raise NotTaken(Err.REQUEST, "the token lacks `iat`")
    if told_s > now_s + AHEAD_S:
        raise NotTaken(Err.REQUEST, "the token was issued in the future: compare clocks")
    if told_s < now_s - OLDEST_S:
        raise NotTaken(Err.REQUEST, f"the token was issued more than {OLDEST_S // 86_400} days ago")
    return told_s


def issued_before_s(told_s: int, now_s: float, skew_s: int) -> int:
    """Return from when tokens are good again, for what ended all that were issued until it was told.

    Times of issue are whole seconds: a token of that very second may be one that is to end. They are the issuer's, and
    for the portal's own tokens ours: the later counts, as far as clocks may differ (``skew_s``).
    """
    return min(max(told_s, int(now_s)), told_s + skew_s) + 1


def check_expiry(claims: Claims, now_s: float, *, required: bool) -> None:
    """Refuse what has expired, and where an expiry is ``required`` what has none."""
    until_s = _seconds(claims, "exp")
    if until_s is None:
        if required:
            raise NotTaken(Err.REQUEST, "the token lacks `exp`")
    elif until_s + AHEAD_S <= now_s:
        raise NotTaken(Err.REQUEST, "the token has expired")


def check_audience(claims: Claims, accepted: Collection[str], *, alone: bool) -> None:
    """Refuse what is not for any of ``accepted``; with ``alone``, also what is for anybody else as well."""
    said = claims.get("aud")
    listed = [said] if isinstance(said, str) else said
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise NotTaken(Err.AUDIENCE, "`aud` of the token must be a text or a list of texts")
    if not any(one in accepted for one in listed):
        raise NotTaken(Err.AUDIENCE, "the token is for another audience than gateway.yaml says")
    if alone and not all(one in accepted for one in listed):
        raise NotTaken(Err.AUDIENCE, "the token is for others as well")


def check_type(said: str, accepted: Collection[str]) -> None:
    """Refuse a header's ``typ`` but ``accepted``; its case and prefix do not count (RFC 7515, section 4.1.9)."""
    if said.lower().removeprefix("application/") not in accepted:
        raise NotTaken(Err.REQUEST, "`typ` of the token says that it is for something else")


def _seconds(claims: Claims, name: str) -> int | None:
    """Return a NumericDate (RFC 7519, section 2), without its fraction."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise NotTaken(Err.REQUEST, f"`{name}` of the token must be a time in seconds since 1970")
    return int(value)
