"""Characters that a person does not see and a model reads, and names that are not what they seem (UTS #39).

What such characters are for is let be: joiners between emoji or letters of scripts that need them, one variation
selector behind what it varies, the tags of a flag, marks of direction in text that runs from right to left.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from countersign.model.visible import DRAWN_AS_NOTHING

_JOINERS = frozenset("\u200c\u200d")
_MARKS = frozenset("\u200e\u200f\u061c")
# Format characters that are drawn (Unicode, Prepended_Concatenation_Mark).
_DRAWN = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")
_ORDINARY_CONTROLS = frozenset("\t\n\r")
_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_FLAG_BASE = "\U0001f3f4"
# The only tag sequences in use: the flags of England, Scotland, Wales and other subdivisions.
_FLAG_TAGS = re.compile("[\U000e0030-\U000e0039\U000e0061-\U000e007a]{3,6}\U000e007f")
_VARYING = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]+")
_MODIFIERS = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]+$")
_RANGES = (
    ("\u202a", "\u202e", "a control of text direction"),
    ("\u2066", "\u2069", "a control of text direction"),
    ("\u2028", "\u2029", "an invisible line break"),
    ("\ufff9", "\ufffb", "an invisible annotation"),
    ("\ue000", "\uf8ff", "a private-use character"),
    ("\U000f0000", "\U0010ffff", "a private-use character"),
)
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
    counts: dict[str, int] = {}
    for what in _hidden(text):
        counts[what] = counts.get(what, 0) + 1
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


def _hidden(text: str) -> Iterator[str]:
    runs_right_to_left = any(unicodedata.bidirectional(char) in ("R", "AL") for char in text)
    for match in _TAGS.finditer(text):
        if not (text[max(0, match.start() - 1) : match.start()] == _FLAG_BASE and _FLAG_TAGS.fullmatch(match.group())):
            yield "invisible tag characters"
    for match in _VARYING.finditer(text):
        if len(match.group()) > 1 or not _may_vary(text[max(0, match.start() - 1) : match.start()], match.group()):
            yield "a variation selector that varies nothing"
    for index, char in enumerate(text):
        if char in _JOINERS:
            if not (
                _joins(_MODIFIERS.sub("", text[max(0, index - 3) : index])[-1:]) and _joins(text[index + 1 : index + 2])
            ):
                yield "a zero-width joiner that joins nothing"
        elif char in _MARKS:
            if not runs_right_to_left:
                yield "a mark of text direction in text that has none"
        elif what := _kind(char):
            yield what


def _kind(char: str) -> str:
    if char.isascii() and char.isprintable():
        return ""
    category = unicodedata.category(char)
    if category == "Cc":
        return "" if char in _ORDINARY_CONTROLS else "a control character"
    for first, last, what in _RANGES:
        if first <= char <= last:
            return what
    if char in DRAWN_AS_NOTHING:
        return "a letter that is drawn as nothing"
    if category == "Cf" and char not in _DRAWN and not _TAGS.match(char) and not _VARYING.match(char):
        return "a zero-width character"
    is_noncharacter = ord(char) & 0xFFFE == 0xFFFE or "\ufdd0" <= char <= "\ufdef"
    return "a character that is none" if is_noncharacter else ""


def _is_invisible(char: str) -> bool:
    return not char.isascii() and (
        unicodedata.category(char) == "Cf" or char in DRAWN_AS_NOTHING or _VARYING.match(char) is not None
    )


def _joins(char: str) -> bool:
    """Whether a joiner may stand beside it: a letter or mark of a script with joined forms, or an emoji."""
    return "\u0600" <= char <= "\u109f" or "\u1780" <= char <= "\u18af" or _is_pictorial(char)


def _is_pictorial(char: str) -> bool:
    return char >= "\U0001f000" or (char != "" and unicodedata.category(char) == "So")


def _may_vary(base: str, selector: str) -> bool:
    if not base:
        return False
    if selector >= "\U000e0100" or selector <= "\ufe0d":
        # Ideographs, Mongolian and Myanmar letters, and mathematical signs have variants.
        return not base.isascii() and unicodedata.category(base) in ("Lo", "Sm")
    # Emoji or text style: of pictures, of arrows and other signs, and of the keys of a telephone.
    return base in "0123456789#*" or unicodedata.category(base) in ("So", "Sm", "Sk", "Po", "Lo", "No")
