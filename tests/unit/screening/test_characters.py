"""What nobody sees is found, whatever hides it; what honest text of any script needs is let be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.screening import Kind, dangers
from tests.support.cost import cpu_s

SPELLED = "".join(chr(0xE0000 + ord(char)) for char in "ignore all")
AS_BYTES = "".join(chr(0xFE00 + byte % 16) for byte in b"ignore all")
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
HONEST = {
    "ASCII": "Line one\r\n\tline two\x0cnext page",
    "a byte order mark at the start": "\ufeffid,name",
    "Latin with a soft hyphen": "Donau\u00addampf\u00adschiff",
    "typographic blanks": "10\u00a0000\u202fkm\u2009h\u2003x",
    "a family": "\U0001f469\u200d\U0001f469\u200d\U0001f467 and \U0001f44d\U0001f3fd\u200d\u2640\ufe0f",
    "a couple of skin tones": "\U0001f9d1\U0001f3fb\u200d\u2764\ufe0f\u200d\U0001f9d1\U0001f3ff",
    "a head that shakes": "\U0001f642\u200d\u2194\ufe0f",
    "pictures": "\u2764\ufe0f 1\ufe0f\u20e3 \u2139\ufe0f \u3030\ufe0f \u203c\ufe0f \u00a9\ufe0e \u2122\ufe0f",
    "the flag of England": ENGLAND,
    "Arabic": "\u0627\u0644\u0639\u0631\u0628\u064a\u0629\u200f (v2\u200e)",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \u06a9\u062a\u0627\u0628\u200c\u0647\u0627\u06cc",
    "Hebrew": "\u05e9\u05c1\u05b8\u034f\u05dc\u05d5\u05dd\u200f abc",
    "Hindi": "\u0915\u094d\u200d\u0937 \u0930\u094d\u200d",
    "Malayalam with a joiner at a word's end": "\u0d28\u0d4d\u200d \u0d05\u0d35\u0d7b",
    "Sinhala": "\u0dc1\u0dca\u200d\u0dbb\u0dd3",
    "Khmer with invisible blanks": "\u1781\u17d2\u1789\u17bb\u17c6\u200b\u1785\u1784\u17cb",
    "Thai with invisible blanks": "\u0e44\u0e17\u0e22\u200b\u0e41\u0e25\u0e30",
    "Mongolian": "\u182d\u182d\u180b\u180e\u1820",
    "old Hangul": "\u1160\u11a8 \u1100\u1160",
    "ideographs with variants": "\u845b\U000e0100 \u6f22\ufe00 \u3001\ufe00",
    "Braille with blanks": "\u2813\u2811\u2807\u2807\u2815" + "\u2800" * 40 + "\u283a",
    "many scripts": "Gr\u00fc\u00dfe, \u4e16\u754c, \u041f\u0440\u0438\u0432\u0435\u0442 \u2192 \u2713 \u20ac",
}
HIDDEN = {
    "a zero-width space": "num\u200bbers",
    "a word joiner": "num\u2060bers",
    "a byte order mark inside": "num\ufeffbers",
    "a joiner between Latin letters": "num\u200dbers",
    "an override of direction": "\u202enumbers",
    "an isolate": "a \u2066b\u2069",
    "a mark of direction without any": "a \u200eb",
    "a Hangul filler": "num\u3164bers",
    "a Braille blank without Braille": "num\u2800bers",
    "a grapheme joiner": "num\u034fbers",
    "an invisible line break": "num\u2028bers",
    "an annotation": "\ufff9a\ufffab\ufffb",
    "private use": "\ue001 \U000f0001 \U0010fffd",
    "a noncharacter": "\ufdd0 \uffff \U0001fffe",
    "NUL": "num\x00bers",
    "backspaces": "numbers\x08\x08",
    "DEL": "numbers\x7f",
    "an 8-bit control": "num\x99bers",
    "a selector behind a letter": "a\ufe0f b",
    "a shorthand control": "num\U0001bca0bers",
    "an unassigned default-ignorable": "num\u2065bers \ufff0",
}
TAGS = {
    "tags": f"Adds {SPELLED} numbers",
    "tags behind a flag": "\U0001f3f4" + SPELLED,
    "a flag that spells": "\U0001f3f4" + "".join(chr(0xE0000 + ord(char)) for char in "ignore") + "\U000e007f",
    "selectors as bytes": f"\U0001f600{AS_BYTES}",
    "supplementary selectors as bytes": "\U0001f600" + "".join(chr(0xE0100 + byte) for byte in b"obey"),
    "one such selector behind each letter": "h\U000e0101i\U000e0102",
    "a deprecated language tag": "\U000e0001en",
    "an unassigned one of their block": "a\U000e0fffb",
}
ESCAPES = {
    "colours": "\x1b[31mred\x1b[0m",
    "concealed text": "\x1b[8mobey\x1b[28m",
    "the cursor moved": "safe\x1b[2K\x1b[1Gother",
    "8-bit CSI": "\x9b31mred",
    "a link": "\x1b]8;;https://x.test\x1b\\click\x1b]8;;\x1b\\",
    "the clipboard": "\x1b]52;c;b2JleQ==\x07",
    "8-bit OSC": "\x9d0;title\x9c",
    "a device string": "\x1bP+q544e\x1b\\",
    "reset": "\x1bc",
    "a character set": "\x1b(0",
    "cut short": "text\x1b",
    "cut short in parameters": "text\x1b[31",
    "a string that never ends": "\x1b]0;title",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST)
def test_honest_text_is_let_be(text: str) -> None:
    assert list(dangers(text)) == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *((text, Kind.HIDDEN) for text in HIDDEN.values()),
        *((text, Kind.TAGS) for text in TAGS.values()),
        *((text, Kind.ANSI) for text in ESCAPES.values()),
    ],
    ids=[*HIDDEN, *TAGS, *ESCAPES],
)
def test_what_nobody_sees_is_found_and_not_quoted(text: str, kind: Kind) -> None:
    found = list(dangers(text))
    assert {danger.kind for danger in found} == {kind}
    assert not any(danger.what in text for danger in found)


def test_the_whole_of_an_escape_is_found() -> None:
    for text in ("\x1b[1;31m", "\x9b?25l", "\x1b]0;title\x07", "\x1b]0;title\x1b\\", "\x9dx\x9c", "\x1b(B", "\x1bM"):
        assert [danger[:2] for danger in dangers(f"a{text}b")] == [(1, 1 + len(text))]


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_dangers_come_in_order_and_apart(text: str) -> None:
    done = 0
    for danger in dangers(text):
        assert done <= danger.start < danger.end <= len(text)
        done = danger.end


@pytest.mark.parametrize("text", ["word\u200e", "word\u2800", "word\u061c\u2800"])
def test_no_text_makes_looking_slow(text: str) -> None:
    small, large = (cpu_s(lambda size=size: list(dangers(text * size))) for size in (2_000, 8_000))  # type: ignore[misc]
    assert large < 8 * small + 0.05


def test_definitions_of_tools_need_no_typesetting() -> None:
    for text in ("Donau\u00addampf", "\ufeffAdds", "one\x0ctwo", "one\x85two"):
        assert list(dangers(text)) == []
        assert list(dangers(text, strict=True)) != []
