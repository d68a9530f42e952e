"""Sessions of legacy callers at the door: sealed into the id that they hold, so another hub can go on with them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from countersign.hub.peers import OUR_INFO, Owner, Owners
from countersign.hub.wording import text_at
from countersign.jsontext import Document, JsonValue, value_at, value_span
from countersign.mcp.eras import LEGACY_VERSIONS
from countersign.model.door import HUB_NAME
from countersign.model.principal import Principal
from countersign.runtime.sealing import SealedSession, Sealer, Unsealable

_MOST_CAPABILITIES = 300
_MOST_INFO = 120
_ASKABLE = ("sampling", "elicitation", "roots")
"""Capabilities of clients by which targets may ask them something."""


class NoSession(Exception):
    """Not a session of this caller, or one that is over."""


@dataclass(frozen=True, slots=True)
class Sessions:
    """Begins sessions, and finds who has one. What is remembered of one is only what can be had again."""

    sealer: Sealer
    owners: Owners
    new_id: Callable[[], str]

    def begin(self, principal: Principal, document: Document) -> tuple[str, Owner]:
        """Begin one by an ``initialize``; return its id, and whose sessions with targets it has."""
        offered = text_at(document.root, ("params", "protocolVersion"))
        version = offered if offered in LEGACY_VERSIONS else LEGACY_VERSIONS[-1]
        capabilities = _capabilities(document)
        info = _text_of(document, ("params", "clientInfo"), _MOST_INFO) or OUR_INFO
        key = self.new_id()
        told = json.dumps([version, capabilities, info])
        sealed = self.sealer.seal_session(principal, HUB_NAME, SealedSession(told, key))
        return sealed, self.owners.of(principal, key, lambda: Owner(key, version, capabilities, info))

    def find(self, principal: Principal, session_id: str) -> Owner:
        """Return whose it is. Raises ``NoSession``."""
        try:
            opened = self.sealer.open_session(principal, HUB_NAME, session_id)
        except Unsealable:
            raise NoSession from None
        version, capabilities, info = json.loads(opened.target_session)
        key = opened.session_id
        found = self.owners.of(principal, key, lambda: Owner(key, version, capabilities, info))
        if found.ended:
            raise NoSession
        return found

    def of_modern(self, principal: Principal) -> Owner:
        """Return whose sessions with legacy targets a modern caller has: all calls with one token share them."""
        key = json.dumps([principal.issuer, principal.subject, principal.token_id])
        return self.owners.of(principal, key, lambda: Owner(key))


def _capabilities(document: Document) -> str:
    """Return the JSON text of those by which targets may ask a client; where that is long, of their names alone."""
    said = value_at(document.root, ("params", "capabilities"))
    named = [key for key in _ASKABLE if isinstance(said, dict) and isinstance(said.get(key), dict)]
    texts = {key: _text_of(document, ("params", "capabilities", key), _MOST_CAPABILITIES) or "{}" for key in named}
    members = [f'"{key}":{text}' for key, text in texts.items()]
    text = f"{{{','.join(members)}}}"
    return text if len(text) <= _MOST_CAPABILITIES else json.dumps({key: {} for key in named})


def _text_of(document: Document, path: tuple[str, ...], most: int) -> str:
    value: JsonValue = value_at(document.root, path)
    span = value_span(document, path)
    text = "" if span is None or not isinstance(value, dict) else document.text[slice(*span)]
    return text if len(text) <= most and text.isascii() else ""
