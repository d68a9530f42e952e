"""What was taken back: a principal, a token, a sign-in, a session, or all of an issuer before a time. Pure."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from countersign.model.principal import Principal

_JWT_DOTS = 2
_HEADER_START = 64
"""Characters of a header that tell that it is an object."""


class RevocationKind(StrEnum):
    """What a revocation names."""

    PRINCIPAL = "principal"
    """A subject of an issuer: whoever calls as it, or has it act for somebody."""
    TOKEN = "token"  # noqa: S105 - a kind, no token
    """One token of an issuer, by its id (``jti``, or the digest that the record shows)."""
    SIGN_IN = "sign_in"
    """All tokens of one sign-in at an issuer (``sid``)."""
    SESSION = "session"
    """One recorded session; it has no issuer."""
    ISSUER = "issuer"
    """Everybody of an issuer."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """One thing that is taken back, until it is lifted or lapses.

    ``value`` is the subject, token id, sign-in or session; empty for an issuer. ``issued_before_s`` (seconds since the
    epoch) spares tokens that were issued at that time or later; ``None`` spares none, and a token that does not say
    when it was issued is never spared. ``until_us`` is when it lapses; 0 is never. Times in ``_us`` are microseconds
    since the epoch.
    """

    revocation_id: str
    kind: RevocationKind
    issuer: str
    value: str
    reason: str
    revoked_us: int
    issued_before_s: int | None = None
    until_us: int = 0

    def strikes(self, principal: Principal) -> bool:
        """Whether it takes ``principal`` back, as far as time of issue tells: its name is looked at elsewhere."""
        return self.issued_before_s is None or principal.issued_s < self.issued_before_s


def looks_like_a_token(text: str) -> bool:
    """Whether a text that should name something is a JWT (RFC 7519) itself, which nobody may be shown.

    That is: it begins with a header, a JSON object in base64url. Whose address is eyal@acme.example.com is no token.
    """
    header, *others = text.strip().split(".")
    if len(others) < _JWT_DOTS:
        return False
    header = header.rstrip("=")[:_HEADER_START]
    try:
        start = base64.urlsafe_b64decode(header[: len(header) // 4 * 4]).lstrip(b" \t\r\n")
    except ValueError:
        return False
    return start.startswith(b"{") and start[1:].lstrip(b" \t\r\n").startswith(b'"')


# By the kind's value: Python computes the hash of a member of an enum anew each time, and each call asks.
_Key = tuple[str, str, str]
_PRINCIPAL, _TOKEN, _SIGN_IN, _SESSION, _ISSUER = (
    kind.value
    for kind in (
        RevocationKind.PRINCIPAL,
        RevocationKind.TOKEN,
        RevocationKind.SIGN_IN,
        RevocationKind.SESSION,
        RevocationKind.ISSUER,
    )
)


class RevocationList:
    """All revocations in force, to be asked about on every call."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._by_id: dict[str, Revocation] = {}
        self._by_key: dict[_Key, dict[str, Revocation]] = {}
        for revocation in revocations:
            self.put(revocation)

    def __len__(self) -> int:
        return len(self._by_id)

    def put(self, revocation: Revocation) -> None:
        """Take in one, in place of what was known under its id."""
        self.drop(revocation.revocation_id)
        self._by_id[revocation.revocation_id] = revocation
        self._by_key.setdefault(_key(revocation), {})[revocation.revocation_id] = revocation

    def drop(self, revocation_id: str) -> None:
        """Forget one that was lifted or lapsed; nothing when it is not known."""
        known = self._by_id.pop(revocation_id, None)
        if known is not None:
            same = self._by_key[_key(known)]
            del same[revocation_id]
            if not same:
                del self._by_key[_key(known)]

    def of_principal(self, principal: Principal, now_us: int) -> Revocation | None:
        """Return what takes this principal back now, whoever acts for it, the newest first; ``None``: nothing does."""
        known = self._by_key
        if not known:
            return None
        issuer = principal.issuer
        keys: list[_Key] = [
            (_PRINCIPAL, issuer, principal.subject),
            (_TOKEN, issuer, principal.token_id),
            (_ISSUER, issuer, ""),
        ]
        if principal.token_subject:
            keys.append((_PRINCIPAL, issuer, principal.token_subject))
        if principal.signed_in:
            keys.append((_SIGN_IN, issuer, principal.signed_in))
        keys.extend((_PRINCIPAL, issuer, actor) for actor in principal.actors)
        newest: Revocation | None = None
        for key in keys:
            if key in known:
                for one in known[key].values():
                    later = newest is None or one.revoked_us > newest.revoked_us
                    if later and _in_force(one, now_us) and one.strikes(principal):
                        newest = one
        return newest

    def of_session(self, session_id: str, now_us: int) -> Revocation | None:
        """Return what takes this recorded session back now; ``None`` when nothing does."""
        found = self._by_key.get((_SESSION, "", session_id), {}).values()
        return next((one for one in found if _in_force(one, now_us)), None)


def _key(revocation: Revocation) -> _Key:
    return revocation.kind.value, revocation.issuer, revocation.value


def _in_force(revocation: Revocation, now_us: int) -> bool:
    return not revocation.until_us or now_us < revocation.until_us
