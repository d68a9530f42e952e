"""The leaves of the log as an auditor reads them: each is one event, as canonical JSON without its body."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid5

from countersign.audit.canonical import MAX_INTEGER, decode
from countersign.audit.errors import Malformed
from countersign.model.continuation import next_session
from countersign.model.event import EventKind
from countersign.tlog import HASH_BYTES, MAX_ENTRY_BYTES, leaf_hash

SALT_BYTES: Final = 32

_HEX: Final = frozenset("0123456789abcdef")
# Of one length: it takes no longer for what does not match.
_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SEAL_KEYS: Final = {"event_count", "root", "unanswered_count"}


@dataclass(frozen=True, slots=True)
class Seal:
    """What a session was when it was closed; see ``Seal`` in event.proto."""

    event_count: int
    root: bytes
    unanswered_count: int


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is checked of a leaf. ``kind`` may be one that this version does not know.

    ``commitment`` is SHA-256(salt || body), None where there is no body; ``recorded_us`` is None in leaves that were
    recorded before bodies were committed to.
    """

    hash: bytes
    event_id: str
    session_id: str
    kind: str
    time_us: int
    method: str
    continues: str
    recorded_us: int | None
    commitment: bytes | None
    seal: Seal | None


def commitment_of(salt: bytes, body: bytes) -> bytes:
    """Return what a leaf says of its body: SHA-256(salt || body)."""
    digest = sha256(salt)
    digest.update(body)
    return digest.digest()


def seal_event_id(session_id: str) -> str:
    """Return the event id of a session's seal: there is one seal a session."""
    return str(uuid5(UUID(session_id), "seal"))


def read_leaf(content: bytes) -> Leaf:
    """Read a leaf. Raises ``Malformed`` if it is not canonical JSON of an event."""
    if len(content) > MAX_ENTRY_BYTES:
        raise Malformed(f"longer than {MAX_ENTRY_BYTES} bytes")
    fact = decode(content)
    if not isinstance(fact, dict):
        raise Malformed("no object")
    kind = _text(fact, "kind")
    if not kind:
        raise Malformed("kind is missing")
    if (kind == EventKind.SEAL) != ("seal" in fact):
        raise Malformed("a seal is in a leaf of kind seal, and nowhere else")
    session_id = checked_uuid(_text(fact, "session_id"), "session_id")
    return Leaf(
        hash=leaf_hash(content),
        event_id=checked_uuid(_text(fact, "event_id"), "event_id"),
        session_id=session_id,
        kind=kind,
        time_us=_count(fact, "time_us"),
        method=_text(fact, "method"),
        continues=_continues(_text(fact, "continues"), session_id) if "continues" in fact else "",
        recorded_us=_count(fact, "recorded_us") if "recorded_us" in fact else None,
        commitment=_hash(fact, "commitment") if "commitment" in fact else None,
        seal=_seal(fact["seal"]) if "seal" in fact else None,
    )


def checked_uuid(text: str, what: str) -> str:
    """Return a UUID in the one way of writing it. Raises ``Malformed``."""
    if _UUID.fullmatch(text) is None:
        raise Malformed(f"{what} is not a UUID (lower case, with hyphens)")
    return text


def _continues(before: str, session_id: str) -> str:
    if str(next_session(UUID(checked_uuid(before, "continues")))) != session_id:
        raise Malformed("continues names a session that goes on in another one")
    return before


def _seal(fact: Any) -> Seal:
    if not isinstance(fact, dict) or fact.keys() != _SEAL_KEYS:
        raise Malformed("a seal holds event_count, root and unanswered_count")
    return Seal(_count(fact, "event_count"), _hash(fact, "root"), _count(fact, "unanswered_count"))


def _text(fact: dict[str, Any], key: str) -> str:
    value = fact.get(key, "")
    if not isinstance(value, str):
        raise Malformed(f"{key} is no text")
    return value


def _count(fact: dict[str, Any], key: str) -> int:
    value = fact.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise Malformed(f"{key} is missing, or no number from 0")
    return value


def _hash(fact: dict[str, Any], key: str) -> bytes:
    value = _text(fact, key)
    if len(value) != 2 * HASH_BYTES or not _HEX.issuperset(value):
        raise Malformed(f"{key} is not a SHA-256 in lower-case hexadecimal digits")
    return bytes.fromhex(value)
