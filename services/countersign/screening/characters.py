r"""Characters that a person does not see, and a model or a terminal does: the one catalogue of them.

After Unicode's Default_Ignorable_Code_Point, its controls, private use and noncharacters; escapes are those of ECMA-48.
What such characters are for is let be: joiners between emoji or letters of scripts that need them, one variation
selector behind what it varies, the tags of a flag, marks of direction in text that runs from right to left, the blank
of Braille among Braille, the invisible space between words of Khmer or Thai.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple


class Kind(StrEnum):
    """The kinds of such characters; each is the label of its findings."""

    HIDDEN = "HIDDEN_TEXT"
    """Nothing is drawn, or something else than what is there: zero-width, direction, controls, private use."""
    TAGS = "TAG_CHARACTERS"
    """A text spelled in characters that nobody sees: tags, and variation selectors used as bytes."""
    ANSI = "ANSI_ESCAPES"
    """What a terminal obeys."""


class Danger(NamedTuple):
    """A stretch of a text (code points, end exclusive). ``what`` says it for a person and quotes nothing."""

    start: int
    end: int
    kind: Kind
    what: str


_NONCHARACTERS = "\ufdd0-\ufdef" + "".join(
    chr(plane * 0x10000 + last) for plane in range(15) for last in (0xFFFE, 0xFFFF)
)
# What begins an escape: ESC, and of the 8-bit controls DCS, SOS, CSI, OSC, PM and APC.
_INTRODUCERS = "\x1b\x90\x98\x9b\x9d\x9e\x9f"
_ASCII = "\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f"
_LATIN_1 = "\x80-\x8f\x91-\x97\x99\x9a\x9c\xad"
_BEYOND = (
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ue000-\uf8ff"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    f"\U000f0000-\U0010ffff{_NONCHARACTERS}"
)
NOT_ASCII = f"\x80-\x9f\xad{_BEYOND}"
"""All beyond ASCII that may be a danger, for a class of a pattern."""

_SUSPECT = re.compile(f"[{_ASCII}{_LATIN_1}{_INTRODUCERS}{_BEYOND}]")
_RUN = re.compile(f"[{_ASCII}{_LATIN_1}{_BEYOND}]+")
# ECMA-48, sections 5.4 and 5.6; what ends a string is BEL for xterm. Bounded, so that no text is read twice for it.
_TEXT = r"[^\x00-\x1f\x7f-\x9f]{0,4096}+"
_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,256}+[ -/]{0,16}+[@-~]"
    rf"|(?:\x1b[\]PX^_]|[\x90\x98\x9d\x9e\x9f]){_TEXT}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{1,16}+[0-~]|\x1b[0-~]|[\x1b\x90\x98\x9b\x9d\x9e\x9f]"
)
_ALL_OF = {
    Kind.HIDDEN: re.compile(f"[{_ASCII}{_LATIN_1}{_BEYOND}]"),
    Kind.TAGS: re.compile("[\ufe00-\ufe0f\u180b-\u180f\U000e0000-\U000e0fff]"),
    Kind.ANSI: re.compile(f"[{_INTRODUCERS}]"),
}
# No honest text has so many of them beside one another.
_LONGEST_HONEST = 16

_JOINERS = "\u200c\u200d"
_MARKS = "\u200e\u200f\u061c"
_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u061b\u061d-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_TAGS = re.compile("[\U000e0000-\U000e00ff\U000e01f0-\U000e0fff]+")
_VARYING = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef\u180b-\u180d\u180f]+")
_SPELLS = re.compile("[\U000e0000-\U000e0fff]|[\ufe00-\ufe0f]{2}")
_FLAG_BASE = "\U0001f3f4"
# The flags of England, Scotland and Wales, the only such sequences that Unicode recommends for interchange.
_FLAG_TAGS = re.compile(
    "\U000e0067\U000e0062(?:\U000e0065\U000e006e\U000e0067|\U000e0073\U000e0063\U000e0074|\U000e0077\U000e006c\U000e0073)"
    "\U000e007f"
)
_MODIFIERS = "\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_BRAILLE = re.compile("[\u2801-\u28ff]")
_OTHERS = (
    ("\x00", "\x9f", "a control character"),
    ("\u202a", "\u202e", "a control of text direction"),
    ("\u2066", "\u2069", "a control of text direction"),
    ("\u2028", "\u2029", "an invisible line break"),
    ("\ufff9", "\ufffb", "an invisible annotation"),
    ("\ue000", "\uf8ff", "a private-use character"),
    ("\U000f0000", "\U0010ffff", "a private-use character"),
    ("\ufdd0", "\ufdef", "a character that is none"),
)
_DRAWN_AS_NOTHING = "\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0\u2800"


class _Whole:
    """What a text is as a whole, looked at once: to look for each character anew takes quadratic time."""

    def __init__(self, text: str) -> None:
        self.text = text

    @cached_property
    def runs_right_to_left(self) -> bool:
        return _RIGHT_TO_LEFT.search(self.text) is not None

    @cached_property
    def has_braille(self) -> bool:
        return _BRAILLE.search(self.text) is not None


def dangers(text: str, *, strict: bool = False) -> Iterator[Danger]:
    """Yield the dangers in a text, in order and apart. ``strict`` lets nothing be that only typesetting needs.

    For definitions of tools, which need none of it: soft hyphens, form feeds, a byte order mark. Linear in the text.
    """
    at, whole = 0, _Whole(text)
    while (match := _SUSPECT.search(text, at)) is not None:
        start = match.start()
        if match[0] in _INTRODUCERS:
            escape = _ESCAPE.match(text, start)
            at = start + 1 if escape is None else escape.end()
            yield Danger(start, at, Kind.ANSI, "an escape of terminals")
            continue
        run = _RUN.match(text, start)
        at = start + 1 if run is None else run.end()
        yield from _united(_of_run(whole, start, at, strict=strict))


def without_any(text: str, kinds: Collection[Kind]) -> str:
    """Return the text without any character that can be part of a danger of these kinds, honest or not."""
    for kind in kinds:
        text = _ALL_OF[kind].sub("", text)
    return text


def _united(found: Iterator[Danger]) -> Iterator[Danger]:
    """Make one of those that are alike and meet."""
    last: Danger | None = None
    for danger in found:
        if last is not None and last.end == danger.start and last[2:] == danger[2:]:
            last = last._replace(end=danger.end)
            continue
        if last is not None:
            yield last
        last = danger
    if last is not None:
        yield last


def _of_run(whole: _Whole, start: int, end: int, *, strict: bool) -> Iterator[Danger]:
    text = whole.text
    if not text[start:end].strip("\u2800") and whole.has_braille:
        return
    if end - start > _LONGEST_HONEST:
        # Character by character, ten megabytes of them would take seconds.
        spells = _SPELLS.search(text, start, end) is not None
        what = "invisible characters that spell out a text" if spells else _other(text[start])
        yield Danger(start, end, Kind.TAGS if spells else Kind.HIDDEN, what)
        return
    at = start
    while at < end:
        group = _TAGS.match(text, at, end) or _VARYING.match(text, at, end)
        if group is None:
            what = _why(whole, at, strict=strict)
            if what:
                yield Danger(at, at + 1, Kind.HIDDEN, what)
            at += 1
            continue
        found = _of_group(text[at - 1 : at], group[0])
        if found is not None:
            yield Danger(at, group.end(), *found)
        at = group.end()


def _of_group(base: str, group: str) -> tuple[Kind, str] | None:
    """Tell of tags, or of variation selectors, behind a character (empty at the beginning of a text)."""
    if _TAGS.match(group):
        return None if base == _FLAG_BASE and _FLAG_TAGS.fullmatch(group) else (Kind.TAGS, "invisible tag characters")
    if len(group) == 1 and base and _may_vary(base, group):
        return None
    spells = len(group) > 1 or group >= "\U000e0100"
    return Kind.TAGS if spells else Kind.HIDDEN, "a variation selector that varies nothing"


def _why(whole: _Whole, at: int, *, strict: bool) -> str:
    """Say what is wrong with the character; empty when nothing is."""
    text = whole.text
    char, before, after = text[at], text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if char in _JOINERS:
        base = text[max(0, at - 3) : at].rstrip(_MODIFIERS)[-1:] or before
        if _is_joined_letter(base):
            honest = after == "" or _SUSPECT.match(after) is None
        else:
            honest = _is_pictorial(base) and _is_pictorial(after)
        return "" if honest else "a zero-width joiner that joins nothing"
    if char in _MARKS:
        return "" if whole.runs_right_to_left else "a mark of text direction in text that has none"
    if char == "\u180e" and "\u180b" <= before <= "\u18aa":
        return ""
    if char in "\u115f\u1160" and (_is_jamo(before) or _is_jamo(after)):
        return ""
    if char == "\u2800" and whole.has_braille:
        return ""
    if char == "\u200b" and _has_no_blanks(before) and _has_no_blanks(after):
        return ""
    return _other(char) if strict or not _is_typesetting(char, before, after, at) else ""


def _is_typesetting(char: str, before: str, after: str, at: int) -> bool:
    if char == "\u00ad":
        return before.isalpha() and after.isalpha()
    if char == "\u034f":
        return before != "" and unicodedata.category(before)[0] == "M"
    return char in "\x0c\x85" or (char == "\ufeff" and at == 0)


def _other(char: str) -> str:
    for first, last, what in _OTHERS:
        if first <= char <= last:
            return what
    if char in _DRAWN_AS_NOTHING:
        return "a letter that is drawn as nothing"
    return "a character that is none" if ord(char) & 0xFFFE == 0xFFFE else "a zero-width character"


def _is_joined_letter(char: str) -> bool:
    """Whether it is of a script with joined forms: Arabic to Myanmar, Khmer, Mongolian."""
    return ("\u0600" <= char <= "\u109f" or "\u1780" <= char <= "\u18af") and _SUSPECT.match(char) is None


def _has_no_blanks(char: str) -> bool:
    """Whether it is of a script whose words stand without blanks: Thai, Lao, Tibetan, Myanmar, Khmer."""
    return "\u0e00" <= char <= "\u109f" or "\u1780" <= char <= "\u17ff"


def _is_jamo(char: str) -> bool:
    return (
        "\u1100" <= char <= "\u11ff" and char not in "\u115f\u1160"
    ) or "\ua960" <= char <= "\ua97c" or "\ud7b0" <= char <= "\ud7fb"  # fmt: skip


def _is_pictorial(char: str) -> bool:
    if "\U0001f000" <= char <= "\U0001faff":
        return True
    return char >= "\u2190" and unicodedata.category(char) in ("So", "Sm")


def _may_vary(base: str, selector: str) -> bool:
    if selector >= "\U000e0100":
        return unicodedata.category(base) == "Lo" and not base.isascii()
    if selector <= "\ufe0d":
        # Ideographs, Mongolian and Myanmar letters, mathematical signs and the points of print have variants.
        return not base.isascii() and unicodedata.category(base) in ("Lo", "Sm", "Po")
    # Emoji or text style: of pictures, of arrows and other signs, and of the keys of a telephone.
    return base in "0123456789#*\u2139\u3030" or unicodedata.category(base) in ("So", "Sm", "Sk", "Po", "Lo", "No")
