"""Random values that stand near a telling word without an assignment: ``acme SECRET 1234...``, ``acme-key-1234...``."""

from __future__ import annotations

import re
from itertools import pairwise

from countersign.masking.detectors.base import Hit, Pattern
from countersign.masking.detectors.looks import is_named_digest, is_placeholder, is_random
from countersign.masking.detectors.secrets.part import Part

_SHORTEST_BYTES = 12
_DISORDER = 16

_WORD = r"(?:secrets?|private|access|api|keys?|tokens?|tkn|password|credentials?)"
# Between the word and the value: the rest of the word's own, two more words, no punctuation of sentences or of values.
_NEAR = Pattern(
    rf"(?i)({_WORD})([a-z]{{0,12}}?(?:[ \t\n_.:=>-]{{1,8}}[a-z]{{1,12}}){{0,2}}?)[ \t\r\n:=>]{{0,8}}"
    r"([ \t\r\n_.:=>-]|=[\x22'])"
    r"([a-z0-9_~+/%.-]{0,11}[0-9][a-z0-9_~+/%.-]{6,}={0,2}|[a-z0-9_~+/%.-]{12,}[0-9][a-z0-9_~+/%.-]*={0,2}|[a-z]{20,})"
)
_SAYS_OTHERWISE = Pattern(
    r"(?i)(?:^|[^a-z])(?:ids?|uuid|guid|sha[0-9]*|md5|hash|digest|commit|etag|version|name|fingerprint|checksum|revision"
    r"|refs?|count|type|public|primary|foreign|cache|request|trace|span|session|build|image|logs?|page|next|cursor|file"
    r"|path|url|uri|host|object|row|sort|partition|issue|idempotency|correlation|rsa|dsa|ecdsa)(?:$|[^a-z])"
)
# These words alone say little: nothing but more of their kind may stand between them and the value.
_SAYS_LITTLE = frozenset((b"private", b"access", b"api"))
_MORE = Pattern(
    r"(?i)^(?:[ \t\r\n_.:=>\x22'-]*(?:key|token|secret|api|access|private|code|is))*[ \t\r\n_.:=>\x22'-]*$"
    r"|(?:access|private|api)[ \t\r\n_.:=>\x22'-]*$"
    r"|(?:secret|key|token|tkn|password|credential)s?"
)
_LEADING_WORDS = re.compile(rb"(?i:(?:(?:key|token|secret|id|api|access|private)s?[-_.])*)")
_CAMEL = re.compile(r"[a-z][A-Z]")
_LOOK_BACK_BYTES = 12
_GLUED = re.compile(rb"[A-Za-z0-9]{1,8}\Z")
# As many changes between small letters, capitals and digits as words that are run together do not have.
_RESTLESS = 4
# The same of words that dashes join: of random characters three in five differ in kind from the one before.
_JOINED = re.compile(rb"[A-Za-z0-9_-]{1,32}\Z")
_LONG_BYTES = 16
_RESTLESS_OF_TEN = 4


def find(data: bytes) -> list[Hit]:
    """Where such values stand."""
    found: list[Hit] = []
    for _, word, between, last, (start, end) in _NEAR.groups(data):
        while end > start and data[end - 1] in b".-_/%~":
            end -= 1
        if end - start < _SHORTEST_BYTES:
            continue
        if not _is_word(data, *word):
            continue
        before = max(word[0] - _LOOK_BACK_BYTES, 0)
        if _SAYS_OTHERWISE.matches(data[before : word[0]]) or _SAYS_OTHERWISE.matches(data[slice(*between)]):
            continue
        leading = _LEADING_WORDS.match(data, start, end)
        start = start if leading is None else leading.end()
        if data[slice(*word)].lower() in _SAYS_LITTLE and not _MORE.matches(data[between[0] : start]):
            continue
        value = data[start:end].decode()
        if "/" in value and "." in value:
            continue
        if value.isalpha() and len(_CAMEL.findall(value)) > 1:
            continue
        if is_named_digest(value):
            continue
        if is_random(value, _DISORDER) and not is_placeholder(value):
            # A dash or a dot may belong to the value as well as to the word.
            found.append(
                Hit(
                    last[0] if last[1] == start and data[last[0]] in b"-._" else start,
                    end,
                    "a random value near a telling word",
                )
            )
    return found


def _is_word(data: bytes, start: int, end: int) -> bool:
    """Whether this is a word, and not a few letters of something random (a sealed state, a cursor) that read so."""
    word = data[start:end]
    if not (word.islower() or word.isupper() or word.istitle()):
        return False
    glued = _GLUED.search(data, max(start - 8, 0), start)
    if glued is not None and _changes(glued[0]) >= _RESTLESS:
        return False
    joined = _JOINED.search(data, max(start - 32, 0), start)
    before = b"" if joined is None else joined[0].replace(b"-", b"").replace(b"_", b"")
    return len(before) < _LONG_BYTES or 10 * _changes(before) < _RESTLESS_OF_TEN * len(before)


def _changes(text: bytes) -> int:
    """How often small letters, capitals and digits follow one another."""
    kinds = [(bytes((one,)).isupper(), bytes((one,)).isdigit()) for one in text]
    return sum(one != other for one, other in pairwise(kinds))


PART = Part(
    find,
    gate=(
        rf"(?i){_WORD}[a-z0-9 \t\r\n_.:=>~+/%-]{{13,}}",
        rf"(?i){_WORD}[a-z0-9 \t\r\n_.:=>-]{{0,40}}=[\x22'][a-z0-9_~+/%.-]{{12,}}",
    ),
)
