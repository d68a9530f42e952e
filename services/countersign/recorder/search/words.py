"""What is searched of a masked body: its words.

A word is a run of letters and digits, whatever stands around it: ``customer_id`` and ``orders.total`` are two words
each; PostgreSQL's own parser takes the latter for a host, and finds it by neither. Case, and how a letter is encoded
(NFKC), do not matter.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Set

SEARCHED_BYTES = 64 * 1024
"""Of a longer body only so much from its beginning is searched."""
_LEVELS_WITHIN = 1
_WORD = re.compile(r"[^\W_]+")
_ESCAPE = re.compile(rb"\\[bfnrt]")
# Of ASCII: letters as small ones, digits as they are, anything else a blank.
_TO_WORDS = bytes(one if one < 128 and chr(one).isalnum() else 32 for one in bytes(range(256)).lower())


def words_of(text: str) -> list[str]:
    """Return the words of ``text``, in order. Takes time in proportion to its length."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return _WORD.findall(text.casefold())


def words_within(body: bytes) -> Set[bytes]:
    """Return at least the words of ``text_of(body)``, in UTF-8, and few others.

    What is ASCII is taken apart without being read as JSON, by what runs in C: ten times as fast as a pattern.
    """
    beginning = body[:SEARCHED_BYTES]
    if not beginning.isascii() or b"\\u" in beginning:
        return {word.encode(errors="surrogatepass") for word in words_of(text_of(body))}
    found = set(beginning.translate(_TO_WORDS).split())
    if _ESCAPE.search(beginning):
        # What stands behind an escape sequence; above, what would stand there if it were none.
        found.update(_ESCAPE.sub(b" ", beginning).translate(_TO_WORDS).split())
    return found


def text_of(body: bytes) -> str:
    """Return what is searched of a masked body: of JSON the keys and leaves, of anything else all that it says.

    A leaf that is itself JSON, as tools like to answer, is read like that. What cannot be read as JSON, or is cut, is
    taken as it stands.
    """
    text = body[:SEARCHED_BYTES].decode(errors="replace")
    value = _json(text) if len(body) <= SEARCHED_BYTES else None
    if value is None:
        # An escape sequence would glue its letter to the next word.
        return _without_escapes(text) if "\\" in text else text
    found: list[str] = []
    _collect(value, found, _LEVELS_WITHIN)
    return "\n".join(found)


def _collect(value: list[object], found: list[str], levels: int) -> None:
    """Depth first with a stack of its own: a body may be nested deeper than Python calls."""
    stack: list[object] = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, str):
            inner = _json(one) if levels else None
            if inner is None:
                found.append(one)
            else:
                _collect(inner, found, levels - 1)
        elif isinstance(one, list | tuple):
            stack.extend(reversed(one))
        else:
            found.append(json.dumps(one))


def _json(text: str) -> list[object] | None:
    """Return an object as a list of its pairs (a key may stand twice), an array as a list; numbers as they are written.

    ``None`` when it is neither.
    """
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text, object_pairs_hook=list, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def _without_escapes(text: str) -> str:
    for escape in ("\\n", "\\r", "\\t", "\\b", "\\f"):
        text = text.replace(escape, " ")
    return text
