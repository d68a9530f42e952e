"""Characters that a person does not see and a model reads, and names that are not what they seem (UTS #39)."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

from countersign.model.visible import DRAWN_AS_NOTHING
from countersign.screening import dangers

_VARYING = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]")
# Letters of Cyrillic, Greek and Armenian, and the Latin ones that they look like (after Unicode's confusables.txt).
_LOOKALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u0501\u04bb\u051b\u051d"
    "\u0432\u043d\u043a\u043c\u0442\u04cf\u0475"
    "\u0410\u0412\u0415\u0405\u0406\u0408\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0425"
    "\u0423\u050c\u051a\u051c"
    "\u03b1\u03bf\u03b9\u03bd\u03c1\u03c5\u03ba\u03c4\u03c7\u03c9\u03f2\u03f3"
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"
    "\u0585\u057d\u0578\u0570\u0581",
    "aeopcyxisjdhqwbhkmtlvABESIJKMHOPCTXYGQWaoivpuktxwcjABEZHIKMNOPTYXounhg",
)
_WORD = re.compile(r"[^\W\d_]+")
_SCRIPTS_THAT_LOOK_ALIKE = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC")


def hidden_characters(text: str) -> tuple[str, ...]:
    """Name the kinds of characters in a text that nobody sees, each kind once with how often it occurs."""
    counts = Counter(danger.what for danger in dangers(text, strict=True))
    return tuple(f"{what} ({count}x)" if count > 1 else what for what, count in counts.items())


def visible_text(text: str) -> str:
    """Return the text as a model may take it: without what is drawn as nothing, in compatible forms (NFKC)."""
    if text.isascii():
        return text
    shown = "".join(char for char in text if not _is_invisible(char))
    return (
        unicodedata.normalize("NFKC", shown).translate(_LOOKALIKES)
        if _mixed(shown)
        else unicodedata.normalize("NFKC", shown)
    )


def looks_like_another(name: str) -> bool:
    """Whether a name has a word of two scripts that look alike, or is drawn like an ASCII name without being one."""
    if name.isascii():
        return False
    drawn = unicodedata.normalize("NFKC", name).translate(_LOOKALIKES)
    return drawn.isascii() or _mixed(name)


def _mixed(text: str) -> bool:
    return any(len(_scripts(word)) > 1 for word in _WORD.findall(text) if not word.isascii())


def _scripts(word: str) -> set[str]:
    names = {unicodedata.name(char, "").partition(" ")[0] for char in word}
    return {script for script in _SCRIPTS_THAT_LOOK_ALIKE if script in names}


def _is_invisible(char: str) -> bool:
    return not char.isascii() and (
        unicodedata.category(char) == "Cf" or char in DRAWN_AS_NOTHING or _VARYING.match(char) is not None
    )
