"""Random values that stand near a telling word without an assignment: ``acme SECRET 1234...``, ``acme-key-1234...``."""

from __future__ import annotations

import re

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_placeholder, is_random

_GATES = (b"secret", b"private", b"access", b"key", b"token", b"pass", b"api", b"credential")
_RUN = Pattern(r"[A-Za-z0-9_.~+/%=-]{16,}")
_LOOK_BACK_BYTES = 64
_SHORTEST = 12
_LONGEST_RUN_LOOKED_INTO = 160

_WORD = rb"(?:secrets?|private|access|api|keys?|tokens?|tkn|pat|password|credentials?)"
# A telling word, at most the rest of its own word, and at most two more words; no punctuation of sentences or values.
_BEFORE = re.compile(
    rb"(?:^|[^a-z])?" + _WORD + rb"([a-z]{0,12}(?:[ \t\n_.:=>-]{1,8}[a-z]{1,12}){0,2})[ \t\n_.:=>-]{1,8}$"
)
_INSIDE = re.compile(_WORD + rb"(?:[_.=-]*(?:key|token|secret|id))*(?=[_.=-])")
_SAYS_OTHERWISE = re.compile(
    rb"(?<![a-z])(?:ids?|uuid|guid|sha\d*|hash|digest|commit|etag|version|name|fingerprint|checksum|revision|ref|count|type"
    rb"|public|primary|foreign|cache|request|trace|span|session|build|image|log|page|next|cursor|file|path|url|uri|host|md5)"
    rb"(?![a-z])"
)


def find(data: bytes, lower: bytes) -> list[Hit]:
    """Where such values stand; ``lower`` is ``data`` in lower case."""
    if not any(gate in lower for gate in _GATES):
        return []
    found: list[Hit] = []
    for start, end in _RUN.spans(data):
        while end > start and data[end - 1] in b".-_/%~":
            end -= 1
        value_start = _value_start(lower, start, end)
        if value_start is not None:
            value = data[value_start:end].decode()
            if is_random(value) and not is_placeholder(value):
                found.append(Hit(value_start, end, "a random value near a word for credentials"))
    return found


def _value_start(lower: bytes, start: int, end: int) -> int | None:
    """Where the value begins of a run that stands behind a telling word, or holds one; ``None`` for all others."""
    inside = _INSIDE.search(lower, start, min(end, start + _LONGEST_RUN_LOOKED_INTO))
    if inside is not None:
        return inside.end() if end - inside.end() > _SHORTEST and not _says_otherwise(lower, inside.start()) else None
    before = _BEFORE.search(lower[max(start - _LOOK_BACK_BYTES, 0) : start])
    if before is None or _SAYS_OTHERWISE.search(before[1]) is not None:
        return None
    word_at = max(start - _LOOK_BACK_BYTES, 0) + before.start()
    return None if _says_otherwise(lower, word_at) else start


def _says_otherwise(lower: bytes, word_at: int) -> bool:
    """Whether the word before the telling one makes it another thing: ``public key``."""
    return _SAYS_OTHERWISE.search(lower[max(word_at - 12, 0) : word_at]) is not None
