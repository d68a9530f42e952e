"""Whether a text names a masked column, however little else is understood of it."""

from __future__ import annotations

import re
from typing import Final

from countersign.statements.lineage.found import WHICHEVER, Sources

_WORD: Final = re.compile(r"\w+")
_ESCAPES: Final = ("\\u", "\\x")
"""How a path into JSON may write the letters of a key."""


def mentioned(text: str, masked: Sources) -> Sources:
    """Return the masked names that the text has as words, in any case; names that are no words, anywhere in it.

    A text that may write letters by their numbers could name any of them.
    """
    folded = text.casefold()
    if "\\" in folded and any(escape in folded for escape in _ESCAPES):
        return WHICHEVER
    near = [name for name in masked if name in folded]
    if not near:
        return frozenset()
    words = set(_WORD.findall(folded))
    return frozenset(name for name in near if name in words or not _WORD.fullmatch(name))
