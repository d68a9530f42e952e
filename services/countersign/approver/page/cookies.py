"""What a browser keeps for us: who is signed in, and a sign-in that is under way. Sealed, for minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import cast

from countersign.config.types import SignInClient
from countersign.model.principal import Principal
from countersign.runtime import web_cookies
from countersign.runtime.boxes import Box, Entry
from countersign.runtime.sealing import Unsealable

SESSION_S = 15 * 60
ATTEMPT_S = 10 * 60
_S = 1_000_000
# RFC 6265, section 6.1: browsers keep 4,096 bytes of a cookie with its name and attributes.
_MOST_BYTES = 3_800


class TooManyGroups(Exception):
    """Somebody's groups do not fit into a cookie."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A sign-in under way in one browser, and where it goes on afterwards: to an approval, by a link, or neither."""

    state: str
    nonce: str
    verifier: str
    approval_id: str
    link: str


@dataclass(frozen=True, slots=True)
class Session:
    """Who is signed in, until when (microseconds); ``csrf`` is what this browser's forms must bring."""

    principal: Principal
    csrf: str
    until_us: int


class Cookies:
    """Seals and opens the cookies of one deployment. They are bound to the gateway's URL, the issuer and the client."""

    def __init__(self, key: bytes) -> None:
        self._sessions = Box(key, "approvals page session")
        self._attempts = Box(key, "approvals page sign-in")

    def seal_session(self, session: Session, url: str, sign_in: SignInClient, groups: frozenset[str]) -> str:
        """Return the cookie; with those of ``groups`` only that a rule may name, when all do not fit.

        Raises ``TooManyGroups``.
        """
        who = session.principal
        for kept in (who.groups, tuple(group for group in who.groups if group in groups)):
            entries: list[Entry] = [
                session.csrf,
                session.until_us,
                json.dumps(replace(who, groups=tuple(kept)).listed()),
            ]
            sealed = self._sessions.seal(entries, session.until_us, url, sign_in.issuer, sign_in.client_id)
            if len(sealed) <= _MOST_BYTES:
                return sealed
        raise TooManyGroups

    def open_session(self, sealed: str, url: str, sign_in: SignInClient, now_us: int) -> Session | None:
        """Return who is signed in; ``None`` when nobody is."""
        try:
            entries = self._sessions.open(sealed, now_us, url, sign_in.issuer, sign_in.client_id)
        except Unsealable:
            return None
        csrf, until_us, listed = entries
        principal = Principal.of_listed(json.loads(cast(str, listed)))
        return Session(principal, cast(str, csrf), cast(int, until_us))

    def seal_attempt(self, attempt: Attempt, url: str, sign_in: SignInClient, now_us: int) -> str:
        """Return the cookie of a sign-in, good for ten minutes."""
        entries: list[Entry] = [attempt.state, attempt.nonce, attempt.verifier, attempt.approval_id, attempt.link]
        return self._attempts.seal(entries, now_us + ATTEMPT_S * _S, url, sign_in.issuer, sign_in.client_id)

    def open_attempt(self, sealed: str, url: str, sign_in: SignInClient, now_us: int) -> Attempt | None:
        """Return the sign-in that this browser began; ``None`` when it began none."""
        try:
            entries = self._attempts.open(sealed, now_us, url, sign_in.issuer, sign_in.client_id)
        except Unsealable:
            return None
        return Attempt(*cast(list[str], entries))


def session_name(url: str) -> str:
    """Return the name of the session's cookie."""
    return web_cookies.name_of("countersign-session", url)


def attempt_name(url: str) -> str:
    """Return the name of the cookie of a sign-in under way."""
    return web_cookies.name_of("countersign-sign-in", url)
